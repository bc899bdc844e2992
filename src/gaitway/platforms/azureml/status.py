"""Status, log and cancellation of a job.

The log is read from the files that the run's details name and not with the client's ``stream``, which prints a refusal
of the storage as log text.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gaitway_runtime.spec.chain import STAGES, combined
from gaitway_runtime.spec.marks import for_people
from gaitway_runtime.spec.result import Result
from gaitway_runtime.spec.secrets import scrub
from gaitway_runtime.spec.types import JsonObject, object_at, objects_at

from ...errors import ConfigError, JobFailed
from ..base import RunRef, RunStatus, StatusReport
from ..container import result_in
from . import services
from .client import Azure, AzureWorkspace, Unanswered
from .computes import queue_reason
from .submit import FOLDER, RECORD_FILE

COMPLETED = "Completed"
COMMAND, PIPELINE = "Command", "Pipeline"
"""Azure ML's words for the state of a job that has succeeded, and for types of jobs."""

STATUSES = {
    **dict.fromkeys(("NotStarted", "Starting", "Provisioning", "Preparing", "Queued", "Scheduled"), RunStatus.QUEUED),
    **dict.fromkeys(("Running", "Finalizing", "CancelRequested", "NotResponding", "Paused"), RunStatus.RUNNING),
    COMPLETED: RunStatus.SUCCEEDED,
    "Failed": RunStatus.FAILED,
    "Canceled": RunStatus.CANCELLED,
}
"""Run status by Azure ML's state."""

EXIT_CODES = {RunStatus.FAILED: 1, RunStatus.CANCELLED: 130}
"""Exit code of a job that has left no result."""

POLL_S = 3.0
PATIENCE = 6
"""Looks in a row at a log that is followed that Azure may leave without an answer."""

LONGEST_PAUSE_S = 60.0
"""Longest pause after one of them [s]."""

SHOWN_LINES = 3
"""Log lines that are shown for a failed job without a result."""

TAIL_BYTES = 1 << 18
"""End of a log that is searched for the result [bytes]."""

_LOGS = ("user_logs/std_log", "azureml-logs/70_driver_log")
"""Beginnings of the names of log files; rank 0's comes first."""


class AzuremlJob:
    """One job and the workspace that it runs in."""

    def __init__(self, ref: RunRef, run_dir: Path, azure: Azure | None = None) -> None:
        record = _record(ref, run_dir)
        self.ref, self.run_dir, self.record = ref, run_dir, record
        self.experiment = str(record["experiment"])
        self.earlier = [str(name) for name in record.get("earlier", [])]
        """Jobs that have done parts of the run before, oldest first."""
        self.azure = azure or Azure(AzureWorkspace(record["names"], record["origins"]))

    def status(self) -> str:
        """Return Azure ML's state of the job."""
        return str(self.properties().get("status", ""))

    def properties(self) -> JsonObject:
        """Return the job's own description: status, compute, services."""
        return object_at(self.azure.get(f"/jobs/{self.ref.id}"), "properties")

    def steps(self) -> dict[str, AzuremlJob]:
        """Return the steps of a pipeline that Azure ML has started, by stage, in the order of the stages.

        Of the pipelines that a restart continued from, those that have succeeded.
        """
        found: dict[str, AzuremlJob] = {}
        for pipeline in self.earlier:
            found |= {name: step for name, step in self._steps_of(pipeline).items() if step.status() == COMPLETED}
        found |= self._steps_of(self.ref.id)
        return {stage: found[stage] for stage in STAGES if stage in found}

    def _steps_of(self, pipeline: str) -> dict[str, AzuremlJob]:
        children = objects_at(self.azure.history(f"/runs/{pipeline}/children"), "value")
        return {
            str(child.get("displayName")): AzuremlJob(
                replace(self.ref, id=str(child.get("runId"))), self.run_dir, self.azure
            )
            for child in children
        }

    def details(self) -> JsonObject:
        """Return the run's details: error, warnings, and the addresses of its log files."""
        return self.azure.history(f"/runs/{self.ref.id}/details")


def status(ref: RunRef, run_dir: Path) -> StatusReport:
    """Return the state of a job.

    Raises:
        GaitwayError: Azure ML refuses or does not answer.
    """
    job = AzuremlJob(ref, run_dir)
    about = job.properties()
    word = str(about.get("status", ""))
    found = STATUSES.get(word, RunStatus.UNKNOWN)
    if about.get("jobType") == PIPELINE:
        return _pipeline_status(job, found, word)
    if about.get("jobType") == "Sweep":
        code = {RunStatus.SUCCEEDED: 0, RunStatus.FAILED: 1, RunStatus.CANCELLED: 130}.get(found)
        return StatusReport(found, word, f"Azure ML says {word}; gaitway sweep show {ref.name} has its trials", code)
    if not found.ended:
        return StatusReport(found, word, _waits_for(job, about) if word != "Running" else services.reached(about))
    details = job.details()
    lines = _last_lines(job, details)
    result = result_in(lines)
    if result is not None and found is not RunStatus.CANCELLED:
        found = RunStatus(result.status)
    if found is RunStatus.SUCCEEDED:
        return StatusReport(found, word, "" if result else "its log holds no result", 0, result)
    code = (result.exit_code if result else 0) or EXIT_CODES[found]
    return StatusReport(found, word, _why(found, details, result, lines), code, result)


def _pipeline_status(job: AzuremlJob, found: RunStatus, word: str) -> StatusReport:
    """Return the state of a pipeline: of the stage that runs or waits, or the combined result of all of them."""
    steps = job.steps()
    if not found.ended:
        return _unfinished(steps, found, word)
    results, details, lines = {}, {}, {}
    for name, step in steps.items():
        details[name] = step.details()
        lines[name] = _last_lines(step, details[name])
        result = result_in(lines[name])
        if result is not None:
            results[name] = result
    whole, last = combined(results) if results else None, next(reversed(steps), "")
    if found is not RunStatus.SUCCEEDED and last not in results:
        why = f"stage {last}: {_why(found, details[last], None, lines[last])}" if last else "no stage was started"
        code = EXIT_CODES[found]
        error = JobFailed(why).as_dict()
        whole = whole and replace(whole, status=found.value, exit_code=code, error=error)
        return StatusReport(found, word, why, code, whole)
    if whole is None:
        return StatusReport(found, word, "no stage has left a result", 0)
    status_now = found if found is RunStatus.CANCELLED else RunStatus(whole.status)
    detail = f"stage {last}: {whole.error['message']}" if whole.error else ""
    return StatusReport(status_now, word, detail, whole.exit_code, whole)


def _unfinished(steps: Mapping[str, AzuremlJob], found: RunStatus, word: str) -> StatusReport:
    """Return the state of a pipeline that goes on, which Azure ML calls running while its first stage waits."""
    about = {name: step.properties() for name, step in steps.items()}
    words = {name: str(each.get("status", "")) for name, each in about.items()}
    waits = {name for name, each in words.items() if STATUSES.get(each) is RunStatus.QUEUED}
    said = [
        f"{name}: {_waits_for(steps[name], about[name]) if name in waits else each.lower()}"
        for name, each in words.items()
    ]
    status_now = RunStatus.QUEUED if waits and waits == words.keys() else found
    return StatusReport(status_now, word, "; ".join(said) or f"Azure ML says {word}")


def logs(ref: RunRef, run_dir: Path, follow: bool, pause: Callable[[float], object] = time.sleep) -> Iterator[str]:
    """Yield the lines of a job's log; with ``follow`` until the job ends.

    Raises:
        GaitwayError: Azure ML or the storage refuses or does not answer.
    """
    job = AzuremlJob(ref, run_dir)
    if job.properties().get("jobType") == PIPELINE:
        yield from _pipeline_logs(job, follow, pause)
    else:
        yield from _job_logs(job, follow, pause)


def _pipeline_logs(job: AzuremlJob, follow: bool, pause: Callable[[float], object]) -> Iterator[str]:
    """Yield the logs of a pipeline's stages one after the other, those of a stage that comes later too."""
    shown: set[str] = set()
    while True:
        over = not follow or STATUSES.get(job.status(), RunStatus.UNKNOWN).ended
        fresh = {name: step for name, step in job.steps().items() if name not in shown}
        for name, step in fresh.items():
            heading = [f"--- stage {name}"]
            for line in _job_logs(step, follow, pause):
                yield from (*heading, line)
                heading = []
            shown.add(name)
        if over:
            break
        pause(POLL_S)


def _job_logs(job: AzuremlJob, follow: bool, pause: Callable[[float], object]) -> Iterator[str]:
    offset, rest, failures = 0, b"", 0
    while True:
        try:
            # The state is read before the log, so that everything written before the end is still read after it.
            over = not follow or STATUSES.get(job.status(), RunStatus.UNKNOWN).ended
            url = _log_url(job.details())
            while url and (fresh := job.azure.text(url, offset)):
                offset += len(fresh)
                *lines, rest = (rest + fresh).split(b"\n")
                yield from _shown(lines)
        except Unanswered:
            failures += 1
            if not follow or failures >= PATIENCE:
                raise
        else:
            failures = 0
            if over:
                break
        pause(min(POLL_S * 2**failures, LONGEST_PAUSE_S))
    yield from _shown([rest] if rest else [])


def cancel(ref: RunRef, run_dir: Path) -> StatusReport:
    """Cancel a job and wait for Azure ML to confirm it.

    Raises:
        GaitwayError: Azure ML refuses or does not answer.
    """
    before = status(ref, run_dir)
    if before.status.ended:
        return before
    AzuremlJob(ref, run_dir).azure.cancel(ref.id)
    after = status(ref, run_dir)
    return (
        after if after.status.ended else replace(after, detail="Azure ML was asked to cancel it and has not finished")
    )


def _record(ref: RunRef, run_dir: Path) -> dict[str, Any]:
    path = run_dir / FOLDER / RECORD_FILE
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ConfigError(
            f"the record of where {ref.name} runs cannot be read", source=str(path), hint="Azure ML Studio"
        ) from None
    return found


def _log_url(details: JsonObject) -> str | None:
    """Return the address of rank 0's log; None before there is one."""
    files = object_at(details, "logFiles")
    return next((str(files[name]) for start in _LOGS for name in sorted(files) if name.startswith(start)), None)


def _last_lines(job: AzuremlJob, details: JsonObject) -> list[str]:
    url = _log_url(details)
    if url is None:
        return []
    text = job.azure.text(url, max(0, job.azure.size(url) - TAIL_BYTES))
    return text.decode("utf-8", "replace").splitlines()


def _shown(lines: list[bytes]) -> Iterator[str]:
    """Yield lines as people read them: text, without what the job tells programs."""
    for line in lines:
        text = for_people(line.decode("utf-8", "replace").rstrip("\r"))
        if text is not None:
            yield text


def _waits_for(job: AzuremlJob, about: JsonObject) -> str:
    """Return why a job is not running yet: Azure ML's warnings, else what its compute says of its nodes."""
    said = [str(item.get("message")) for item in objects_at(job.details(), "warnings") if item.get("message")]
    reason = "; ".join(" ".join(scrub(text).split())[:300].rstrip(".") for text in said)
    reason = reason or queue_reason(job.azure, str(about.get("computeId") or ""), object_at(about, "queueSettings"))
    word = f"Azure ML says {about.get('status')}"
    return f"{word}: {reason}" if reason else word


def _why(status: RunStatus, details: JsonObject, result: Result | None, lines: list[str]) -> str:
    """Return why a job did not succeed: the runtime's error, else Azure ML's error and the last log lines."""
    if result and result.error:
        return str(result.error["message"])
    if status is RunStatus.CANCELLED:
        return "it was cancelled"
    told = object_at(object_at(details, "error"), "error").get("message")
    parts = [" ".join(scrub(str(told)).split())[:300].rstrip(".")] if told else []
    last = [text for line in lines if line.strip() and (text := for_people(line)) is not None][-SHOWN_LINES:]
    if last:
        parts.append("last lines: " + " | ".join(scrub(line)[:200] for line in last))
    return "; ".join(parts) or "Azure ML gives no reason"
