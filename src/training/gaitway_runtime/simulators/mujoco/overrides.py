"""A job's ``env.KEY=VALUE`` overrides on a task: numbers and ranges, checked before anything is built."""

from __future__ import annotations

import math
import typing
from collections.abc import Iterator, Sequence
from typing import Any

from ...spec.dotted_keys import (
    apply_overrides,
    check_sections,
    keys_of,
    override_value,
    terms_by_name,
    unknown_key,
    value_at,
)
from ...spec.errors import UsageError, nearest
from ...tasks.environment import EnvCfg
from ...tasks.isaac_keys import isaac_keys
from ...tasks.terrain import KIND_NAMES, LEVELS, rough_terrain

_POSITIVE = ("physics_dt", "decimation", "episode_length_s", "conditions.friction_scale", "conditions.motor_strength")
_NOT_NEGATIVE = (
    *("conditions.push", "conditions.payload", "conditions.action_delay", "conditions.observation_delay"),
    *("conditions.joint_friction", "conditions.joint_offset", "conditions.gyro_bias", "conditions.tilt_bias"),
)
_NO_RANGES = ("target", "penalty_scale", "later", "scale")
"""Last words of the keys of pairs of numbers that are not a lower and an upper bound."""
_NAMES = ("terrain.kind",)
"""Values that are a name or nothing."""


def with_overrides(task: EnvCfg, overrides: Sequence[str]) -> EnvCfg:
    """Return the task with a job's overrides, under Isaac Lab's keys or our own.

    Raises:
        UsageError: A key is unknown or has no plain value, a value does not fit, or a range is empty.
    """
    check_sections(overrides)
    for text in overrides:
        path, _, value = text.partition("=")
        section, _, key = path.strip().partition(".")
        if section == "env":
            task = _with(task, key, value.strip(), text)
    _check(task)
    return task


def settable(task: EnvCfg) -> dict[str, Any]:
    """Return every value of a task that ``--set env.KEY=VALUE`` changes, by its key: Isaac Lab's where it has one."""
    isaac = isaac_keys(task)
    named = {native for key in isaac.values() for native in key.native}
    found = {name: key.read(task) for name, key in isaac.items()}
    ours = {name: value_at(task, name) for name in _plain_keys(task) if name not in named}
    return found | {name: value for name, value in ours.items() if value is not None or name in _NAMES}


def _with(task: EnvCfg, key: str, value: str, text: str) -> EnvCfg:
    known = isaac_keys(task)
    if key in known:
        found = override_value(known[key].hint, value, text)
        if not known[key].allows(found):
            raise UsageError(f"env.{key} is {found}", source=f"--set {text}", allowed=known[key].allowed)
        return known[key].write(task, found)
    if _is_known(task, key) and not _can_be_set(task, key):
        raise UsageError(
            f"'env.{key}' is not a number or a range", source=f"--set {text}", allowed=", ".join(settable(task))
        )
    if key not in keys_of(task):
        raise unknown_key((*known, *_plain_keys(task)), text)
    return apply_overrides(task, "env", (text,))


def _plain_keys(task: EnvCfg) -> Iterator[str]:
    return (name for name in keys_of(task) if _can_be_set(task, name))


def _is_known(task: EnvCfg, key: str) -> bool:
    """Whether a key names a value, or a tuple of terms that have names of their own."""
    return key in keys_of(task) or bool(terms_by_name(getattr(task, key, None)))


def _check(task: EnvCfg) -> None:
    for key in _POSITIVE:
        if not 0 < value_at(task, key) < math.inf:
            raise UsageError(f"env.{key} is {value_at(task, key)}", source="--set", allowed="more than 0")
    for key in _NOT_NEGATIVE:
        if not 0 <= value_at(task, key) < math.inf:
            raise UsageError(f"env.{key} is {value_at(task, key)}", source="--set", allowed="0 or more")
    training = (task.training.physics_dt or task.physics_dt) * (task.training.decimation or task.decimation)
    if not math.isclose(training, task.step_dt):
        raise UsageError(
            f"a control step would last {task.step_dt:g} s, but {training:g} s in training",
            source="--set",
            hint="set env.training.physics_dt and env.training.decimation as well",
        )
    _check_terrain(task)
    for key in _plain_keys(task):
        _check_numbers(key, value_at(task, key))


def _check_numbers(key: str, value: Any) -> None:
    """Check that numbers are finite, and that pairs of them are ranges."""
    parts = value if isinstance(value, tuple) else (value,)
    if any(isinstance(part, tuple) for part in parts):
        for part in parts:
            _check_numbers(key, part)
        return
    finite = all(map(math.isfinite, (part for part in parts if isinstance(part, (int, float)))))
    is_range = len(parts) == 2 and key.rpartition(".")[2] not in _NO_RANGES
    if is_range and not (finite and parts[0] <= parts[1]):
        raise UsageError(f"env.{key} is {value}, which is no range", source="--set", allowed="LOW,HIGH")
    if not finite:
        raise UsageError(f"env.{key} is {value}", source="--set", allowed="a number")


def _check_terrain(task: EnvCfg) -> None:
    asked = task.terrain
    if asked is None:
        return
    if not all(0 <= level < LEVELS for level in asked.levels):
        raise UsageError("a level of the terrain does not exist", source="--set", allowed=f"0 to {LEVELS - 1}")
    if asked.kind not in (None, *KIND_NAMES):
        raise UsageError(
            f"there is no ground of the kind '{asked.kind}'",
            source="--set env.terrain.kind",
            allowed=", ".join(KIND_NAMES),
            hint=f"did you mean {close}?" if (close := nearest(asked.kind or "", KIND_NAMES)) else None,
        )
    if task.play and not rough_terrain(play=True, obstacles=asked.obstacles).tiles(asked.kind, asked.levels).any():
        raise UsageError(
            "the ground of this -Play task has no tile of that kind and level",
            source="--set env.terrain",
            hint="the task without -Play has every kind at every level",
        )


def _can_be_set(task: EnvCfg, key: str) -> bool:
    value = value_at(task, key)
    return key in _NAMES or _is_plain(value) or (value is None and _may_be_plain(task, key))


def _is_plain(value: Any) -> bool:
    """Whether a value is a number, or a tuple of numbers or of such tuples."""
    if isinstance(value, tuple):
        return bool(value) and all(map(_is_plain, value))
    return isinstance(value, (int, float))


def _may_be_plain(task: EnvCfg, key: str) -> bool:
    """Whether a value that is not set may be a number, or a tuple of numbers."""
    parent, _, name = key.rpartition(".")
    hint = typing.get_type_hints(type(value_at(task, parent) if parent else task))[name]
    kinds = {kind for arm in typing.get_args(hint) for kind in typing.get_args(arm) or (arm,)}
    return kinds <= {int, float, bool, type(None), Ellipsis}
