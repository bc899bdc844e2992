"""Ownership of a tracked run that a training continues: one training at a time writes into it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from gaitway_runtime.spec import result as results
from gaitway_runtime.spec.checkpoint_files import newest_first
from gaitway_runtime.spec.files import RUN_NOTE

from . import locks
from .checkpoint_marks import mark_of
from .errors import UsageError
from .ledger import Ledger, read_document
from .locks import Machine, Owner

LOCKS = "locks"
"""Folder of the home with a lock for each tracked run that is being continued."""

_RUN_ID = re.compile(r"[A-Za-z0-9_-]{8,100}")
_TRACKED = re.compile(r"runs:/([A-Za-z0-9_-]{1,100})(/|$)")


def tracked_run(address: str, ledger: Ledger) -> str | None:
    """Return MLflow's id of the run that a checkpoint is of, where its address, its run's folder or the file tells."""
    found = _TRACKED.match(address)
    if found:
        return found[1]
    try:
        inside = Path(address).resolve().relative_to(ledger.runs.resolve())
    except (OSError, ValueError):
        return _marked_run(Path(address))
    return noted_run(ledger.runs / inside.parts[0]) if inside.parts else None


def _marked_run(path: Path) -> str | None:
    """Return the run that a checkpoint which was copied elsewhere names itself, or the newest one of a folder."""
    try:
        if path.is_dir():
            path = path / newest_first(os.listdir(path), str(path))[0]
    except (OSError, UsageError):
        return None
    found = mark_of(path, "run_id")
    return found if found and _RUN_ID.fullmatch(found) else None


def check_free(run_id: str, ledger: Ledger) -> None:
    """Refuse to continue a tracked run that a process of this machine still writes into.

    Raises:
        UsageError: One does; the error names its run.
    """
    path = _lock(run_id, ledger)
    if locks.is_taken(path):
        raise _refused(locks.owner_of(path))
    _check_runs(run_id, ledger)


def take(run_id: str, name: str, ledger: Ledger) -> Path:
    """Take the lock of a tracked run for a run of the ledger, and return it.

    Raises:
        UsageError: Another run has it.
        OSError: It cannot be made.
    """
    path = _lock(run_id, ledger)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not locks.take(path):
        raise _refused(locks.owner_of(path))
    try:
        _check_runs(run_id, ledger, apart_from=name)
    except UsageError:
        locks.release(path)
        raise
    locks.write_owner(path, Owner(name, Machine.here().host, os.getpid()))
    return path


def _check_runs(run_id: str, ledger: Ledger, apart_from: str = "") -> None:
    """Refuse where a run of this folder that still runs has noted that it writes into the tracked run.

    One with a result is over, though its process may take seconds more to unload a simulator.
    """
    for name in ledger.names():
        run_dir = ledger.run_dir(name)
        if name == apart_from or noted_run(run_dir) != run_id or results.read(run_dir / "outputs"):
            continue
        if locks.is_taken(locks.of_run(run_dir)):
            raise _refused(Owner(name, "", 0))


def noted_run(run_dir: Path) -> str | None:
    """Return MLflow's id of the run that a run's job has noted."""
    found = (read_document(run_dir / "outputs", RUN_NOTE) or {}).get("run_id")
    return found if isinstance(found, str) else None


def _lock(run_id: str, ledger: Ledger) -> Path:
    return ledger.home / LOCKS / run_id


def _refused(owner: Owner | None) -> UsageError:
    name = owner.run if owner else ""
    where = f" (process {owner.pid} on {owner.host})" if owner and owner.pid else ""
    return UsageError(
        f"the run to resume still runs: {f'run {name!r}' if name else 'another training'}{where} writes into it",
        source="--checkpoint-uri",
        allowed="--checkpoint-mode resume once it has ended; warm-start at any time",
        hint=f"gaitway logs {name} -f waits for its end; gaitway cancel {name} ends it" if name else "gaitway runs",
    )
