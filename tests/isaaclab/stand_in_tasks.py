"""Isaac Lab's velocity task for ANYmal C with the embedded simulator's robot and drives, as a task of one's own.

With it a policy that was trained in the embedded simulator can be judged in the real Isaac Lab:

    gaitway validate --simulator isaaclab --with tests/isaaclab/stand_ins.py --with tests/isaaclab/stand_in_tasks.py \
        --import stand_in_tasks --task StandIn-Velocity-Flat-AnymalC --checkpoint-uri samples/anymal-c-flat/model_194.pt
"""

from __future__ import annotations

import gymnasium
from isaaclab.utils import configclass
from isaaclab_tasks.contrib.velocity.config.anymal_c import agents
from isaaclab_tasks.contrib.velocity.config.anymal_c.flat_env_cfg import AnymalCFlatEnvCfg
from stand_ins import anymal_c, only_ground


@configclass
class StandInFlatEnvCfg(AnymalCFlatEnvCfg):
    """Isaac Lab's configuration, but for the drives, contacts of the robot with itself, and what only looks good."""

    def __post_init__(self) -> None:
        """See Isaac Lab."""
        super().__post_init__()
        anymal_c(self)
        only_ground(self)


gymnasium.register(
    id="StandIn-Velocity-Flat-AnymalC",
    entry_point="isaaclab.envs:ManagerBasedRLEnv",
    disable_env_checker=True,
    kwargs={
        "env_cfg_entry_point": StandInFlatEnvCfg,
        "rsl_rl_cfg_entry_point": f"{agents.__name__}.rsl_rl_ppo_cfg:AnymalCFlatPPORunnerCfg",
    },
)
