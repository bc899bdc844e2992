"""A task of a user's own: Isaac Lab's cart-pole with a lighter touch. Registered when imported."""

import gymnasium
from isaaclab.utils import configclass
from isaaclab_tasks.core.cartpole.cartpole_manager_env_cfg import CartpoleEnvCfg


@configclass
class GentleCartpoleCfg(CartpoleEnvCfg):
    """A motor of a tenth of the strength."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.actions.joint_effort.scale = 10.0


gymnasium.register(
    id="Own-Gentle-Cartpole-v0",
    entry_point="isaaclab.envs:ManagerBasedRLEnv",
    disable_env_checker=True,
    kwargs={
        "env_cfg_entry_point": f"{__name__}:GentleCartpoleCfg",
        "rsl_rl_cfg_entry_point": "isaaclab_tasks.core.cartpole.agents.rsl_rl_ppo_cfg:CartpolePPORunnerCfg",
    },
)
