"""Task of a checkpoint, as far as files of this machine tell: nothing is loaded, and no server is asked."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from . import resuming
from .checkpoint_marks import mark_of
from .ledger import Ledger, read_document


def task_of(address: str, ledger: Ledger) -> str | None:
    """Return the task that a checkpoint was trained for: as its run's record, its contract or the file itself tells.

    Args:
        address: Address of the checkpoint.
        ledger: Runs of this folder.
    """
    return _of_run(address, ledger) or _of_files(Path(address))


def _of_run(address: str, ledger: Ledger) -> str | None:
    records, _ = ledger.all()
    inside = next((record for record in records if _is_inside(address, ledger.run_dir(record.name))), None)
    if inside is not None:
        return inside.task
    run_id = resuming.tracked_run(address, ledger)
    same = [record for record in records if run_id and resuming.noted_run(ledger.run_dir(record.name)) == run_id]
    return same[-1].task if same else None


def _is_inside(address: str, folder: Path) -> bool:
    with suppress(OSError, ValueError):
        return Path(address).resolve().is_relative_to(folder.resolve())
    return False


def _of_files(path: Path) -> str | None:
    folder = path if path.is_dir() else path.parent
    for place in (folder, folder / "params", folder / "exported", folder.parent / "exported"):
        found = (read_document(place, "contract.json") or {}).get("task")
        if isinstance(found, str) and found:
            return found
    return mark_of(path, "task")
