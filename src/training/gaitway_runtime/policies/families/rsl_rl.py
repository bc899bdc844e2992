"""rsl_rl 4.x and 5.x: ``actor_state_dict`` with ``mlp.*``, ``rnn.rnn.*``, ``obs_normalizer.*``."""

from __future__ import annotations

from collections.abc import Mapping

from ..network import PolicyParts
from ..training_config import TrainingConfig
from ..weights import has_entry, refuse_unread, state_dict, take
from .rsl_rl_common import ActorEntries, parts_of

NAME = "rsl_rl 4.x-5.x"

_STD = ("std", "log_std", "distribution.std_param", "distribution.log_std_param")


def recognises(entries: Mapping[str, object]) -> bool:
    """Whether the checkpoint has rsl_rl's separate actor, or a distilled student."""
    return "actor_state_dict" in entries or "student_state_dict" in entries


def read(entries: Mapping[str, object], training: TrainingConfig) -> PolicyParts:
    """Read the actor, or the student of a distillation run."""
    role, teacher = ("actor", "critic") if "actor_state_dict" in entries else ("student", "teacher")
    key = f"{role}_state_dict"
    state = state_dict(entries, key)
    refuse_unread(state, ("mlp.", "rnn.rnn.", "obs_normalizer.", *_STD), role)
    actor = ActorEntries(
        role=role,
        layers=take(state, "mlp."),
        recurrent=take(state, "rnn.rnn."),
        normalizer=take(state, "obs_normalizer."),
        normalizer_key=f"{key}.obs_normalizer",
        has_std=any(name in state for name in _STD),
        normalized_other=teacher if has_entry(entries.get(f"{teacher}_state_dict"), "obs_normalizer.") else None,
        class_paths=(f"{role}.class_name",),
        classes=("MLPModel", "RNNModel"),
        read=frozenset({key, f"{teacher}_state_dict"}),
    )
    return parts_of(actor, entries, training, NAME)
