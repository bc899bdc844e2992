"""Reader of a checkpoint of any known library into a :class:`~.network.Policy`."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import torch

from ..spec.contract import PolicyContract
from ..spec.errors import UsageError
from . import described
from .checkpoint import Checkpoint, open_checkpoint
from .entries import check_all_read, plays_no_part, unwrapped
from .families import FAMILIES, Family
from .marker import marker_in
from .network import Policy, assemble
from .training_config import find_training_config
from .weights import ALL_PARTS, DESCRIBE

_NETWORK = re.compile(r"(.*\D)\.\d+\.weight$")
"""A layer of a ``torch.nn.Sequential`` that has a name."""


def read_checkpoint(
    checkpoint: Checkpoint | Path | str,
    *,
    activation: str | None = None,
    params_dir: Path | None = None,
    network_file: Path | None = None,
) -> Policy:
    """Return the policy in a checkpoint.

    Layer sizes come from the weights; the activation and everything else that is computed from gaitway's own marker in
    the file and the ``agent.yaml`` or ``agent.json`` of the run that made it. A ``network.yaml`` beside the checkpoint
    describes a network of an unknown library (:mod:`.described`).

    Args:
        checkpoint: An opened checkpoint, or the path of a file.
        activation: Activation of the policy network, where neither the file nor its configuration names it.
        params_dir: Folder of the training configuration, when it is not beside the file.
        network_file: Description of the network, when it is not beside the file.

    Raises:
        UsageError: The file is not a checkpoint, asks to run code, is of an unknown or unsupported kind, holds parts
            that nobody reads, lacks its observation normaliser, or its activation is unknown or contradicted.
    """
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = open_checkpoint(Path(checkpoint))
    marker = marker_in(checkpoint.entries)
    training = find_training_config(
        checkpoint, marker, activation=activation, params_dir=params_dir, network_file=network_file
    )
    entries = unwrapped(checkpoint.entries)
    name = described.NAME
    try:
        if training.network is not None:
            parts = described.read(entries, training)
        else:
            family = family_of(checkpoint)
            name = family.NAME
            parts = family.read(entries, training)
        check_all_read(entries, parts.entries_read)
        if marker is not None and marker.contract is not None:
            contract = PolicyContract.from_json(marker.contract, "the checkpoint's own contract")
            parts = dataclasses.replace(parts, contract=contract)
        return assemble(parts)
    except UsageError as error:
        error.source = error.source or f"{checkpoint.path} ({name})"
        raise


def family_of(checkpoint: Checkpoint) -> Family:
    """Return the family that a checkpoint belongs to.

    Raises:
        UsageError: No family recognises its keys.
    """
    entries = unwrapped(checkpoint.entries)
    # Families of plug-ins come first: they know a layout that a built-in one would refuse.
    known = [family for _, family in reversed(list(FAMILIES.working()))]
    for family in known:
        if family.recognises(entries):
            return family
    keys = ", ".join(repr(key) for key in list(entries)[:6])
    bare = [str(key) for key, value in entries.items() if isinstance(value, torch.Tensor) and value.dim() == 2]
    networks = {found[1] for found in map(_NETWORK.match, bare) if found and not plays_no_part(found[1])}
    raise UsageError(
        f"the checkpoint is of no known library: its keys are {keys}"
        + ("; it is a module's state dict, which does not say what is computed" if bare else ""),
        source=str(checkpoint.path),
        allowed=", ".join(family.NAME for family in reversed(known)),
        hint=ALL_PARTS if len(networks) > 1 else DESCRIBE,
    )
