"""Metrics of a run that no tracking server knows: the files that its job writes, brought to this machine.

They lie in a folder of the running task that rsync reaches, in the run's object storage with each checkpoint, and in
OSMO's own store when the task has ended.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
from pathlib import Path

from gaitway_runtime.spec.files import METRICS_FILE, PROGRESS_FILE

from ...errors import GaitwayError, PlatformError
from ..base import RunRef
from . import client, handover
from .download import download_outputs
from .query import query_workflow
from .shell import WORKSPACE, running_task
from .submit_record import read_record, workflows_of, write_record

FILES = (PROGRESS_FILE, METRICS_FILE)
PATTERN = rf"(files/{handover.OUTPUTS}/|{handover.CHECKPOINTS}/)?(progress|metrics)\.jsonl$"
"""Where they lie below a run's place in object storage."""
FILMS = rf"files/{handover.OUTPUTS}/videos/.+\.mp4$"
"""Films below that place, which are there when the task has ended."""

FRESH_S = 10.0
"""Age up to which files of a run that has not ended are not brought again [s]."""

RETRY_AFTER_S = 60.0
"""Time for which a failure is taken to last [s]: a page that is looked at asks every few seconds."""

WHOLE_KEY = "metrics_of"
"""Key of the submission's record with the workflows whose metrics are here whole."""


_log = logging.getLogger(__name__)
_lock = threading.Lock()
_failures: dict[tuple[Path, bool], tuple[float, GaitwayError]] = {}
"""Time and reason of the last failure, by the run's folder and whether it was a quick look."""


def fetch_metrics(ref: RunRef, run_dir: Path, ended: bool, quick: bool = False) -> None:
    """Bring a run's progress and metrics, as far as they go, into the ``outputs`` of its folder; at its end, films too.

    Args:
        ref: The run.
        run_dir: Its folder in the ledger.
        ended: Whether it has ended.
        quick: Whether not to look for their place in the log, which takes seconds while a run goes on.

    Raises:
        GaitwayError: They cannot be had now.
    """
    if not ref.id or handover.is_tracked(run_dir):
        return
    workflows, outputs = workflows_of(run_dir, ref.id), run_dir / "outputs"
    with _lock:
        if read_record(run_dir).get(WHOLE_KEY) == workflows or (not ended and _is_fresh(outputs)):
            return
        when, failure = _failures.get((run_dir, quick), (-RETRY_AFTER_S, None))
        if failure is not None and time.monotonic() < when + RETRY_AFTER_S:
            raise failure
        try:
            _bring_into(outputs, ref, run_dir, ended, quick)
        except GaitwayError as error:
            _failures[run_dir, quick] = time.monotonic(), error
            raise
        if ended:
            write_record(run_dir, {**read_record(run_dir), WHOLE_KEY: workflows})


def _bring_into(outputs: Path, ref: RunRef, run_dir: Path, ended: bool, quick: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="gaitway-metrics-") as place:
        _bring(ref, run_dir, ended, quick, Path(place))
        for name in FILES:
            newest = max(Path(place).rglob(name), key=lambda path: path.stat().st_size, default=None)
            if newest is not None:
                _put(newest.read_bytes(), outputs / name)
        for film in Path(place).rglob("videos/**/*.mp4"):
            _put(film.read_bytes(), outputs / "videos" / film.as_posix().rpartition("/videos/")[2])


def _bring(ref: RunRef, run_dir: Path, ended: bool, quick: bool, place: Path) -> None:
    """Copy the files into a folder, each below whatever path it has where it lies.

    Raises:
        GaitwayError: They cannot be had now.
    """
    if not ended and query_workflow(ref.id).rsync:
        _bring_from_task(ref, place)
    elif kept := handover.kept_at(run_dir) if quick else handover.find_place(ref, run_dir):
        wanted = f"({PATTERN}|{FILMS})" if ended else PATTERN
        client.output_of("data", "download", kept, str(place), "--regex", wanted)
    elif ended:
        _log.warning("bringing the metrics of %s out of OSMO's own store, once", ref.name)
        for _ in download_outputs(ref, run_dir, "*.jsonl", place):
            continue
    else:
        raise PlatformError(
            f"the metrics of {ref.name} are in its task alone until it ends",
            source="no --storage-uri, no MLflow server, and rsync is off in this OSMO",
            hint="gaitway logs RUN -f shows its progress",
        )


def _bring_from_task(ref: RunRef, place: Path) -> None:
    """Copy the files out of the running task, where they are newest.

    Raises:
        GaitwayError: Nothing runs, or rsync brings none of them.
    """
    words = ("workflow", "rsync", "download", ref.id, running_task(ref))
    done = [client.execute(*words, f"{WORKSPACE}/{name}:{place}") for name in FILES]
    if all(each.code for each in done):
        raise client.error_of(done[0].code, done[0].stdout, done[0].stderr, words)


def _is_fresh(outputs: Path) -> bool:
    try:
        return time.time() - (outputs / PROGRESS_FILE).stat().st_mtime < FRESH_S
    except OSError:
        return False


def _put(content: bytes, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(target)
