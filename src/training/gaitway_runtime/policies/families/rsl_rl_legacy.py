"""rsl_rl 2.x and 3.x: one ``model_state_dict`` with ``actor.*``, ``critic.*``, ``memory_a.*``.

2.x keeps the normaliser beside the model, in ``obs_norm_state_dict``; 3.x inside it, as ``actor_obs_normalizer.*``.
2.x always writes ``privileged_obs_norm_state_dict`` with it: that is the critic's and never the policy's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..network import Parts
from ..surroundings import Surroundings
from ..weights import has_entry, refuse_unread, state_dict, take
from .empirical import Actor, parts_of

NAME = "rsl_rl 2.x-3.x"

_ROLES = {"actor": ("memory_a", "critic", "memory_c"), "student": ("memory_s", "teacher", "memory_t")}
"""By the policy's role: its recurrent part, the other network, the other's recurrent part."""


def recognises(checkpoint: Mapping[str, Any]) -> bool:
    """Whether the checkpoint has rsl_rl's combined actor and critic."""
    return has_entry(checkpoint.get("model_state_dict"), ("actor.", "student."))


def read(checkpoint: Mapping[str, Any], around: Surroundings) -> Parts:
    """Read the actor (of a distillation run: the student)."""
    state = state_dict(checkpoint, "model_state_dict")
    role = "student" if any(name.startswith("student.") for name in state) else "actor"
    memory, other, other_memory = _ROLES[role]
    mine = (f"{role}.", f"{memory}.rnn.", f"{role}_obs_normalizer.", "std", "log_std")
    refuse_unread(state, (*mine, f"{other}.", f"{other_memory}.", f"{other}_obs_normalizer."), role)
    inside, beside = take(state, f"{role}_obs_normalizer."), "obs_norm_state_dict" in checkpoint
    actor = Actor(
        role=role,
        layers=take(state, f"{role}."),
        recurrent=take(state, f"{memory}.rnn."),
        normalizer=state_dict(checkpoint, "obs_norm_state_dict") if beside and not inside else inside,
        normalizer_key="obs_norm_state_dict" if beside and not inside else f"model_state_dict.{role}_obs_normalizer",
        has_std="std" in state or "log_std" in state,
        normalized_other=other
        if take(state, f"{other}_obs_normalizer.") or "privileged_obs_norm_state_dict" in checkpoint
        else None,
    )
    return parts_of(actor, checkpoint, around, NAME)
