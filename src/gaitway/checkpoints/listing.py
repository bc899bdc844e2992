"""Lists of checkpoint addresses, ready to paste: of one run, of a task over all runs, or of everything here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gaitway_runtime import catalog, job
from gaitway_runtime.job import RunContext

from ..errors import GaitwayError
from ..ledger import Ledger, RunRecord
from . import local
from .known import Checkpoint, best, latest, newest_last

if TYPE_CHECKING:
    from .tracked import TrackedRuns


@dataclass(frozen=True)
class Listing:
    """Checkpoints, newest last."""

    checkpoints: tuple[Checkpoint, ...]
    latest: Checkpoint | None
    best: Checkpoint | None
    """The one with the highest reward, where any is known."""
    notes: tuple[str, ...] = ()
    """What could not be looked at, and why."""


def of_run(ledger: Ledger, name: str) -> Listing:
    """List the checkpoints of one run: from its folder, or from the tracking server of a run that was elsewhere.

    Raises:
        UsageError: There is no such run.
        GaitwayError: The tracking server cannot be asked, and nothing is known without it.
    """
    record = ledger.read(name)
    known = here(ledger, record)
    if known and record.platform == "local":
        return _listing(known)
    try:
        return _listing(tracked(ledger, record) or known)
    except GaitwayError as error:
        if not known:
            raise
        return _listing(known, f"the tracking server is left out: {error.message}")


def of_task(ledger: Ledger, task: str, context: RunContext) -> Listing:
    """List the checkpoints of a task over all runs: of this folder, and what the tracking server knows beside them.

    Args:
        ledger: The runs of this folder.
        task: The task, by any of its names.
        context: Says which tracking server to ask.
    """
    name = _plain(task)
    found = _of_folder(ledger, name)
    try:
        known = {checkpoint.uri for checkpoint in found}
        more = [checkpoint for checkpoint in _tracked_runs(context).of_task(name) if checkpoint.uri not in known]
    except GaitwayError as error:
        return _listing(found, f"the tracking server is left out: {error.message}")
    return _listing([*found, *more])


def of_everything(ledger: Ledger) -> Listing:
    """List the checkpoints that are known of without asking anyone."""
    return _listing(_of_folder(ledger, None))


def here(ledger: Ledger, record: RunRecord) -> list[Checkpoint]:
    """Return the checkpoints of a run that are known of without asking anyone."""
    run_dir = ledger.run_dir(record.name)
    found = local.of_run(record, run_dir)
    ended = ledger.ended(record.name)
    return found or local.of_result(record, (ended.result if ended else None) or {})


def tracked(ledger: Ledger, record: RunRecord) -> list[Checkpoint]:
    """Return the checkpoints of a run that its tracking server knows of.

    Raises:
        GaitwayError: The run's own description is damaged, or the server cannot be asked.
    """
    described, context = job.load(ledger.run_dir(record.name) / "job.json")
    experiment = record.experiment or job.experiment_name(described.backend, described.task)
    ended = ledger.ended(record.name)
    run_id = ((ended.result if ended else None) or {}).get("mlflow_run_id")
    # A run's name is unique in one folder; the id that its platform gave it, among all who use the server.
    platform_id = record.id if record.platform != "local" else ""
    return _tracked_runs(context).of_run(record.name, experiment, run_id=run_id, platform_id=platform_id)


def _tracked_runs(context: RunContext) -> TrackedRuns:
    from .tracked import TrackedRuns  # imports MLflow's surroundings, which the other lists do without

    return TrackedRuns(context)


def _of_folder(ledger: Ledger, task: str | None) -> list[Checkpoint]:
    records, _ = ledger.all()
    wanted = [record for record in records if record.kind == "train" and task in (None, _plain(record.task))]
    return [checkpoint for record in wanted for checkpoint in here(ledger, record)]


def _plain(task: str) -> str:
    info = catalog.find(task)
    return info.name if info else task


def _listing(found: list[Checkpoint], *notes: str) -> Listing:
    return Listing(tuple(newest_last(found)), latest(found), best(found), notes)
