"""Reading a checkpoint of any known library into a :class:`~.network.Policy`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .contract import PolicyContract
from .families import FAMILIES, Family
from .loading import load_checkpoint
from .marker import marker_in
from .network import Policy, assemble
from .surroundings import look_around


def read_checkpoint(
    path: str | Path,
    *,
    activation: str | None = None,
    params_dir: Path | None = None,
    tags: Mapping[str, str] | None = None,
) -> Policy:
    """Read the policy in a checkpoint.

    Layer sizes come from the weights; the activation from ``activation``, gaitway's own marker in the file, the
    ``agent.yaml`` or ``agent.json`` beside it (``params/``, ``../params/``, the same folder), or the run's tags.

    Args:
        path: Checkpoint file of rsl_rl or skrl.
        activation: Activation of the policy network, when its surroundings do not tell.
        params_dir: Folder of the training configuration, when it is not beside the file.
        tags: Tags of the run that made the file.

    Raises:
        UsageError: The file is not a checkpoint, is hostile, is of an unknown or unsupported kind, lacks its
            observation normaliser, or its activation is not told.
    """
    path = Path(path)
    checkpoint = load_checkpoint(path)
    family = family_of(checkpoint, path)
    marker = marker_in(checkpoint)
    around = look_around(path, marker, activation=activation, params_dir=params_dir, tags=tags)
    try:
        parts = family.read(checkpoint, around)
        if marker is not None and marker.contract is not None:
            contract = PolicyContract.from_json(marker.contract, "the checkpoint's own contract")
            parts = dataclasses.replace(parts, contract=contract)
        return assemble(parts)
    except UsageError as error:
        error.source = error.source or f"{path} ({family.NAME})"
        raise


def family_of(checkpoint: Mapping[str, Any], path: Path) -> Family:
    """Return the family that a loaded checkpoint is of.

    Raises:
        UsageError: None knows its keys.
    """
    for family in FAMILIES:
        if family.recognises(checkpoint):
            return family
    keys = ", ".join(repr(key) for key in list(checkpoint)[:6])
    raise UsageError(
        f"the checkpoint is of no known library: its keys are {keys}",
        source=str(path),
        allowed=", ".join(family.NAME for family in FAMILIES),
    )
