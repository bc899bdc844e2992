"""A job's ``env.KEY=VALUE`` overrides on a task: numbers and ranges, checked before anything is built."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

from ....errors import UsageError, nearest
from ....overrides import apply_overrides, keys_of
from ..terrain import KIND_NAMES, LEVELS, rough_terrain
from .cfg import Task

_POSITIVE = ("physics_dt", "decimation", "episode_length_s", "conditions.friction_scale")
_NOT_NEGATIVE = ("conditions.push", "conditions.payload")
_NO_RANGES = ("target", "training.shaping.penalty_scale")
"""Pairs of numbers that are not a lower and an upper bound."""
_NAMES = ("terrain.kind",)
"""Values that are a name or nothing."""


def with_overrides(task: Task, overrides: Sequence[str]) -> Task:
    """Return the task with a job's overrides.

    Raises:
        UsageError: A key is unknown or has no plain value, a value does not fit, or a range is empty.
    """
    for text in overrides:
        section, _, key = text.partition("=")[0].strip().partition(".")
        if section == "env" and key in keys_of(task) and not _can_be_set(task, key):
            raise UsageError(
                f"'{section}.{key}' is not a number or a range",
                source=f"--set {text}",
                allowed=", ".join(name for name in keys_of(task) if _can_be_set(task, name)),
            )
    changed = apply_overrides(task, "env", overrides)
    _check(changed)
    return changed


def _check(task: Task) -> None:
    for key in _POSITIVE:
        if not 0 < _value(task, key) < math.inf:
            raise UsageError(f"env.{key} is {_value(task, key)}", source="--set", allowed="more than 0")
    for key in _NOT_NEGATIVE:
        if not 0 <= _value(task, key) < math.inf:
            raise UsageError(f"env.{key} is {_value(task, key)}", source="--set", allowed="0 or more")
    training = (task.training.physics_dt or task.physics_dt) * (task.training.decimation or task.decimation)
    if not math.isclose(training, task.step_dt):
        raise UsageError(
            f"a control step would last {task.step_dt:g} s, but {training:g} s in training",
            source="--set",
            hint="set env.training.physics_dt and env.training.decimation as well",
        )
    _check_terrain(task)
    for key in keys_of(task):
        value = _value(task, key)
        is_range = _is_plain(value) and isinstance(value, tuple) and len(value) == 2 and key not in _NO_RANGES
        if is_range and not (math.isfinite(value[0]) and value[0] <= value[1] < math.inf):
            raise UsageError(f"env.{key} is {value}, which is no range", source="--set", allowed="LOW,HIGH")


def _check_terrain(task: Task) -> None:
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
    if task.play and not rough_terrain(play=True).tiles(asked.kind, asked.levels).any():
        raise UsageError(
            "the ground of this -Play task has no tile of that kind and level",
            source="--set env.terrain",
            hint="the task without -Play has every kind at every level",
        )


def _value(task: Task, key: str) -> Any:
    return reduce(getattr, key.split("."), task)


def _can_be_set(task: Task, key: str) -> bool:
    return key in _NAMES or _is_plain(_value(task, key))


def _is_plain(value: Any) -> bool:
    """Whether a value is a number, or a tuple of numbers."""
    if isinstance(value, tuple):
        return bool(value) and all(isinstance(part, (int, float)) for part in value)
    return isinstance(value, (int, float))
