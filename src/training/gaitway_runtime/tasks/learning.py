"""Settings of the learners as data, under each library's own names.

A recipe is one value of these classes; ``--set agent.KEY=VALUE`` changes a field by its dotted path, and
``params/agent.yaml`` is the whole of it. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from ..spec import catalog
from ..spec.registry import imported


@dataclass(frozen=True, kw_only=True)
class DistributionCfg:
    """Action distribution of rsl_rl's actor."""

    class_name: str = "GaussianDistribution"
    init_std: float = 1.0
    std_type: str = "scalar"
    """What is learned: the standard deviation (``scalar``) or its logarithm (``log``)."""


@dataclass(frozen=True, kw_only=True)
class ModelCfg:
    """One of rsl_rl's networks."""

    class_name: str = "MLPModel"
    hidden_dims: tuple[int, ...] = (128, 128, 128)
    activation: str = "elu"
    obs_normalization: bool = False


@dataclass(frozen=True, kw_only=True)
class ActorCfg(ModelCfg):
    """rsl_rl's actor."""

    distribution_cfg: DistributionCfg = field(default_factory=DistributionCfg)


@dataclass(frozen=True, kw_only=True)
class PpoCfg:
    """rsl_rl's PPO. The defaults are those of Isaac Lab's configurations."""

    class_name: str = "PPO"
    learning_rate: float = 1e-3
    schedule: str = "adaptive"
    desired_kl: float | None = 0.01
    num_learning_epochs: int = 5
    num_mini_batches: int = 4
    clip_param: float = 0.2
    gamma: float = 0.99
    lam: float = 0.95
    entropy_coef: float = 0.005
    value_loss_coef: float = 1.0
    use_clipped_value_loss: bool = True
    max_grad_norm: float = 1.0
    use_mixed_precision: bool = False
    """Multiply in bfloat16, on processors that have instructions for it."""


@dataclass(frozen=True, kw_only=True)
class RslRlCfg:
    """rsl_rl's ``OnPolicyRunner``."""

    num_steps_per_env: int = 24
    init_at_random_ep_len: bool = True
    """Start with episodes of random age, so that their ends are spread over the iterations."""
    torch_threads: int = 4
    """At most so many threads for the networks; small ones are faster on one."""
    mirror: bool = False
    """Add one mirrored copy to every mini-batch, where the task has symmetries."""
    symmetric: bool = False
    """With ``mirror``: tie the networks' weights so that they treat mirror images alike, which needs no copies."""
    fast_update: bool = False
    """Learn with gradients written out by hand, both networks side by side: rsl_rl's update but for rounding. Needs
    plain networks with elu, and no mirrored copies."""
    overlap: bool = False
    """With ``fast_update``: play the next rollout while the last one is learnt from, with networks that are then one
    update old. For four cores and more; needs two threads and a single process. Other numbers, but the same with every
    run of a seed."""
    settle: float = 0.0
    """Share of the training, at its end, over which the learning rate falls to a tenth (an adaptive one: what it
    adapts to), so that the last policy is no accident of the last updates."""
    initial_std: tuple[tuple[str, float], ...] = ()
    """Standard deviations at the start of the actions whose joint's name contains a text; the last match counts."""
    quiet_start: bool = False
    """Start with actions about zero. A robot and its mirror image then act alike from the beginning, whatever their
    deviations: mirrored copies of samples are as probable as the samples."""
    late_inputs: tuple[str, ...] = ()
    """Observation terms whose weights start from zero: many noisy inputs that say nothing before the robot walks."""
    late_steps: int = 0
    """Environment steps, over all worlds, for which those weights stay at zero."""
    late_rate: float = 1.0
    """What part of every step those weights then take."""
    actor: ActorCfg = field(default_factory=ActorCfg)
    critic: ModelCfg = field(default_factory=ModelCfg)
    algorithm: PpoCfg = field(default_factory=PpoCfg)


@dataclass(frozen=True, kw_only=True)
class SkrlCfg:
    """skrl's PPO with a policy and a value network of their own, by skrl's names."""

    rollouts: int = 24
    learning_epochs: int = 5
    mini_batches: int = 4
    learning_rate: float = 1e-3
    kl_threshold: float = 0.01
    """Of the adaptive learning rate."""
    discount_factor: float = 0.99
    gae_lambda: float = 0.95
    ratio_clip: float = 0.2
    value_clip: float = 0.2
    grad_norm_clip: float = 1.0
    entropy_loss_scale: float = 0.0
    value_loss_scale: float = 1.0
    rewards_shaper_scale: float = 1.0
    time_limit_bootstrap: bool = False
    observation_preprocessor: bool = False
    """Whether observations are standardised by their running statistics."""
    value_preprocessor: bool = True
    hidden_dims: tuple[int, ...] = (128, 128, 128)
    activation: str = "elu"
    initial_log_std: float = 0.0
    init_at_random_ep_len: bool = True
    """Start with episodes of random age, so that their ends are spread over the iterations."""
    torch_threads: int = 4
    """At most so many threads for the networks; small ones are faster on one."""


CPU_RSL_RL = RslRlCfg(
    num_steps_per_env=32,
    fast_update=True,
    actor=ActorCfg(
        hidden_dims=(128, 64), obs_normalization=True, distribution_cfg=DistributionCfg(init_std=0.6, std_type="log")
    ),
    critic=ModelCfg(hidden_dims=(128, 64), obs_normalization=True),
    algorithm=PpoCfg(num_learning_epochs=4, desired_kl=0.02, entropy_coef=0.0),
)
"""For a task without a recipe: normalised observations, a narrow start and a bolder step are what a few hundred
environments need."""

CPU_SKRL = SkrlCfg(
    rollouts=32,
    learning_epochs=4,
    kl_threshold=0.02,
    observation_preprocessor=True,
    hidden_dims=(128, 64),
    initial_log_std=-0.5,
)
"""The same for skrl."""

T = TypeVar("T")


def recipe_for(task: str, learner: str, default: T) -> T:
    """Return a learner's settings for a task by any of its names.

    Args:
        task: Any name of the task.
        learner: Name of the learner.
        default: For a task that has none for this learner; the recipe is of its type.

    Raises:
        ConfigError: The recipe cannot be imported, or is of another type.
    """
    info = catalog.find(task)
    reference = info.recipes.get(learner) if info else None
    return imported(reference, f"{learner} recipe of task '{task}'", type(default)) if reference else default
