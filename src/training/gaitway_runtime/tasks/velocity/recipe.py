"""Recipe of quadrupeds, on flat and rough ground. Mirrored copies make fewer samples go further and the gait even."""

from dataclasses import replace

from ..learning import ActorCfg, DistributionCfg, ModelCfg, PpoCfg, RslRlCfg, SkrlCfg

SHORT_ROLLOUT, LONG_ROLLOUT = 12, 24
"""Steps of a rollout; Isaac Lab has the long ones.

With short rollouts there are twice as many updates from as many samples, and returns vary less, for they take the
critic's word from there on. On rough ground a robot begins to walk earlier with them, and then climbs no faster and
falls more often; bipeds earn less in the end.
"""

RSL_RL = RslRlCfg(
    num_steps_per_env=SHORT_ROLLOUT,
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

SETTLING_WIDE_RSL_RL = replace(SYMMETRIC_WIDE_RSL_RL, settle=0.2)
"""For robots that nobody has tried: they train for longer, and the last updates are small."""

_SCANNING = (256, 128, 128)
"""Hidden layers of a network that reads a height scan."""

FLAT_STEPS, WIDE_FLAT_STEPS, BIPED_FLAT_STEPS = 1_000_000, 1_250_000, 2_000_000
"""Environment steps for which a training on rough ground begins its episodes on flat ground, where a scan says nothing:
for ANYmal, for robots that begin with wide movements, and for bipeds."""


def with_late_scan(recipe: RslRlCfg, flat_steps: int) -> RslRlCfg:
    """Return a recipe for rough ground from that for flat ground.

    Args:
        recipe: The recipe for flat ground.
        flat_steps: Environment steps for which episodes begin on flat ground.
    """
    return replace(
        recipe,
        num_steps_per_env=LONG_ROLLOUT,
        late_inputs=("height_scan",),
        late_steps=flat_steps,
        late_rate=0.3,
        settle=0.15,
    )


def _scanning(recipe: RslRlCfg, flat_steps: int) -> RslRlCfg:
    """Return a quadruped's recipe for rough ground: no bonus for noise, which makes robots fall there."""
    return replace(
        with_late_scan(recipe, flat_steps),
        actor=replace(recipe.actor, hidden_dims=_SCANNING),
        critic=replace(recipe.critic, hidden_dims=_SCANNING),
        algorithm=replace(recipe.algorithm, entropy_coef=0.0),
    )


ROUGH_RSL_RL = _scanning(SYMMETRIC_RSL_RL, FLAT_STEPS)

WIDE_ROUGH_RSL_RL = _scanning(SYMMETRIC_WIDE_RSL_RL, WIDE_FLAT_STEPS)

SKRL = SkrlCfg(
    rollouts=24,
    kl_threshold=0.02,
    entropy_loss_scale=0.003,
    observation_preprocessor=True,
    initial_log_std=-0.7,
)

BIPED_RSL_RL = replace(
    RSL_RL,
    num_steps_per_env=LONG_ROLLOUT,
    quiet_start=True,
    actor=replace(RSL_RL.actor, distribution_cfg=DistributionCfg(init_std=0.3, std_type="log")),
    algorithm=replace(RSL_RL.algorithm, desired_kl=0.04),
)
"""For bipeds: large movements make them fall before they have taken a step.

An update may change the policy by so much in all, measured in deviations of the actions: more joints need more of it.
"""
