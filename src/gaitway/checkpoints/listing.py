"""Lists of checkpoint addresses, ready to paste: of one run, of a task over all runs, or of everything here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from gaitway_runtime.spec import catalog, job_document
from gaitway_runtime.spec.job import THIS_MACHINE, experiment_name
from gaitway_runtime.spec.progress_reports import reward_at, rewards_in
from gaitway_runtime.spec.run_context import RunContext

from ..errors import GaitwayError
from ..ledger import Ledger
from .checkpoint import ListedCheckpoint, best, latest, newest_last
from .kept import KeepsCheckpoints, SourceOf, no_source
from .run_folder import RunFolder

if TYPE_CHECKING:
    from .tracked import TrackedRuns


TRAINING_KINDS = ("train", "ship")
"""Kinds of jobs that make checkpoints."""


@dataclass(frozen=True)
class Listing:
    """Checkpoints, newest last."""

    checkpoints: tuple[ListedCheckpoint, ...]
    latest: ListedCheckpoint | None
    best: ListedCheckpoint | None
    """The one with the highest reward, where any is known."""
    notes: tuple[str, ...] = ()
    """Sources that were left out, with the reason."""


def of_run(ledger: Ledger, name: str, source_of: SourceOf = no_source) -> Listing:
    """List the checkpoints of one run: from its folder, its platform, or the tracking server of a run elsewhere.

    Args:
        ledger: The runs of this folder.
        name: The run.
        source_of: Returns the run's platform.

    Raises:
        UsageError: There is no such run.
        GaitwayError: The tracking server cannot be asked, and nothing is known without it.
    """
    folder = RunFolder.read(ledger, ledger.read(name))
    source = source_of(folder.record.platform)
    if isinstance(source, KeepsCheckpoints) and not source.is_tracked(folder.run_dir):
        return _listing(kept(folder, source))
    known = folder.checkpoints()
    if known and folder.record.platform == THIS_MACHINE:
        return _listing(known)
    try:
        return _listing(tracked(folder) or known)
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
        more = _tracked_runs(context).of_task(name, known)
    except GaitwayError as error:
        return _listing(found, f"the tracking server is left out: {error.message}")
    return _listing([*found, *more])


def of_everything(ledger: Ledger) -> Listing:
    """List the checkpoints that are known of without asking anyone."""
    return _listing(_of_folder(ledger, None))


def kept(folder: RunFolder, source: KeepsCheckpoints) -> list[ListedCheckpoint]:
    """Return the checkpoints of a run that its platform keeps, by references that later commands take.

    Raises:
        GaitwayError: The platform cannot be asked.
    """
    record, rewards = folder.record, rewards_in(folder.run_dir / "outputs")
    return [
        ListedCheckpoint(
            uri=f"{record.name}@{found.iteration}",
            run=record.name,
            task=record.task,
            iteration=found.iteration,
            created=record.created,
            platform=record.platform,
            reward=reward_at(rewards, found.iteration) if found.reward is None else found.reward,
        )
        for found in source.list_checkpoints(record.ref, folder.run_dir)
    ]


def tracked(folder: RunFolder) -> list[ListedCheckpoint]:
    """Return the checkpoints of a run that its tracking server knows of.

    Raises:
        GaitwayError: The run's own description is damaged, or the server cannot be asked.
    """
    runs, known = _runs_and_marks(folder)
    return runs.checkpoints_of(runs.runs_of(folder.record.name, **known))


def newest_tracked_run(folder: RunFolder) -> str | None:
    """Return MLflow's id of a run, of its newest attempt or stage; None while its server knows of none.

    Raises:
        GaitwayError: The run's own description is damaged, or the server cannot be asked.
    """
    runs, known = _runs_and_marks(folder)
    found = runs.runs_of(folder.record.name, **known)
    return str(max(found, key=lambda run: run.info.start_time).info.run_id) if found else None


class _Marks(TypedDict):
    """By what a tracking server knows a run."""

    experiment: str
    run_id: str | None
    platform: str
    attempts: tuple[str, ...]


def _runs_and_marks(folder: RunFolder) -> tuple[TrackedRuns, _Marks]:
    record = folder.record
    described, context = job_document.load(folder.run_dir / "job.json")
    # A run's name is unique in one folder alone; its id, or that of its platform, among all who use the server.
    return _tracked_runs(context), {
        "experiment": record.experiment or experiment_name(described.backend, described.task),
        "run_id": folder.mlflow_run_id,
        "platform": record.platform,
        "attempts": (context.run_id, record.id if record.platform != THIS_MACHINE else ""),
    }


def _tracked_runs(context: RunContext) -> TrackedRuns:
    from .tracked import TrackedRuns  # imports the stores, which the other lists do without

    return TrackedRuns(context)


def _of_folder(ledger: Ledger, task: str | None) -> list[ListedCheckpoint]:
    records, _ = ledger.all()
    wanted = [record for record in records if record.kind in TRAINING_KINDS and task in (None, _plain(record.task))]
    return [checkpoint for record in wanted for checkpoint in RunFolder.read(ledger, record).checkpoints()]


def _plain(task: str) -> str:
    info = catalog.find(task)
    return info.name if info else task


def _listing(found: list[ListedCheckpoint], *notes: str) -> Listing:
    return Listing(tuple(newest_last(found)), latest(found), best(found), notes)
