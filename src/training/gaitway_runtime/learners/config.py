"""What a learner can be told, as data, in each library's own words.

A recipe is one value of these classes; ``--set agent.KEY=VALUE`` changes a field by its dotted path, and
``params/agent.yaml`` is the whole of it. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass, field


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
    late_inputs: tuple[str, ...] = ()
    """Observation terms whose weights start from zero: many noisy inputs that say nothing before the robot walks."""
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
