"""rsl_rl 4.x and 5.x: ``actor_state_dict`` with ``mlp.*``, ``rnn.rnn.*``, ``obs_normalizer.*``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..network import Parts
from ..surroundings import Surroundings
from ..weights import has_entry, refuse_unread, state_dict, take
from .empirical import Actor, parts_of

NAME = "rsl_rl 4.x-5.x"

_STD = ("std", "log_std", "distribution.std_param", "distribution.log_std_param")


def recognises(checkpoint: Mapping[str, Any]) -> bool:
    """Whether the checkpoint has rsl_rl's separate actor, or a distilled student."""
    return "actor_state_dict" in checkpoint or "student_state_dict" in checkpoint


def read(checkpoint: Mapping[str, Any], around: Surroundings) -> Parts:
    """Read the actor (of a distillation run: the student)."""
    role, teacher = ("actor", "critic") if "actor_state_dict" in checkpoint else ("student", "teacher")
    key = f"{role}_state_dict"
    state = state_dict(checkpoint, key)
    refuse_unread(state, ("mlp.", "rnn.rnn.", "obs_normalizer.", *_STD), role)
    actor = Actor(
        role=role,
        layers=take(state, "mlp."),
        recurrent=take(state, "rnn.rnn."),
        normalizer=take(state, "obs_normalizer."),
        normalizer_key=f"{key}.obs_normalizer",
        has_std=any(name in state for name in _STD),
        normalized_other=teacher if has_entry(checkpoint.get(f"{teacher}_state_dict"), "obs_normalizer.") else None,
    )
    return parts_of(actor, checkpoint, around, NAME)
