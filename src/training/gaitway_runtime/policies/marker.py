"""Marker that gaitway writes into its own checkpoints, so that they can be read without the run's folder.

A checkpoint is weights; the activation, whether observations were normalised, and what inputs and outputs mean are
not in it. gaitway's learners add them as plain values under one key, which every library's own loader ignores:

* rsl_rl: ``runner.save(path, infos={MARKER_KEY: Marker(...).as_dict()})``
* skrl: the same mapping as one more top-level entry of the file, ``{..., MARKER_KEY: Marker(...).as_dict()}``

Standard library only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from ..spec.decoding import decode

MARKER_KEY = "gaitway"
"""Key of the marker inside ``infos`` or at the top of a checkpoint."""


@dataclass(frozen=True, kw_only=True)
class Marker:
    """Facts that the weights do not hold. A field is None where the writer did not know it."""

    task: str | None = None
    activation: str | None = None
    """Activation of the policy network, by the learning library's name (``elu``)."""
    obs_normalization: bool | None = None
    """Whether the policy's observations are normalised: the file must then hold the statistics."""
    clip_actions: float | None = None
    """The policy's outputs were clamped to ``[-clip_actions, clip_actions]`` before the environment saw them."""
    contract: str | None = None
    """The whole policy contract as JSON (:meth:`.contract.PolicyContract.to_json`)."""

    def as_dict(self) -> dict[str, str | bool | float]:
        """Return the fields that are known, as plain values that ``torch.load(weights_only=True)`` admits."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


def marker_values(entries: Mapping[str, object]) -> Mapping[str, object]:
    """Return everything that gaitway wrote into a checkpoint; empty for a file of another origin."""
    infos = entries.get("infos")
    values = infos.get(MARKER_KEY) if isinstance(infos, Mapping) else entries.get(MARKER_KEY)
    return values if isinstance(values, Mapping) else {}


def made_by_run(entries: Mapping[str, object]) -> str | None:
    """Return the MLflow run that made a checkpoint, where the file says so."""
    found = marker_values(entries).get("run_id")
    return found if isinstance(found, str) and found else None


def marker_in(entries: Mapping[str, object]) -> Marker | None:
    """Return the marker of a checkpoint, or None where there is none."""
    values = marker_values(entries)
    if not values:
        return None
    known = {field.name for field in dataclasses.fields(Marker)}
    fields = {name: value for name, value in values.items() if name in known}
    marker: Marker = decode(Marker, fields, "the checkpoint's marker")
    return marker
