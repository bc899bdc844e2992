"""Cartpole learns best with Isaac Lab's own settings, also on two cores."""

from ..config import ActorCfg, ModelCfg, RslRlCfg, SkrlCfg

RSL_RL = RslRlCfg(
    num_steps_per_env=16,
    torch_threads=1,
    actor=ActorCfg(hidden_dims=(32, 32)),
    critic=ModelCfg(hidden_dims=(32, 32)),
)

SKRL = SkrlCfg(
    rollouts=16,
    learning_epochs=8,
    mini_batches=8,
    learning_rate=3e-4,
    kl_threshold=0.008,
    value_loss_scale=2.0,
    value_preprocessor=False,
    hidden_dims=(32, 32),
    torch_threads=1,
)
