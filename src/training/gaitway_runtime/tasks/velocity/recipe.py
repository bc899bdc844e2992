"""Recipe of quadrupeds, on flat and rough ground. Mirrored copies make fewer samples go further and the gait even."""

from dataclasses import replace

from ..learning import ActorCfg, DistributionCfg, ModelCfg, PpoCfg, RslRlCfg, SkrlCfg

RSL_RL = RslRlCfg(
    num_steps_per_env=24,
    mirror=True,
    actor=ActorCfg(obs_normalization=True, distribution_cfg=DistributionCfg(init_std=0.5, std_type="log")),
    critic=ModelCfg(obs_normalization=True),
    algorithm=PpoCfg(num_learning_epochs=3, desired_kl=0.02, entropy_coef=0.003, use_mixed_precision=True),
)

SYMMETRIC_RSL_RL = replace(RSL_RL, symmetric=True, fast_update=True)
"""Weights that are tied in place of the copies: as many samples, each for half the arithmetic."""

WIDE_RSL_RL = replace(
    RSL_RL, actor=replace(RSL_RL.actor, distribution_cfg=DistributionCfg(init_std=1.0, std_type="log"))
)
"""For robots whose actions are worth half as much: with the narrower start a Go2 learns to stand, and stays."""

SYMMETRIC_WIDE_RSL_RL = replace(
    WIDE_RSL_RL,
    symmetric=True,
    fast_update=True,
    algorithm=replace(WIDE_RSL_RL.algorithm, num_learning_epochs=5),
)
"""For robots that are the same on the left and on the right, but not in front and behind: a sample has one mirror image
where an ANYmal's has three, and is learned from five times instead of three."""

_SCANNING = (256, 128, 128)
"""Hidden layers of a network that reads a height scan."""

ROUGH_RSL_RL = replace(
    SYMMETRIC_RSL_RL,
    late_inputs=("height_scan",),
    actor=replace(RSL_RL.actor, hidden_dims=_SCANNING),
    critic=replace(RSL_RL.critic, hidden_dims=_SCANNING),
)

WIDE_ROUGH_RSL_RL = replace(ROUGH_RSL_RL, actor=replace(WIDE_RSL_RL.actor, hidden_dims=_SCANNING))

SKRL = SkrlCfg(
    rollouts=24,
    kl_threshold=0.02,
    entropy_loss_scale=0.003,
    observation_preprocessor=True,
    initial_log_std=-0.7,
)

BIPED_RSL_RL = replace(
    RSL_RL,
    quiet_start=True,
    actor=replace(RSL_RL.actor, distribution_cfg=DistributionCfg(init_std=0.3, std_type="log")),
    algorithm=replace(RSL_RL.algorithm, desired_kl=0.04),
)
"""For bipeds: large movements make them fall before they have taken a step.

An update may change the policy by so much in all, measured in deviations of the actions: more joints need more of it.
"""
