"""Top-level entries of a checkpoint: wrappers removed from their names, and none with weights left unread."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from ..spec.errors import UsageError
from .plain_numpy import PlainArray

_TRAINING_ONLY = re.compile(
    r".*optim.*|.*scheduler.*|.*grad_scaler.*|.*loss_scaler.*|"
    r"critic.*|(?!actor).*_critic(_\d+)?(_.*)?|target_.*|.*_target|value.*|vf_.*|q_?net.*|qf\d?(_.*)?|"
    r"rnd.*|.*discriminator.*|amp_.*|reward.*|ret_rms|"
    r"privileged_obs_norm.*|critic_obs_norm.*|(log_)?entropy_.*|(log_)?alpha.*|(log_)?ent_coef.*|"
    r"iter|iteration|epoch|frame|(global_)?step|.*rng.*|.*random_state.*|wandb.*|gaitway|assymetric_vf_nets",
    re.IGNORECASE,
)
"""Entries that play no part when a policy acts: optimisers, critics, discriminators, random networks, counters."""

_RECORDS = ("infos", "env_state")
"""Entries in which trainers keep numbers of a run and of its environment; tensors of many kinds are among them."""

_WEIGHTS = re.compile(r"(.*\.)?(weight|_?(running_)?mean)")
"""A name in a state dict of layers or of observation statistics."""

_STATISTICS = re.compile(
    r"(^|.*[_.])(obs|observations?|norm\w*|mean|std|var|variance|rms|scaler?|scales|offset)([_.].*|$)"
)
"""A name of observation statistics that are kept as plain numbers."""

_NOT_OBSERVED = re.compile(r".*(reward|return|loss|length|noise|action_std|log_std|buf|command).*")
"""A name of statistics of something else."""


def unwrapped(entries: Mapping[str, object]) -> Mapping[str, object]:
    """Return entries whose state dicts have the names that they had before torch.compile or DDP wrapped them."""
    if _is_state(entries):
        return _plain_names(entries)
    return {
        key: _plain_names(value) if isinstance(value, Mapping) and _is_state(value) else value
        for key, value in entries.items()
    }


def plays_no_part(name: str) -> bool:
    """Whether an entry of that name is the training's alone."""
    return _TRAINING_ONLY.fullmatch(name) is not None


def check_all_read(entries: Mapping[str, object], read: frozenset[str]) -> None:
    """Check that every entry with weights was read, or plays no part when the policy acts.

    Args:
        entries: The checkpoint's top level.
        read: Entries that the family read, or knows to play no part.

    Raises:
        UsageError: One is left, such as an estimator or a normaliser beside the actor; the error names it.
    """
    left = [key for key in entries if key not in read and not plays_no_part(str(key))]
    unread = [str(key) for key in left if _holds_tensors(entries[key]) and key not in _RECORDS]
    for place in (key for key in left if key in _RECORDS):
        record = entries[place]
        for key, value in record.items() if isinstance(record, Mapping) else ():
            if isinstance(value, Mapping) and any(_WEIGHTS.fullmatch(str(name)) for name in value):
                unread.append(f"{place}.{key}")
    unread += [name for key in left for name in _plain_statistics(str(key), entries[key]) if name not in unread]
    if unread:
        raise UsageError(
            f"the checkpoint holds '{unread[0]}' beside the policy, which is not known here: "
            "without it the policy could act on wrong numbers",
            source=", ".join(unread),
            hint=f"if it plays no part when the policy acts, say so in a network.yaml beside the checkpoint (`ignore: "
            f"[{unread[0]}]`); if it does, export both as one ONNX file where they were made, which gaitway exam reads",
        )


def _is_state(value: Mapping[Any, Any]) -> bool:
    return bool(value) and all(isinstance(key, str) and isinstance(item, torch.Tensor) for key, item in value.items())


def _plain_statistics(name: str, value: Any) -> Iterator[str]:
    """Yield names of numpy arrays, tensors and lists of numbers that may be statistics of the observations."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _plain_statistics(f"{name}.{key}", item)
    listed = isinstance(value, list | tuple) and len(value) > 1 and all(isinstance(item, int | float) for item in value)
    array = isinstance(value, PlainArray) and value.values is not None and value.values.size > 1
    array = array or (isinstance(value, torch.Tensor) and value.numel() > 1)
    low = name.lower()
    if (listed or array) and _STATISTICS.fullmatch(low) and not _NOT_OBSERVED.fullmatch(low):
        yield name


def _plain_names(state: Mapping[str, object]) -> dict[str, object]:
    names = {name: name.replace("_orig_mod.", "") for name in state}
    while names and all(name.startswith("module.") for name in names.values()):
        names = {old: name.removeprefix("module.") for old, name in names.items()}
    if len(set(names.values())) < len(names):
        raise UsageError(
            "the checkpoint holds the same weights twice, plain and under a wrapper's name ('_orig_mod.', 'module.')",
            source=", ".join(sorted(old for old, name in names.items() if old != name)[:3]),
            hint="save one of them alone",
        )
    return {names[name]: tensor for name, tensor in state.items()}


def _holds_tensors(value: Any) -> bool:
    """Whether there are tensors in a value, or numpy arrays under the names of weights."""
    return any(
        isinstance(item, torch.Tensor) or (isinstance(item, PlainArray) and name.split(".")[-1] == "weight")
        for name, item in _items(value)
    )


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield everything in a value with the name that it has in the mapping around it."""
    pending = [("", value)]
    while pending:
        name, item = pending.pop()
        yield name, item
        if isinstance(item, Mapping):
            pending += [(str(key), inside) for key, inside in item.items()]
        elif isinstance(item, list | tuple):
            pending += [(name, inside) for inside in item]
