"""References to checkpoints: an address, a path, or ``RUN[@latest|@best|@ITERATION]``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gaitway_runtime.spec.job import THIS_MACHINE
from gaitway_runtime.spec.schemes import RUN_REFERENCE, written_forms

from ..errors import UsageError
from ..ledger import Ledger
from . import listing
from .checkpoint import ListedCheckpoint, best, latest
from .kept import KeepsCheckpoints, SourceOf, no_source
from .run_folder import RunFolder

if TYPE_CHECKING:
    from gaitway_runtime.fetch.base import Address

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
    from gaitway_runtime.fetch import parse as parse_address

    return parse_address(text)


def resolve(
    text: str, ledger: Ledger, *, platform: str = THIS_MACHINE, remote: bool = False, source_of: SourceOf = no_source
) -> str:
    """Return a concrete address for what a user wrote; addresses pass through once they are well formed.

    A run's checkpoints are looked up in its folder; only for a run that has none there is its tracking server asked.

    Args:
        text: The user's text.
        ledger: The runs of this folder.
        platform: Platform of the job that reads it.
        remote: Whether that is another machine; a file of this one travels with the job.
        source_of: Returns the platform of the run that made the checkpoint.

    Raises:
        UsageError: There is no such file, run or checkpoint, or the job could not read it where it runs.
        GaitwayError: The run's tracking server cannot be asked.
    """
    reader = source_of(platform)
    if isinstance(reader, KeepsCheckpoints) and reader.is_checkpoint_address(text.strip()):
        return text.strip()
    reference = parse(text)
    if isinstance(reference, Reference):
        return _of_run(reference, ledger, Target(platform, remote), source_of)
    path = getattr(reference, "path", None)
    return _path(path, text, remote) if isinstance(path, Path) else text.strip()


@dataclass(frozen=True)
class Target:
    """Where the job runs that reads a checkpoint."""

    platform: str
    remote: bool


def _of_run(reference: Reference, ledger: Ledger, target: Target, source_of: SourceOf) -> str:
    """Return the address of a run's checkpoint; see :func:`resolve`."""
    folder = RunFolder.read(ledger, ledger.read(reference.run))
    source = source_of(folder.record.platform)
    if isinstance(source, KeepsCheckpoints) and not source.is_tracked(folder.run_dir):
        return _handed_over(reference, folder, source, target)
    found = folder.checkpoints()
    chosen = _choose(found, reference.which)
    if chosen is None and (folder.record.platform != THIS_MACHINE or not found):
        found = listing.tracked(folder)
        chosen = _choose(found, reference.which)
    if chosen is None:
        raise _nothing(reference, found)
    return _reachable(reference, chosen, folder.store, target.remote)


def _handed_over(reference: Reference, folder: RunFolder, source: KeepsCheckpoints, target: Target) -> str:
    """Return the address of a checkpoint that the platform itself keeps."""
    record, which = folder.record, reference.which
    if which == "best":
        found = listing.kept(folder, source)
        chosen = best(found)
        if chosen is None:
            raise _nothing(reference, found)
        which = str(chosen.iteration)
    address = source.checkpoint_address(record.ref, folder.run_dir, which)
    if target.platform == record.platform:
        if address is None:
            raise _nothing(reference, [])
        return address
    name = "model_*.pt" if which == "latest" else f"model_{which}.pt"
    raise UsageError(
        f"'{reference}' is kept by {record.platform}, where a job elsewhere cannot read it",
        source="--checkpoint-uri",
        allowed=f"jobs --on {record.platform}; a file",
        hint=f"gaitway download {reference.run} --pattern 'checkpoints/{name}', then name the file",
    )


def _path(path: Path, text: str, remote: bool) -> str:
    """Return a path as the job, which runs in another folder, can use it."""
    path = path.absolute()
    if remote and path.is_dir():
        raise UsageError(
            f"'{text}' is a folder of this machine: a job elsewhere gets a file",
            source="--checkpoint-uri",
            hint=f"name one of its checkpoints: {text.rstrip('/')}/model_N.pt",
        )
    if not path.exists():
        raise UsageError(
            f"there is no file, folder or run '{text}'",
            allowed=f"{RUN_REFERENCE}, {', '.join(written_forms())}",
            hint="gaitway checkpoints",
        )
    return str(path)


def _choose(found: Sequence[ListedCheckpoint], which: str) -> ListedCheckpoint | None:
    if which == "latest":
        return latest(found)
    if which == "best":
        return best(found)
    return next((checkpoint for checkpoint in found if checkpoint.iteration == int(which)), None)


def _reachable(reference: Reference, chosen: ListedCheckpoint, store: str | None, remote: bool) -> str:
    """Return the address of a checkpoint that the job can read where it runs."""
    if not remote:
        return chosen.path or chosen.uri
    if not chosen.uri.startswith("runs:/") or (store or "").startswith("sqlite:"):
        if chosen.path is None:
            raise _out_of_reach(str(reference))
        return chosen.path
    return chosen.uri


def _out_of_reach(text: str) -> UsageError:
    return UsageError(
        f"'{text}' is on this machine only: a job elsewhere cannot read it",
        source="--checkpoint-uri",
        allowed="runs:/ or models:/ of a tracking server, or https://",
        hint="train with MLFLOW_TRACKING_URI set to a server that both reach, or upload the file to blob storage",
    )


def _nothing(reference: Reference, found: Sequence[ListedCheckpoint]) -> UsageError:
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
