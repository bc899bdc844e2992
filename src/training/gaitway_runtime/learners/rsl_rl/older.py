"""Checkpoints of rsl_rl before 4 as the start of a training with a later release."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ..checkpoints import SavedTraining

_NORMALIZERS = {
    "actor": ("obs_norm_state_dict",),
    "critic": ("critic_obs_norm_state_dict", "privileged_obs_norm_state_dict"),
}
"""Entries of a file of rsl_rl 2.x with the statistics of each network's observations."""


def converted(saved: SavedTraining, *, log_std: bool) -> SavedTraining:
    """Return a checkpoint's weights and statistics in the layout of rsl_rl 4 and later, without its optimiser.

    One that is in it already stays as it is, and so do recurrent and distilled policies.

    Args:
        saved: The checkpoint.
        log_std: Whether the networks that take it hold the logarithm of their spread.
    """
    state = saved.content.get("model_state_dict")
    if not isinstance(state, Mapping) or not all(name.startswith(_PLAIN) for name in state):
        return saved
    networks = {f"{name}_state_dict": _network(saved.content, state, name) for name in _NORMALIZERS}
    networks["actor_state_dict"] |= _spread(state, log_std=log_std)
    others = {key: value for key, value in saved.content.items() if key not in _LEFT}
    return dataclasses.replace(saved, content={**others, **networks})


_PLAIN = ("actor.", "critic.", "actor_obs_normalizer.", "critic_obs_normalizer.", "std", "log_std")
_LEFT = ("model_state_dict", "optimizer_state_dict", *(name for names in _NORMALIZERS.values() for name in names))


def _network(content: Mapping[str, Any], state: Mapping[str, Any], name: str) -> dict[str, Any]:
    prefix = f"{name}."
    layers = {f"mlp.{key.removeprefix(prefix)}": value for key, value in state.items() if key.startswith(prefix)}
    inside = f"{name}_obs_normalizer."
    statistics = {key.removeprefix(inside): value for key, value in state.items() if key.startswith(inside)}
    for entry in _NORMALIZERS[name]:
        if not statistics and isinstance(content.get(entry), Mapping):
            statistics = dict(content[entry])
    return {**{f"obs_normalizer.{key}": value for key, value in statistics.items()}, **layers}


def _spread(state: Mapping[str, Any], *, log_std: bool) -> dict[str, Any]:
    if "log_std" in state:
        return _named(state["log_std"] if log_std else state["log_std"].exp(), log_std=log_std)
    if "std" in state:
        return _named(state["std"].log() if log_std else state["std"], log_std=log_std)
    return {}


def _named(value: Any, *, log_std: bool) -> dict[str, Any]:
    return {f"distribution.{'log_std' if log_std else 'std'}_param": value}
