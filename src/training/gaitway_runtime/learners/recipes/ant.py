"""Ant: normalised observations, a narrow start and a bolder step are what a few hundred environments need."""

from ..config import ActorCfg, DistributionCfg, ModelCfg, PpoCfg, RslRlCfg, SkrlCfg

RSL_RL = RslRlCfg(
    num_steps_per_env=32,
    actor=ActorCfg(
        hidden_dims=(128, 64), obs_normalization=True, distribution_cfg=DistributionCfg(init_std=0.6, std_type="log")
    ),
    critic=ModelCfg(hidden_dims=(128, 64), obs_normalization=True),
    algorithm=PpoCfg(num_learning_epochs=4, desired_kl=0.02, entropy_coef=0.0),
)

SKRL = SkrlCfg(
    rollouts=32,
    learning_epochs=4,
    kl_threshold=0.02,
    observation_preprocessor=True,
    hidden_dims=(128, 64),
    initial_log_std=-0.5,
)
