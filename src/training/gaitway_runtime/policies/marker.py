"""What gaitway writes into its own checkpoints and run tags, so that they can be read without the run's folder.

A checkpoint is weights; the activation, whether observations were normalised, and what inputs and outputs mean are
not in it. gaitway's learners add them as plain values under one key, which every library's own loader ignores:

* rsl_rl: ``runner.save(path, infos={MARKER_KEY: Marker(...).as_dict()})``
* skrl: the same mapping as one more top-level entry of the file, ``{..., MARKER_KEY: Marker(...).as_dict()}``

The same facts go on the tracked run as tags (:meth:`Marker.as_tags`). Standard library only.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .documents import build

MARKER_KEY = "gaitway"
"""Key of the marker inside ``infos`` or at the top of a checkpoint."""

TAG_PREFIX = "gaitway.policy."
"""Run tags carry the marker's short fields under this prefix, for example ``gaitway.policy.activation``."""


@dataclass(frozen=True, kw_only=True)
class Marker:
    """What the weights do not say. A field is None where the writer did not know it."""

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

    def as_tags(self) -> dict[str, str]:
        """Return the short fields as run tags; the contract is a file of its own there."""
        known = {name: value for name, value in self.as_dict().items() if name != "contract"}
        return {TAG_PREFIX + name: str(value) for name, value in known.items()}


def marker_in(checkpoint: Mapping[str, Any]) -> Marker | None:
    """Return the marker of a loaded checkpoint, or None where there is none."""
    infos = checkpoint.get("infos")
    values = infos.get(MARKER_KEY) if isinstance(infos, Mapping) else checkpoint.get(MARKER_KEY)
    return _from_values(values, "the checkpoint's marker") if isinstance(values, Mapping) else None


def marker_from_tags(tags: Mapping[str, str]) -> Marker | None:
    """Return the marker that a run's tags spell, or None where they say nothing of the policy."""
    values: dict[str, Any] = {
        name.removeprefix(TAG_PREFIX): value for name, value in tags.items() if name.startswith(TAG_PREFIX)
    }
    if not values:
        return None
    if "obs_normalization" in values:
        values["obs_normalization"] = values["obs_normalization"].strip().lower() in ("true", "1")
    with contextlib.suppress(KeyError, ValueError):  # what is no number stays the text it is, and is refused as one
        values["clip_actions"] = float(values["clip_actions"])
    return _from_values(values, "the run's tags")


def _from_values(values: Mapping[str, Any], source: str) -> Marker:
    known = {field.name for field in dataclasses.fields(Marker)}
    marker: Marker = build(Marker, {name: value for name, value in values.items() if name in known}, source)
    return marker
