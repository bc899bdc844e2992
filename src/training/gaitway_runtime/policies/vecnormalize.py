"""Statistics of Stable-Baselines3's ``VecNormalize``, out of the pickle that it keeps beside a model.

The pickle is a whole wrapper with its spaces. It is opened without running anything: numbers are read through numpy's
stand-ins, every other class becomes one that holds what it is given.
"""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..spec.errors import UsageError
from .network import Normalizer
from .plain_numpy import PlainArray, stand_ins

_LIMIT = 64 * 2**20
"""Largest file that is read [bytes]; those of real runs have a few KiB."""

_DIGITS = re.compile(r"_(\d+)_steps$")


class Inert:
    """An object of any class as a pickle describes it: it keeps its state and runs nothing."""

    def __new__(cls, *_: object, **__: object) -> Inert:
        """Take any arguments."""
        return super().__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        self.state: Mapping[str, Any] = {}

    def __setstate__(self, state: object) -> None:
        parts = state if isinstance(state, tuple) else (state,)
        self.state = {key: value for part in parts if isinstance(part, Mapping) for key, value in part.items()}

    def __setitem__(self, key: object, value: object) -> None:
        """Pass over an item."""

    def append(self, value: object) -> None:
        """Pass over an item."""

    def extend(self, values: object) -> None:
        """Pass over items."""


class _Reader(pickle.Unpickler):
    """An unpickler that imports nothing."""

    def find_class(self, module: str, name: str) -> Any:
        known = {full: stand_in for stand_in, full in stand_ins()}  # type: ignore[misc]
        return known.get(f"{module}.{name}", Inert)


def beside(model: Path) -> Path | None:
    """Return the file of statistics that belongs to a model, by the names that the library, its zoo and Isaac Lab use.

    Raises:
        UsageError: There are several, and none of them has the model's step.
    """
    name = model.stem
    step = _DIGITS.search(name)
    own = [f"{name}_vecnormalize.pkl", "vecnormalize.pkl", "vec_normalize.pkl", f"{name}.pkl"]
    if step:
        own.insert(0, f"{name[: step.start()]}_vecnormalize_{step[1]}_steps.pkl")
    found = [path for path in (model.parent / file for file in own) if path.is_file()]
    others = [path for path in sorted(model.parent.glob("*.pkl")) if "normalize" in path.stem.lower()]
    if not found and len(others) > 1:
        raise UsageError(
            "several files beside the model could hold its VecNormalize, and none has its name",
            source=str(model),
            allowed=", ".join(path.name for path in others),
            hint=f"copy the right one to {own[1]} beside it",
        )
    return next(iter((*found, *others)), None)


def read(path: Path) -> Normalizer | None:
    """Read ``clip((obs - mean) / sqrt(variance + epsilon))``; None for a wrapper that leaves observations as they are.

    Raises:
        UsageError: It is no VecNormalize, or one of several observations by name.
    """
    if path.stat().st_size > _LIMIT:
        raise UsageError("the file is too large to be a VecNormalize", source=str(path))
    try:
        wrapper = _Reader(io.BytesIO(path.read_bytes())).load()
    except (pickle.UnpicklingError, ValueError, TypeError, EOFError, AttributeError, IndexError, KeyError) as error:
        reason = " ".join(str(error).split())[:160]
        raise UsageError(f"the file is no readable VecNormalize: {reason}", source=str(path)) from None
    settings = wrapper.state if isinstance(wrapper, Inert) else {}
    if "norm_obs" not in settings or "obs_rms" not in settings:
        raise UsageError("the file is no VecNormalize of Stable-Baselines3", source=str(path))
    if not settings["norm_obs"]:
        return None
    statistics = settings["obs_rms"]
    state = statistics.state if isinstance(statistics, Inert) else {}
    found = [state.get(name) for name in ("mean", "var")]
    epsilon, clip = settings.get("epsilon", 1e-8), settings.get("clip_obs", 10.0)
    numbers = [torch.tensor(array.values).double().reshape(-1) for array in found if isinstance(array, PlainArray)]
    if len(numbers) != 2 or not all(isinstance(value, int | float) for value in (epsilon, clip)):
        raise UsageError(
            "the VecNormalize keeps statistics of several observations, not of one vector", source=str(path)
        )
    mean, variance = numbers
    return Normalizer("vec_normalize", mean.float(), torch.sqrt(variance + epsilon).float(), 0.0, float(clip))
