"""Cartpole learns best with Isaac Lab's own settings, also on two cores."""

from ..config import ActorCfg, ModelCfg, RslRlCfg

RSL_RL = RslRlCfg(
    num_steps_per_env=16,
    torch_threads=1,
    actor=ActorCfg(hidden_dims=(32, 32)),
    critic=ModelCfg(hidden_dims=(32, 32)),
)
