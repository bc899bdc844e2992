"""The job ``ship``: the stages of a chain one after the other, each in a process of its own.

Each stage has an output folder of its own below ``stages/``; what it made appears in the run's output folder as well,
so that a shipped run looks like a training that was also judged, exported and registered. A stage that has succeeded
is not run again: started anew in the same folder, the chain continues at the stage where it stopped, a training from
its newest checkpoint.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from ..evaluation.report import REPORT_FILE
from ..process.lifecycle import bond
from ..spec import result as results
from ..spec.chain import Stage, combined, stages
from ..spec.checkpoint_files import newest_whole
from ..spec.errors import Interrupted, JobFailed
from ..spec.files import inherited_locks
from ..spec.job import Job, ShipJob, TrainJob
from ..spec.job_document import to_document
from ..spec.result import Result, write_json
from ..spec.run_context import RunContext
from ..tracking.journal import JOURNAL
from .base import Workspace

log = logging.getLogger(__name__)

FOLDER = "stages"
"""Folder of the outputs that keeps the result of each stage."""

JOB_FILE = "job.json"
LIVE = ("checkpoints", "progress.jsonl")
"""Names in the output folder that a training fills while it runs."""

POLL_S = 0.2
"""Pause between two looks at a stage's process [s]."""

_OF_THE_STAGE = (JOB_FILE, results.RESULT_FILE, JOURNAL)
"""Files that are only true of the stage itself."""


def run(job: Job, context: RunContext, workspace: Workspace) -> Result:
    """See :meth:`.base.JobModule.run`."""
    assert isinstance(job, ShipJob)
    outputs = workspace.output_dir
    done: dict[str, Result] = {}
    for stage in stages(job, lambda reader, read: str(outputs / FOLDER / read)):
        kept = results.read(outputs / FOLDER / stage.name)
        if kept is not None and kept.status == "succeeded":
            log.info("stage %s has succeeded before", stage.name)
            done[stage.name] = kept
            continue
        workspace.stop.check()
        done[stage.name] = _run_stage(stage, context, workspace)
        if done[stage.name].status != "succeeded":
            log.info("stage %s has not succeeded: the stages after it are not run", stage.name)
            break
    return combined(done)


def _run_stage(stage: Stage, context: RunContext, workspace: Workspace) -> Result:
    """Run one stage in a process of its own and return its result."""
    folder = workspace.output_dir / FOLDER / stage.name
    write_json(to_document(_continued(stage.job, folder), dataclasses.replace(context, output_dir=".")), _job(folder))
    log.info("stage %s", stage.name)
    with _shown_while_running(stage, folder, workspace.output_dir):
        environ = {**os.environ, **bond()}
        process = subprocess.Popen(_command(stage, _job(folder)), env=environ, pass_fds=inherited_locks())
        while process.poll() is None:
            if workspace.stop.wait(POLL_S):
                process.terminate()
                process.wait()
    _merge(folder, workspace.output_dir)
    found = results.read(folder)
    if found is None:
        raise _without_result(stage, process.returncode, workspace)
    return found


@contextlib.contextmanager
def _shown_while_running(stage: Stage, folder: Path, outputs: Path) -> Iterator[None]:
    """Let a training's checkpoints and progress appear in the run's output folder while it runs."""
    links = [outputs / name for name in LIVE] if isinstance(stage.job, TrainJob) else []
    for link in links:
        if link.is_dir() and not link.is_symlink():
            shutil.rmtree(link)  # what an earlier attempt has merged; it is in the stage's folder too
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(folder / link.name, outputs))
    try:
        yield
    finally:
        for link in links:
            link.unlink(missing_ok=True)


def _merge(folder: Path, outputs: Path) -> None:
    """Let the files of a stage appear in the run's output folder; they take no more room."""
    for source in sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in _OF_THE_STAGE):
        target = outputs / source.relative_to(folder)
        if target.exists() and target.name != REPORT_FILE:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)


def _job(folder: Path) -> Path:
    return folder / JOB_FILE


def _without_result(stage: Stage, code: int, workspace: Workspace) -> Interrupted | JobFailed:
    if workspace.stop.requested:
        return Interrupted(f"the job was asked to stop ({workspace.stop.reason}) during stage {stage.name}")
    return JobFailed(f"stage {stage.name} ended without a result (exit code {code})", hint="the run's log says more")


def _command(stage: Stage, path: Path) -> list[str]:
    processes = os.environ.get("NUM_GPUS", "")
    if isinstance(stage.job, TrainJob) and processes.isdecimal() and int(processes) > 1:
        launcher = "gaitway_runtime.distributed.launcher"
        return [sys.executable, "-m", launcher, "--processes", processes, "--job", str(path)]
    return [sys.executable, "-m", "gaitway_runtime", "--job", str(path)]


def _continued(job: Job, stage: Path) -> Job:
    """Return a training that continues from the newest whole checkpoint of the stage, if there is one."""
    if not isinstance(job, TrainJob):
        return job
    newest = newest_whole(stage / "checkpoints")
    return job.resuming(newest) if newest else job
