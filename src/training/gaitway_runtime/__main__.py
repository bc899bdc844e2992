"""``python -m gaitway_runtime [--job job.json]``: run one job and write ``result.json``.

Without ``--job`` the job is ``./job.json`` if there is one, else it is read from the environment.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import ending, memory, ranks, watchdog
from . import result as results
from .errors import GaitwayError, Interrupted, JobFailed
from .fields import values_from_environment
from .job import AzureContext, Job, RunContext, from_environment, load
from .jobs import base as jobs
from .lifecycle import StopRequest, handle_signals, wind_up
from .progress import Progress
from .ranks import ALONE, Rank
from .result import Result
from .simulators import base as simulators
from .tracking.redaction import ScrubbingFormatter, scrub

log = logging.getLogger("gaitway_runtime")

THREAD_ENVIRONMENT = {
    # Waiting OpenMP threads otherwise spin and take the physics threads' cores: measured 4x on two cores.
    "OMP_WAIT_POLICY": "PASSIVE",
}
"""Set before any numerical library is loaded; a value that is already there stays."""


@dataclass(frozen=True)
class Assignment:
    """The job to run and where it lies."""

    job: Job
    context: RunContext
    folder: Path
    rank: Rank = ALONE

    @property
    def output_dir(self) -> Path:
        """Folder for everything that this process makes."""
        return self.rank.folder(self.folder / self.context.output_dir)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job and return the exit code; ``result.json`` has the same and more."""
    options = _parse(arguments)
    rank = ranks.current()
    _set_up_process(rank)
    stop = handle_signals()
    try:
        assignment = dataclasses.replace(read_assignment(options.job, os.environ), rank=rank)
    except GaitwayError as error:
        folder = options.job.parent if options.job else Path()
        return ending.conclude(ending.failure(None, error), rank.folder(folder / RunContext().output_dir))
    code = ending.conclude(run(assignment, stop), assignment.output_dir)
    wind_up(code)
    return code


def read_assignment(path: Path | None, environ: Mapping[str, str]) -> Assignment:
    """Return the job of a file, of ``./job.json``, or of the environment, in this order.

    Raises:
        UsageError: It is not a job.
    """
    if path is None and Path("job.json").exists():
        path = Path("job.json")
    if path is not None:
        job, context = load(path)
        return Assignment(job, context, path.resolve().parent)
    azure = AzureContext(**values_from_environment(AzureContext, environ))
    return Assignment(from_environment(environ), RunContext(azure=azure), Path.cwd())


def run(assignment: Assignment, stop: StopRequest) -> Result:
    """Run a job to its end, whatever that end is."""
    job, output_dir, rank = assignment.job, assignment.output_dir, assignment.rank
    if not rank.first and job.kind != "train":
        return Result(kind=job.kind, task=job.task, status="succeeded")  # a platform may start one process per GPU
    output_dir.mkdir(parents=True, exist_ok=True)
    # An older result in the same folder would speak for this job until it ends.
    (output_dir / results.RESULT_FILE).unlink(missing_ok=True)
    workspace = jobs.Workspace(output_dir, stop, Progress(output_dir, quiet=not rank.first), rank)
    watchdog.on_hang(lambda error: ending.leave(ending.conclude(ending.failure(job, error), output_dir)))
    began = time.monotonic()
    try:
        _prepare(assignment, workspace)
        outcome = jobs.load(job.kind).run(job, assignment.context, workspace)
    except GaitwayError as error:
        outcome = ending.failure(job, error)
    except KeyboardInterrupt:
        outcome = ending.failure(job, Interrupted("the job was interrupted before it could save"))
    except Exception as error:  # noqa: BLE001 - the outermost edge: whatever happened must reach result.json
        print(scrub(traceback.format_exc()), file=sys.stderr)
        outcome = ending.failure(job, memory.explained(error, job.num_envs) or _unexpected(error))
    return dataclasses.replace(outcome, seconds=time.monotonic() - began)


def _prepare(assignment: Assignment, workspace: jobs.Workspace) -> None:
    """Do what every kind of job asks for before it starts."""
    job = assignment.job
    if job.sleep_after_unpack:
        workspace.progress.phase("waiting")
        log.info("waiting %d s for inspection, then going on: %s", job.sleep_after_unpack, Path.cwd())
        workspace.stop.wait(job.sleep_after_unpack)
        workspace.stop.check()
    if job.run_smoke_test and assignment.rank.first:
        from .tracking import smoke

        workspace.progress.phase("smoke test")
        smoke.run(job, assignment.context)
    if simulators.choose(job.simulator) == "isaaclab":
        # Some releases must run before torch is imported, which the jobs' own modules do; they import tasks themselves.
        from .simulators import isaaclab

        workspace.progress.phase("starting")
        isaaclab.start_first()
    elif job.imports:
        jobs.import_task_modules(job.imports)


def _unexpected(error: Exception) -> JobFailed:
    message = f"the job ended unexpectedly: {type(error).__name__}: {error}"
    return JobFailed(message, hint="the traceback is in the run's log")


def _set_up_process(rank: Rank) -> None:
    for name, value in THREAD_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # The log is read while the job runs, also when it goes to a file.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True)
    handler = logging.StreamHandler(sys.stdout)
    # The form that tools and documents grep for: "INFO | Found final model: ...".
    prefix = "" if rank.first else f"{rank} | "
    handler.setFormatter(ScrubbingFormatter(f"{prefix}%(levelname)s | %(message)s"))
    own = logging.getLogger("gaitway_runtime")
    own.handlers[:] = [handler]
    own.setLevel(logging.INFO if rank.first else logging.WARNING)
    own.propagate = False


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m gaitway_runtime", description=__doc__)
    parser.add_argument("--job", type=Path, help="job.json; its folder gets the outputs")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
