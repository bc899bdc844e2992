"""``python -m gaitway_runtime [--job job.json]``: run one job and write ``result.json``.

Without ``--job`` the job is ``./job.json`` if there is one, else it is read from the environment.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import logging
import os
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .distributed import group as ranks
from .distributed.group import ALONE, Rank
from .jobs import base as jobs
from .process import lifecycle, out_of_memory
from .process.lifecycle import Progress, StopRequest, handle_signals, run_exit_hooks, stop_with_parent
from .simulators import base as simulators
from .spec import result as results
from .spec.errors import GaitwayError, Interrupted, JobFailed
from .spec.files import check_payload
from .spec.job import Job
from .spec.job_document import from_environment, load
from .spec.origins import variables_of, with_origins
from .spec.result import Result
from .spec.run_context import AzureContext, RunContext
from .spec.secrets import log_to_output, scrub, scrub_output
from .spec.settings import values_from_environment
from .stores.tracking_server import local_tracking_uri
from .tracking.store_process import StoreProcess, begin_early

log = logging.getLogger("gaitway_runtime")

THREAD_ENVIRONMENT = {
    # Waiting OpenMP threads otherwise spin and take the physics threads' cores: measured 4x on two cores.
    "OMP_WAIT_POLICY": "PASSIVE",
}
"""Set before any numerical library is loaded; a value that is already there stays."""


@dataclass(frozen=True)
class Assignment:
    """The job to run, and its folder."""

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
    stop_with_parent()
    try:
        assignment = dataclasses.replace(read_assignment(options.job, os.environ), rank=rank)
    except GaitwayError as error:
        folder = options.job.parent if options.job else Path()
        return lifecycle.conclude(lifecycle.failure(None, error), rank.folder(folder / RunContext().output_dir))
    with contextlib.ExitStack() as stack:
        store = _store_beside(assignment)
        if store is not None:
            stack.callback(store.close)
        code = lifecycle.conclude(run(assignment, stop, store), assignment.output_dir)
    run_exit_hooks(code)
    return code


def _store_beside(assignment: Assignment) -> StoreProcess | None:
    """Start what gets the tracking store ready while a job starts; None where the job has no use for it."""
    uri = local_tracking_uri(assignment.context)
    # The jobs of a chain each start their own.
    if assignment.job.kind == "ship" or not assignment.rank.first or uri is None:
        return None
    return begin_early(uri)


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


def run(assignment: Assignment, stop: StopRequest, store: StoreProcess | None = None) -> Result:
    """Run a job to its end, whatever that end is.

    Args:
        assignment: The job.
        stop: Whether it was asked to stop.
        store: Process that gets its tracking store ready.
    """
    job, output_dir, rank = assignment.job, assignment.output_dir, assignment.rank
    if not rank.first and job.kind != "train":
        return Result(kind=job.kind, task=job.task, status="succeeded")  # a platform may start one process per GPU
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        # An older result in the same folder would speak for this job until it ends.
        (output_dir / results.RESULT_FILE).unlink(missing_ok=True)
    except OSError as error:
        return lifecycle.failure(job, lifecycle.cannot_write(error, output_dir) or _unexpected(error))
    workspace = jobs.Workspace(output_dir, stop, Progress(output_dir, quiet=not rank.first), rank, store)
    lifecycle.on_hang(lambda error: lifecycle.leave(lifecycle.conclude(lifecycle.failure(job, error), output_dir)))
    began = time.monotonic()
    try:
        job = _prepare(assignment, workspace)
        outcome = jobs.load(job.kind).run(job, assignment.context, workspace)
    except GaitwayError as error:
        outcome = lifecycle.failure(job, error)
    except KeyboardInterrupt:
        outcome = lifecycle.failure(job, Interrupted("the job was interrupted before it could save"))
    except Exception as error:  # noqa: BLE001 - the outermost edge: whatever happened must reach result.json
        outcome = lifecycle.failure(job, _explained(error, job, output_dir))
    return dataclasses.replace(_with_origins(outcome, assignment), seconds=time.monotonic() - began)


def _with_origins(result: Result, assignment: Assignment) -> Result:
    """Return a result whose error names the variables that set what the job was asked, in place of their flags."""
    source = (result.error or {}).get("from")
    if not isinstance(source, str):
        return result
    variables = variables_of(type(assignment.job), assignment.context.tags)
    return dataclasses.replace(result, error={**(result.error or {}), "from": with_origins(source, variables)})


def _prepare(assignment: Assignment, workspace: jobs.Workspace) -> Job:
    """Do what every kind of job asks for before it starts; return the job with its simulator chosen."""
    job = assignment.job
    if assignment.rank.first:
        check_payload(assignment.folder / "payload", assignment.folder / "payload.json")
    if job.sleep_after_unpack:
        workspace.progress.phase("waiting")
        log.info("waiting %d s for inspection, then continuing: %s", job.sleep_after_unpack, Path.cwd())
        workspace.stop.wait(job.sleep_after_unpack)
        workspace.stop.check()
    if job.run_smoke_test and assignment.rank.first:
        from .tracking import smoke

        workspace.progress.phase("smoke test")
        smoke.run(job, assignment.context)
    job = simulators.resolved(job)
    if job.simulator == "isaaclab":
        # Some releases must run before torch is imported, which the jobs' own modules do; they import tasks themselves.
        from .simulators import isaaclab

        workspace.progress.phase("starting")
        isaaclab.start_first()
    elif job.imports:
        simulators.import_task_modules(job.imports)
    return job


def _explained(error: Exception, job: Job, output_dir: Path) -> JobFailed:
    full = lifecycle.cannot_write(error, output_dir) if isinstance(error, OSError) else None
    if full is not None:
        return full
    print(scrub(traceback.format_exc()), file=sys.stderr)
    return out_of_memory.explained(error, job.num_envs) or _unexpected(error)


def _unexpected(error: Exception) -> JobFailed:
    message = f"the job ended unexpectedly: {type(error).__name__}: {error}"
    return JobFailed(message, hint="the traceback is in the run's log")


def _set_up_process(rank: Rank) -> None:
    for name, value in THREAD_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    prefix = "" if rank.first else f"{rank} | "
    log_to_output(prefix, logging.INFO if rank.first else logging.WARNING)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m gaitway_runtime", description=__doc__)
    parser.add_argument("--job", type=Path, help="job.json; its folder gets the outputs")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    scrub_output()
    sys.exit(main())
