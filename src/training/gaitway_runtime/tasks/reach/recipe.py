"""Settings with which an arm learns to reach: small networks and a narrow start."""

from ..learning import ActorCfg, DistributionCfg, ModelCfg, PpoCfg, RslRlCfg

RSL_RL = RslRlCfg(
    num_steps_per_env=24,
    torch_threads=2,
    fast_update=True,
    actor=ActorCfg(
        hidden_dims=(64, 64), obs_normalization=True, distribution_cfg=DistributionCfg(init_std=0.3, std_type="log")
    ),
    critic=ModelCfg(hidden_dims=(64, 64), obs_normalization=True),
    algorithm=PpoCfg(num_learning_epochs=5, desired_kl=0.02, gamma=0.97, entropy_coef=0.0),
)
