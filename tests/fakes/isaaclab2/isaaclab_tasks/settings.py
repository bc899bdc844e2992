"""Configurations as Isaac Lab has them: objects for the environment and rsl_rl, a dictionary for skrl."""

import importlib.metadata
from types import SimpleNamespace
from typing import Any


class RailCfg:
    def __init__(self) -> None:
        self.seed = None
        self.sim = SimpleNamespace(dt=0.01, device="cuda:0")
        self.decimation = 2
        self.episode_length_s = 1.0
        self.is_finite_horizon = False
        self.scene = SimpleNamespace(num_envs=4096)
        self.gains = (1.0, 2.0)
        self.noisy = True

    def to_dict(self) -> dict[str, Any]:
        return {
            name: vars(value) if isinstance(value, SimpleNamespace) else value for name, value in vars(self).items()
        }


class RailPlayCfg(RailCfg):
    def __init__(self) -> None:
        super().__init__()
        self.noisy = False


class RunnerCfg(SimpleNamespace):
    def to_dict(self) -> dict[str, Any]:
        return {name: vars(value) if isinstance(value, RunnerCfg) else value for name, value in vars(self).items()}


def rsl_rl() -> RunnerCfg:
    """Return what is in common, with the networks in the words of the rsl_rl that is installed."""
    model = {"hidden_dims": [8], "activation": "elu", "obs_normalization": False, "class_name": "MLPModel"}
    if int(importlib.metadata.version("rsl-rl-lib").split(".")[0]) >= 4:
        noise = {"class_name": "GaussianDistribution", "init_std": 1.0, "std_type": "scalar"}
        networks: dict[str, Any] = {"actor": RunnerCfg(**model, distribution_cfg=noise), "critic": RunnerCfg(**model)}
    else:
        policy = {"class_name": "ActorCritic", "init_noise_std": 1.0, "activation": "elu"}
        networks = {"policy": RunnerCfg(**policy, actor_hidden_dims=[8], critic_hidden_dims=[8])}
    return RunnerCfg(
        seed=42,
        device="cuda:0",
        num_steps_per_env=8,
        max_iterations=6,
        save_interval=2,
        experiment_name="rail",
        class_name="OnPolicyRunner",
        empirical_normalization=False,
        clip_actions=None,
        obs_groups={},
        algorithm=RunnerCfg(
            class_name="PPO",
            learning_rate=1e-3,
            schedule="adaptive",
            desired_kl=0.01,
            num_learning_epochs=1,
            num_mini_batches=2,
            clip_param=0.2,
            gamma=0.99,
            lam=0.95,
            entropy_coef=0.0,
            value_loss_coef=1.0,
            use_clipped_value_loss=True,
            max_grad_norm=1.0,
        ),
        **networks,
    )


def skrl() -> dict[str, Any]:
    network = [{"name": "net", "input": "OBSERVATIONS", "layers": [8], "activations": "elu"}]
    return {
        "seed": 42,
        "models": {
            "separate": True,
            "policy": {
                "class": "GaussianMixin",
                "clip_actions": False,
                "clip_log_std": True,
                "min_log_std": -20.0,
                "max_log_std": 2.0,
                "initial_log_std": 0.0,
                "network": network,
                "output": "ACTIONS",
            },
            "value": {"class": "DeterministicMixin", "clip_actions": False, "network": network, "output": "ONE"},
        },
        "memory": {"class": "RandomMemory", "memory_size": -1},
        "agent": {
            "class": "PPO",
            "rollouts": 8,
            "learning_epochs": 1,
            "mini_batches": 2,
            "discount_factor": 0.99,
            "learning_rate": 1.0e-3,
            "learning_rate_scheduler": "KLAdaptiveLR",
            "learning_rate_scheduler_kwargs": {"kl_threshold": 0.01},
            "grad_norm_clip": 1.0,
            "ratio_clip": 0.2,
            "value_clip": 0.2,
            "entropy_loss_scale": 0.0,
            "value_loss_scale": 1.0,
            "experiment": {"directory": "rail", "experiment_name": "", "write_interval": "auto"},
        },
        "trainer": {"class": "SequentialTrainer", "timesteps": 48, "environment_info": "log"},
    }
