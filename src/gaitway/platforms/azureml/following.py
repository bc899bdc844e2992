"""A job while it runs and after: its status in our words, its log from the files that its run details name.

Not the client's ``stream``: given a signature in place of an account key it prints the storage's refusal as log text.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gaitway_runtime.container import RESULT_MARK
from gaitway_runtime.tracking.redaction import scrub

from ...errors import ConfigError
from ..base import RunRef, RunStatus, StatusReport
from ..container_log import result_in
from .client import Azure, Workspace
from .sending import FOLDER, RECORD_FILE

STATUSES = {
    **dict.fromkeys(("NotStarted", "Starting", "Provisioning", "Preparing", "Queued", "Scheduled"), RunStatus.QUEUED),
    **dict.fromkeys(("Running", "Finalizing", "CancelRequested", "NotResponding", "Paused"), RunStatus.RUNNING),
    "Completed": RunStatus.SUCCEEDED,
    "Failed": RunStatus.FAILED,
    "Canceled": RunStatus.CANCELLED,
}
"""Azure ML's states in our words."""

POLL_S = 3.0
SHOWN_LINES = 3
"""Log lines that are shown when a job has failed without a word of the runtime's."""

TAIL_BYTES = 1 << 18
"""End of a log that is looked at for the result [bytes]."""

_LOGS = ("user_logs/std_log", "azureml-logs/70_driver_log")
"""Beginnings of the names of what a job prints; the first process's comes first."""


class Job:
    """One job, and whom to ask about it."""

    def __init__(self, ref: RunRef, run_dir: Path, azure: Azure | None = None) -> None:
        record = _record(ref, run_dir)
        self.ref = ref
        self.experiment = str(record["experiment"])
        self.azure = azure or Azure(Workspace(record["names"], record["origins"]))

    def status(self) -> str:
        """Return Azure ML's own word for how the job is doing."""
        return str(self.azure.get(f"/jobs/{self.ref.id}")["properties"]["status"])

    def details(self) -> Mapping[str, Any]:
        """Return the run's details: error, warnings, and the addresses of its log files."""
        found: Mapping[str, Any] = self.azure.history(f"/runs/{self.ref.id}/details")
        return found


def report(ref: RunRef, run_dir: Path) -> StatusReport:
    """Ask how a job is doing.

    Raises:
        GaitwayError: Azure ML does not tell.
    """
    job = Job(ref, run_dir)
    word = job.status()
    status = STATUSES.get(word, RunStatus.UNKNOWN)
    if not status.ended:
        return StatusReport(status, word, _waits_for(word))
    details = job.details()
    lines = _last_lines(job, details)
    result = result_in(lines)
    if result is not None and status is not RunStatus.CANCELLED:
        status = RunStatus(result["status"])
    if status is RunStatus.SUCCEEDED:
        return StatusReport(status, word, "" if result else "its log holds no result", 0, result)
    code = int((result or {}).get("exit_code") or (130 if status is RunStatus.CANCELLED else 1))
    return StatusReport(status, word, _why(status, details, result, lines), code, result)


def log(ref: RunRef, run_dir: Path, follow: bool, pause: Callable[[float], object] = time.sleep) -> Iterator[str]:
    """Yield the log's lines; with ``follow`` until the job has ended.

    Raises:
        GaitwayError: The log stays out of reach.
    """
    job = Job(ref, run_dir)
    offset, rest = 0, b""
    while True:
        # Asked before reading: what was written before the end is then read after it.
        over = not follow or STATUSES.get(job.status(), RunStatus.UNKNOWN).ended
        url = _log_url(job.details())
        while url and (fresh := job.azure.text(url, offset)):
            offset += len(fresh)
            *lines, rest = (rest + fresh).split(b"\n")
            yield from _shown(lines)
        if over:
            break
        pause(POLL_S)
    yield from _shown([rest] if rest else [])


def cancel(ref: RunRef, run_dir: Path) -> StatusReport:
    """Ask Azure ML to cancel a job and wait until it has.

    Raises:
        GaitwayError: It does not.
    """
    before = report(ref, run_dir)
    if before.status.ended:
        return before
    Job(ref, run_dir).azure.cancel(ref.id)
    after = report(ref, run_dir)
    return after if after.status.ended else replace(after, detail="Azure ML was asked to cancel it and is still at it")


def _record(ref: RunRef, run_dir: Path) -> dict[str, Any]:
    path = run_dir / FOLDER / RECORD_FILE
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ConfigError(
            f"it is not known any more in which workspace {ref.name} runs", source=str(path), hint="Azure ML Studio"
        ) from None
    return found


def _log_url(details: Mapping[str, Any]) -> str | None:
    """Return the address of what the first process prints; None before it has."""
    files: Mapping[str, str] = details.get("logFiles") or {}
    return next((files[name] for start in _LOGS for name in sorted(files) if name.startswith(start)), None)


def _last_lines(job: Job, details: Mapping[str, Any]) -> list[str]:
    url = _log_url(details)
    if url is None:
        return []
    text = job.azure.text(url, max(0, job.azure.size(url) - TAIL_BYTES))
    return text.decode("utf-8", "replace").splitlines()


def _shown(lines: list[bytes]) -> Iterator[str]:
    """Yield lines as a person reads them; the result is for programs."""
    for line in lines:
        text = line.decode("utf-8", "replace").rstrip("\r")
        if not text.startswith(RESULT_MARK):
            yield text


def _waits_for(word: str) -> str:
    return "" if word == "Running" else f"Azure ML says {word}"


def _why(status: RunStatus, details: Mapping[str, Any], result: Mapping[str, Any] | None, lines: list[str]) -> str:
    """Return why a job did not succeed: the runtime's own error, else Azure ML's, and its last words."""
    if result and result.get("error"):
        return str(result["error"]["message"])
    if status is RunStatus.CANCELLED:
        return "it was cancelled"
    told = ((details.get("error") or {}).get("error") or {}).get("message")
    parts = [" ".join(scrub(str(told)).split())[:300].rstrip(".")] if told else []
    last = [line for line in lines if line.strip() and RESULT_MARK not in line][-SHOWN_LINES:]
    if last:
        parts.append("last lines: " + " | ".join(scrub(line)[:200] for line in last))
    return "; ".join(parts) or "Azure ML does not say why"
