"""What a user writes for a checkpoint: an address, a path, or ``RUN[@latest|@best|@ITERATION]``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gaitway_runtime.tracking.fetch import parse as parse_address
from gaitway_runtime.tracking.fetch.base import Address
from gaitway_runtime.tracking.fetch.local import LocalAddress

from ..errors import UsageError
from ..ledger import Ledger
from . import listing, local
from .known import Checkpoint, best, latest

FORM = "RUN[@latest|@best|@ITERATION]"

_REFERENCE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,99})(?:@(latest|best|\d{1,15}))?")


@dataclass(frozen=True)
class Reference:
    """A checkpoint of a run of the ledger."""

    run: str
    which: str = "latest"
    """``latest``, ``best`` or an iteration."""

    def __str__(self) -> str:
        """Return the reference as it is written."""
        return f"{self.run}@{self.which}"


def parse(text: str) -> Reference | Address:
    """Return what a text stands for: a run's checkpoint, or an address. A file wins over a run of its name.

    Raises:
        UsageError: It is neither.
    """
    found = _REFERENCE.fullmatch(text.strip())
    if found and not Path(text.strip()).exists():
        return Reference(found[1], found[2] or "latest")
    return parse_address(text)


def resolve(text: str, ledger: Ledger, *, remote: bool = False) -> str:
    """Return a concrete address for what a user wrote; addresses pass through once they are well formed.

    A run's checkpoints are looked up in its folder; only for a run that has none there is its tracking server asked.

    Args:
        text: What the user wrote.
        ledger: The runs of this folder.
        remote: Whether the job that reads it runs on another machine.

    Raises:
        UsageError: There is no such file, run or checkpoint, or the job could not read it where it runs.
        GaitwayError: The run's tracking server cannot be asked.
    """
    reference = parse(text)
    if isinstance(reference, LocalAddress):
        return _path(reference, text, remote)
    if not isinstance(reference, Reference):
        return text.strip()
    record = ledger.read(reference.run)
    found = listing.here(ledger, record)
    chosen = _choose(found, reference.which)
    if chosen is None and (record.platform != "local" or not found):
        found = listing.tracked(ledger, record)
        chosen = _choose(found, reference.which)
    if chosen is None:
        raise _nothing(reference, found)
    return _reachable(reference, chosen, local.store_of(ledger.run_dir(record.name)), remote)


def _path(address: LocalAddress, text: str, remote: bool) -> str:
    """Return a path as the job, which runs in another folder, can use it."""
    if remote:
        raise _out_of_reach(text)
    path = address.path.absolute()
    if not path.exists():
        raise UsageError(
            f"there is no file, folder or run '{text}'",
            allowed=f"{FORM}, a path, runs:/, models:/ or https://",
            hint="gaitway checkpoints",
        )
    return str(path)


def _choose(found: Sequence[Checkpoint], which: str) -> Checkpoint | None:
    if which == "latest":
        return latest(found)
    if which == "best":
        return best(found)
    return next((checkpoint for checkpoint in found if checkpoint.iteration == int(which)), None)


def _reachable(reference: Reference, chosen: Checkpoint, store: str | None, remote: bool) -> str:
    """Return the address of a checkpoint that the job can read where it runs."""
    if not remote:
        return chosen.path or chosen.uri
    if not chosen.uri.startswith("runs:/") or (store or "").startswith("sqlite:"):
        raise _out_of_reach(str(reference))
    return chosen.uri


def _out_of_reach(text: str) -> UsageError:
    return UsageError(
        f"'{text}' is on this machine only: a job elsewhere cannot read it",
        source="--checkpoint-uri",
        allowed="runs:/ or models:/ of a tracking server, or https://",
        hint="train with MLFLOW_TRACKING_URI set to a server that both reach, or upload the file to blob storage",
    )


def _nothing(reference: Reference, found: Sequence[Checkpoint]) -> UsageError:
    numbers = sorted(checkpoint.iteration for checkpoint in found if checkpoint.iteration is not None)
    if reference.which == "best" and found:
        message = f"no reward is known of any checkpoint of run '{reference.run}', so none is the best"
    elif found:
        message = f"run '{reference.run}' has no checkpoint {reference.which}"
    else:
        message = f"run '{reference.run}' has no checkpoint yet"
    return UsageError(
        message,
        source=str(reference),
        allowed=", ".join(map(str, numbers)) or None,
        hint=f"gaitway checkpoints {reference.run}",
    )
