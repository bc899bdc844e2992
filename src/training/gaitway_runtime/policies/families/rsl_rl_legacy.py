"""rsl_rl 1.x to 3.x: one ``model_state_dict`` with ``actor.*``, ``critic.*``, ``memory_a.*``.

2.x keeps the normaliser beside the model, in ``obs_norm_state_dict``; 3.x inside it, as ``actor_obs_normalizer.*``.
2.x always writes ``privileged_obs_norm_state_dict`` with it: that is the critic's and never the policy's.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...spec.errors import UsageError
from ..network import PolicyParts
from ..training_config import TrainingConfig
from ..weights import ALL_PARTS, DESCRIBE, StateDict, has_entry, refuse_unread, state_dict, take
from .rsl_rl_common import ActorEntries, parts_of

NAME = "rsl_rl 2.x-3.x"

_ROLES = {"actor": ("memory_a", "critic", "memory_c"), "student": ("memory_s", "teacher", "memory_t")}
"""By the policy's role: its recurrent part, the other network, the other's recurrent part."""

_CLASSES = ("ActorCritic", "ActorCriticRecurrent", "StudentTeacher", "StudentTeacherRecurrent")


def recognises(entries: Mapping[str, object]) -> bool:
    """Whether the checkpoint has rsl_rl's combined actor and critic."""
    return has_entry(entries.get("model_state_dict"), ("actor.", "student."))


def read(entries: Mapping[str, object], training: TrainingConfig) -> PolicyParts:
    """Read the actor, or the student of a distillation run."""
    state = state_dict(entries, "model_state_dict")
    role = "student" if any(name.startswith("student.") for name in state) else "actor"
    memory, other, other_memory = _ROLES[role]
    mine = (f"{role}.", f"{memory}.rnn.", f"{role}_obs_normalizer.", "std", "log_std")
    # Several critics (one a reward group) are the training's; the actor beside them is rsl_rl's own.
    others = (f"{other}.", f"{other}s.", f"{other_memory}.", f"{other}_obs_normalizer.")
    refuse_unread(state, (*mine, *others), role)
    inside, beside = take(state, f"{role}_obs_normalizer."), "obs_norm_state_dict" in entries
    if inside and beside:
        raise UsageError(
            "the checkpoint holds the statistics of two observation normalisers, and nothing tells which of them the "
            "policy acts with",
            source=f"model_state_dict.{role}_obs_normalizer, obs_norm_state_dict",
            hint=DESCRIBE,
        )
    layers = _unwrapped(take(state, f"{role}."))
    networks = sorted({name.partition(".")[0] for name in layers if not name[0].isdecimal()})
    if len(networks) > 1:
        raise UsageError(
            f"the checkpoint's {role} is made of several networks ({', '.join(networks)}), not one after another",
            hint=ALL_PARTS,
        )
    actor = ActorEntries(
        role=role,
        layers=layers,
        recurrent=take(state, f"{memory}.rnn."),
        normalizer=state_dict(entries, "obs_norm_state_dict") if beside else inside,
        normalizer_key="obs_norm_state_dict" if beside else f"model_state_dict.{role}_obs_normalizer",
        has_std="std" in state or "log_std" in state,
        normalized_other=other
        if take(state, f"{other}_obs_normalizer.") or "privileged_obs_norm_state_dict" in entries
        else None,
        class_paths=("policy.class_name", "runner.policy_class_name", "policy_class_name"),
        classes=_CLASSES,
        read=frozenset({"model_state_dict", "obs_norm_state_dict"}),
    )
    return parts_of(actor, entries, training, NAME, crelu=_crelu(entries, training, normalized=bool(inside or beside)))


def _unwrapped(layers: StateDict) -> StateDict:
    """Return layers by the names that they had before DistributedDataParallel wrapped the network alone."""
    return take(layers, "module.") if all(name.startswith("module.") for name in layers) else layers


def _crelu(entries: Mapping[str, object], training: TrainingConfig, *, normalized: bool) -> str | None:
    """Return what ``crelu`` stands for: ReLU in rsl_rl 1.x, CELU later; None where nothing tells the release."""
    if training.value("runner.policy_class_name", "policy_class_name"):
        return "relu"  # 1.x names the class of the policy in the runner's settings
    later = normalized or training.value("policy.class_name") or training.written("policy.actor_obs_normalization")
    later = (
        later or training.written("obs_groups") is not None or training.written("empirical_normalization") is not None
    )
    return "celu" if later else None
