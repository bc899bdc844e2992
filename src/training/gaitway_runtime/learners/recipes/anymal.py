"""ANYmal-C, on flat and rough ground. Mirrored copies make fewer samples go further and the gait even."""

from dataclasses import replace

from ..config import ActorCfg, DistributionCfg, ModelCfg, PpoCfg, RslRlCfg, SkrlCfg

RSL_RL = RslRlCfg(
    num_steps_per_env=24,
    mirror=True,
    actor=ActorCfg(obs_normalization=True, distribution_cfg=DistributionCfg(init_std=0.5, std_type="log")),
    critic=ModelCfg(obs_normalization=True),
    algorithm=PpoCfg(num_learning_epochs=3, desired_kl=0.02, entropy_coef=0.003, use_mixed_precision=True),
)

ROUGH_RSL_RL = replace(RSL_RL, late_inputs=("height_scan",))

SKRL = SkrlCfg(
    rollouts=24,
    kl_threshold=0.02,
    entropy_loss_scale=0.003,
    observation_preprocessor=True,
    initial_log_std=-0.7,
)
