"""Settings with which an arm learns to reach."""

from dataclasses import replace

from ..learning import ActorCfg, DistributionCfg, ModelCfg, PpoCfg, RslRlCfg

POSITION_RSL_RL = RslRlCfg(
    num_steps_per_env=24,
    torch_threads=2,
    fast_update=True,
    actor=ActorCfg(
        hidden_dims=(64, 64), obs_normalization=True, distribution_cfg=DistributionCfg(init_std=0.3, std_type="log")
    ),
    critic=ModelCfg(hidden_dims=(64, 64), obs_normalization=True),
    algorithm=PpoCfg(num_learning_epochs=5, desired_kl=0.02, gamma=0.97, entropy_coef=0.0),
)
"""For the position alone: small networks and a narrow start."""

FRANKA_RSL_RL = replace(
    POSITION_RSL_RL,
    num_steps_per_env=12,
    initial_std=(("panda_joint7", 1.2),),
    actor=ActorCfg(
        hidden_dims=(128, 128), obs_normalization=True, distribution_cfg=DistributionCfg(init_std=0.5, std_type="log")
    ),
    critic=ModelCfg(hidden_dims=(128, 128), obs_normalization=True),
    algorithm=replace(POSITION_RSL_RL.algorithm, desired_kl=0.03, use_mixed_precision=True),
)
"""For the whole pose: twice as many updates, and a wide start of the joint that turns the hand. Half a turn each way is
six times what an action of 1 is worth."""
