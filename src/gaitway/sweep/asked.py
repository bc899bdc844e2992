"""Jobs of a sweep's trials: what was asked, with the varied values in it; checked before anything starts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from gaitway_runtime.spec.job import TrainJob

from ..errors import UsageError, nearest
from ..preparation import Asked, prepare
from ..settings.resolve import Declared, declared
from ..variations import Assignment, SweepDesign, Variation

NOT_VARIED = (
    *("task", "seed", "imports", "overrides", "contract", "run_smoke_test", "sleep_after_unpack"),
    *("checkpoint_sha256", "register_checkpoint", "skip_register_checkpoint"),
)
"""Settings that make no variation of one training."""


def of_trial(asked: Asked, values: Assignment, seed: int) -> Asked:
    """Return what was asked, for one run of a trial. It registers no model: the winner's training does."""
    given: dict[str, Any] = {key: value for key, value in asked.values.items() if key != "register_checkpoint"}
    overrides = _overrides(given)
    for key, value in values.items():
        if "." in key:
            overrides = (*overrides, f"{key}={value}")
        else:
            given[key] = value
    changed = {"seed": str(seed), "skip_register_checkpoint": True}
    return dataclasses.replace(asked, values={**given, **changed, **({"overrides": overrides} if overrides else {})})


def check_variations(asked: Asked, design: SweepDesign, environ: Mapping[str, str]) -> None:
    """Check every key, every listed value and both ends of every range as the trials will be checked.

    Raises:
        GaitwayError: A key does not exist (the error names the nearest), or a value does not fit.
    """
    known = varied_settings()
    for variation in design.variations:
        if not variation.is_override:
            _check_setting(variation, known)
    for values in _corners(design):
        _check_trial(asked, values, design, environ)


def varied_settings() -> dict[str, Declared]:
    """Return the settings of a training that can be varied, by key."""
    return {key: item for key, item in declared([TrainJob]).items() if key not in NOT_VARIED and item.info.flags}


def _check_setting(variation: Variation, known: Mapping[str, Declared]) -> None:
    source = f"--vary {variation.text}"
    item = known.get(variation.key)
    if item is None:
        close = nearest(variation.key, known)
        raise UsageError(
            f"there is nothing to vary under the name '{variation.key}'",
            source=source,
            allowed=f"{', '.join(known)}, and the keys of --set (agent.KEY, env.KEY)",
            hint=f"did you mean {close}?" if close else "gaitway config lists the settings",
        )
    for value in variation.corners():
        item.parse(value, source)


def _check_trial(asked: Asked, values: Assignment, design: SweepDesign, environ: Mapping[str, str]) -> None:
    try:
        prepare(dataclasses.replace(of_trial(asked, values, design.seeds[0]), sweep=None), environ)
    except UsageError as error:
        raise _of_vary(error, values, design) from None


def _corners(design: SweepDesign) -> Iterator[dict[str, str]]:
    """Yield sets of values in which each value to check occurs at least once."""
    corners = {variation.key: variation.corners() for variation in design.variations}
    for number in range(max(map(len, corners.values()))):
        yield {key: values[min(number, len(values) - 1)] for key, values in corners.items()}


def _of_vary(error: UsageError, values: Assignment, design: SweepDesign) -> UsageError:
    """Return an error of a trial's ``--set`` as one of the ``--vary`` that it comes from."""
    for variation in design.variations:
        if error.source and f"{variation.key}={values[variation.key]}" in error.source:
            source = f"--vary {variation.text}"
            return UsageError(error.message, source=source, allowed=error.allowed, hint=error.hint)
    return error


def _overrides(given: Mapping[str, Any]) -> tuple[str, ...]:
    found = given.get("overrides") or ()
    return (found,) if isinstance(found, str) else tuple(found)
