"""Interface of a job module, its workspace, the tracked run around its work, and trainings of several processes."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from ..distributed.group import ALONE, Rank
from ..learners.base import LearnerTraining, TrainingStart
from ..process.lifecycle import Progress, StopRequest
from ..spec.errors import Interrupted, UsageError
from ..spec.job import Job, TrainJob
from ..spec.result import Result
from ..spec.run_context import RunContext
from ..stores.tracking_server import outlives_job
from ..tracking import mlflow_tracker
from ..tracking.file_tracker import FileTracker

if TYPE_CHECKING:
    from ..distributed.group import Group
    from ..fetch import Fetched
    from ..learners.base import Learner
    from ..tracking.base import Tracker
    from ..tracking.store_process import StoreProcess


JOBS: dict[str, str] = {
    "train": "gaitway_runtime.jobs.train",
    "validate": "gaitway_runtime.jobs.validate",
    "infer": "gaitway_runtime.jobs.infer",
    "dump-contract": "gaitway_runtime.jobs.dump_contract",
    "ship": "gaitway_runtime.jobs.ship",
    "register": "gaitway_runtime.jobs.register",
}
"""Job modules by kind, imported when a job of that kind runs."""


@dataclass(frozen=True)
class Workspace:
    """What a job works with."""

    output_dir: Path
    """Folder for everything that this process makes."""
    stop: StopRequest
    """Whether the job was asked to stop."""
    progress: Progress
    """Where the job reports how far it is."""
    rank: Rank = ALONE
    """The place of this process among those that train together."""
    store: StoreProcess | None = None
    """Process that gets the job's tracking store ready while the job starts."""


class JobModule(Protocol):
    """A module in :data:`JOBS`."""

    def run(self, job: Job, context: RunContext, workspace: Workspace) -> Result:
        """Do the job and return how it ended; the caller writes ``result.json``.

        A result may have status ``failed`` (a gate that was not met, with ``exit_code`` 5 and the ``error``) or
        ``cancelled`` (asked to stop, and saved).

        Raises:
            GaitwayError: The job cannot be done; the caller turns the error into a result.
        """
        ...


def load(kind: str) -> JobModule:
    """Return the module that runs jobs of a kind.

    Raises:
        UsageError: There is none.
    """
    if kind not in JOBS:
        raise UsageError(f"unknown job kind '{kind}'", allowed=", ".join(JOBS))
    module: JobModule = importlib.import_module(JOBS[kind])
    return module


@contextlib.contextmanager
def tracked_run(
    job: Job,
    context: RunContext,
    output_dir: Path,
    *,
    run_id: str | None = None,
    store: StoreProcess | None = None,
    wait: bool = True,
) -> Iterator[Tracker]:
    """Open the job's MLflow run and say so in the log; what is raised inside closes it as what it was.

    Args:
        job: The job.
        context: The run it is part of.
        output_dir: The job's output folder.
        run_id: MLflow run to continue.
        store: Process that gets its store ready.
        wait: Whether to wait until the run is open; else :func:`settle` is to be called.
    """
    tracker: Tracker
    if outlives_job(context):
        tracker = mlflow_tracker.open_tracker(
            job, context, run_id=run_id, output_dir=output_dir, process=store, wait=wait
        )
    else:
        tracker = FileTracker(job, context, output_dir)
    if wait:
        settle(tracker)
    with contextlib.ExitStack() as stack:
        stack.push(functools.partial(_close_after_error, tracker))
        yield tracker


def fetch_checkpoint(uri: str, job: Job, context: RunContext, workspace: Workspace) -> Fetched:
    """Fetch the checkpoint that a job begins with into its output folder.

    Args:
        uri: Address of the checkpoint.
        job: The job; its expected hash is checked.
        context: The run it is part of.
        workspace: Its folder, and the process that has MLflow.

    Raises:
        GaitwayError: The checkpoint cannot be fetched.
    """
    from ..tracking.store_process import fetch_beside

    folder = workspace.output_dir / "start"
    return fetch_beside(workspace.store, uri, folder, expected_sha256=job.checkpoint_sha256, context=context)


def settle(tracker: Tracker) -> None:
    """Wait until a run is open and say so in the log; the form of the lines is a contract with all who search for it.

    Raises:
        ConfigError: The tracking server refuses this job.
    """
    tracker.settle()
    print(f"INFO | MLflow tracking configured: experiment={tracker.experiment}", flush=True)
    if tracker.url:
        print(f"View run at: {tracker.url}", flush=True)


def _close_after_error(
    tracker: Tracker, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
) -> None:
    """Close a run as what it was when something was raised; a job that got to its end closes it itself."""
    if kind is not None:
        tracker.close("KILLED" if issubclass(kind, (Interrupted, KeyboardInterrupt)) else "FAILED")


def with_rank_seed(job: TrainJob, rank: Rank) -> TrainJob:
    """Return the job with a seed of this rank's own, so that no two see the same episodes."""
    return dataclasses.replace(job, seed=job.seed + rank.number)


def common_start(start: TrainingStart | None, group: Group, folder: Path) -> TrainingStart:
    """Return rank 0's start to all, with copies of its checkpoint and companion.

    Args:
        start: Where rank 0 starts from; None on the others.
        group: The processes that train together.
        folder: Gets the copies.
    """
    files = [found.path for found in (start.saved, start.state) if found] if start else []
    mine = {"mode": start.mode, "names": [path.name for path in files], "no_state": start.no_state} if start else {}
    shared = json.loads(group.share(json.dumps(mine).encode()))
    contents = [group.share(files[number].read_bytes() if files else b"") for number in range(len(shared["names"]))]
    if start is not None:
        return start
    copies = [folder / name for name in shared["names"]]
    for copy, content in zip(copies, contents, strict=True):
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(content)
    # They import torch, which some simulators must be started before.
    from ..learners.checkpoints import open_saved
    from ..learners.state import open_state

    return TrainingStart(
        mode=shared["mode"],
        saved=open_saved(copies[0]) if copies else None,
        state=open_state(copies[1]) if len(copies) > 1 else None,
        no_state=shared["no_state"],
    )


def should_stop(workspace: Workspace, group: Group) -> bool:
    """Return whether any process was asked to stop: all then stop at the same iteration."""
    agreed = group.agree(workspace.stop.requested)
    if agreed:
        workspace.stop.request("another process was asked to")
    # Not what is requested by now: a signal after the question would stop this process alone.
    return agreed


def train_beside_rank_zero(training: LearnerTraining, learner: Learner, workspace: Workspace) -> Result:
    """Train with rank 0, which alone reports.

    Raises:
        Interrupted: All were asked to stop: a platform that starts one of them again must start them all.
    """
    group = training.group
    outcome = learner.train(training, _QuietCallbacks(workspace, group), {})
    group.leave()
    if outcome.stopped:
        # Some launchers end rank 0, which still saves, as soon as another one reports a stop.
        group.await_rank_zero()
        raise Interrupted(f"the training was stopped ({workspace.stop.reason})")
    return Result(kind=training.job.kind, task=training.job.task, status="succeeded")


class _QuietCallbacks:
    """Callbacks that report nothing; see :class:`..learners.base.Callbacks`."""

    def __init__(self, workspace: Workspace, group: Group) -> None:
        self._workspace = workspace
        self._group = group

    def on_iteration(self, iteration: int, total: int, steps: int, metrics: Mapping[str, float]) -> None:
        """See :meth:`.Callbacks.on_iteration`."""

    def on_checkpoint(self, path: Path, iteration: int) -> None:
        """See :meth:`.Callbacks.on_checkpoint`."""

    def should_stop(self) -> bool:
        """See :meth:`.Callbacks.should_stop`."""
        return should_stop(self._workspace, self._group)
