"""Life of a job's process: requests to stop, the watchdog that ends it when it hangs, its end.

A request (SIGTERM of a platform, SIGINT of a user) is a flag that the job looks at between two steps, so that it can
save first. Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import faulthandler
import json
import logging
import math
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TextIO

from ..spec import result as results
from ..spec.errors import GaitwayError, Interrupted, JobFailed
from ..spec.files import PROGRESS_FILE
from ..spec.job import Job
from ..spec.registry import ForeignError, call_foreign
from ..spec.result import Result
from ..spec.secrets import scrub

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that ask a job to save and end: of a platform, a user, a terminal that is closed."""

PARENT_VARIABLE = "GAITWAY_PARENT_PID"
"""Environment variable: id of the process whose end asks this one to stop."""

_PR_SET_PDEATHSIG = 1

_log = logging.getLogger(__name__)
_handled: list[StopRequest] = []
"""The request that this process's handlers set, once they are installed."""
_exit_hooks: list[Callable[[int], None]] = []


class StopRequest:
    """Whether the job was asked to save and end, and by what."""

    def __init__(self) -> None:
        self._reason: str | None = None

    @property
    def requested(self) -> bool:
        """Whether a stop was asked for."""
        return self._reason is not None

    @property
    def reason(self) -> str:
        """What asked, for example ``SIGTERM``; empty while nothing has."""
        return self._reason or ""

    def request(self, reason: str) -> None:
        """Ask for a stop; the first reason stays."""
        self._reason = self._reason or reason

    def wait(self, seconds: float) -> bool:
        """Sleep until a stop is asked for or the time is over, and return whether one was asked for."""
        end = time.monotonic() + seconds
        while not self.requested and (left := end - time.monotonic()) > 0:
            # A handler that returns does not end a sleep (PEP 475); an Event is not safe to set from a handler.
            time.sleep(min(left, 0.1))
        return self.requested

    def check(self) -> None:
        """Raise :class:`~gaitway_runtime.spec.errors.Interrupted` when a stop was asked for."""
        if self.requested:
            raise Interrupted(f"the job was asked to stop ({self.reason})")


def handle_signals(stop: StopRequest | None = None) -> StopRequest:
    """Turn SIGTERM, SIGINT and SIGHUP into a stop request; a second SIGINT ends the process at once.

    Call it again with the same request after starting something that installs handlers of its own (Isaac Sim's
    ``AppLauncher`` does). A process started in the background by a shell inherits SIGINT ignored; that is undone here.
    A SIGHUP that is ignored (``nohup``) stays so.

    Args:
        stop: The request to set; a new one when omitted.
    """
    request = stop or StopRequest()

    def on_signal(number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if request.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        request.request(name)
        # Not print: a handler may run inside another write to the same stream.
        os.write(2, f"{name}: saving, then ending\n".encode())

    for number in STOP_SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, on_signal)
    _handled[:] = [request]
    return request


def bond() -> dict[str, str]:
    """Return the environment variable with which a process that this one starts ends with it."""
    return {PARENT_VARIABLE: str(os.getpid())}


def stop_with_parent() -> None:
    """Send this process a SIGTERM when the one that started it is gone, even if that was killed (Linux).

    Call it once the handler of the signal is installed. A parent that was killed before this call counts too: until
    an interpreter has started and imported what it needs, a second may pass.
    """
    # Taken out of the environment: what this process starts itself has another parent.
    text = os.environ.pop(PARENT_VARIABLE, "")
    if not text.isdecimal():
        return
    parent = int(text)
    if os.getppid() == parent:
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    # With another parent while the one that is named lives, a program stands in between, which is not orphaned.
    if os.getppid() != parent and not start_time(parent):
        os.kill(os.getpid(), signal.SIGTERM)


def start_time(pid: int) -> str:
    """Return the start time of a process in the kernel's clock; an empty text where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    # a zombie has ended; the start time is field 22 of proc(5), counted here from the state, which is field 3
    return "" if fields[0] in ("Z", "X") else fields[19]


def check_stop() -> None:
    """Raise :class:`~gaitway_runtime.spec.errors.Interrupted` when this process was asked to stop."""
    for request in _handled:
        request.check()


def retake_signals() -> None:
    """Install the handlers again after a library has installed its own, where this process had any."""
    if _handled:
        handle_signals(_handled[0])


def add_exit_hook(action: Callable[[int], None]) -> None:
    """Add something to do after the result is written: closing a simulator may end the process, or hang.

    Args:
        action: Called with the job's exit code; the last one added is called first.
    """
    _exit_hooks.append(action)


def run_exit_hooks(exit_code: int) -> None:
    """Run the exit hooks, and then end the process with the job's exit code; return where there are none.

    What goes wrong is logged and what hangs is ended: the result is written already.
    """
    if not _exit_hooks:
        return
    with limited(END_S, lambda: _end_hanging(exit_code)):
        while _exit_hooks:
            action = _exit_hooks.pop()
            try:
                call_foreign(lambda: action(exit_code))  # noqa: B023 - called at once
            except ForeignError as error:
                _log.warning("after the job: %s", error)
    # Python's own end would run what simulators have registered for it, which is where they crash.
    leave(exit_code)


def _end_hanging(exit_code: int) -> None:
    _log.warning("the simulator did not close within %g s; the result is written, so it is ended", END_S)
    leave(exit_code)


def failure(job: Job | None, error: GaitwayError) -> Result:
    """Return an error as the result of a job; None for a job that could not be read."""
    return Result(
        kind=job.kind if job else "unknown",
        task=job.task if job else "",
        status="cancelled" if error.exit_code == Interrupted.exit_code else "failed",
        exit_code=error.exit_code,
        error={name: scrub(text) if isinstance(text, str) else text for name, text in error.as_dict().items()},
    )


def conclude(result: Result, output_dir: Path) -> int:
    """Print a result's error, write ``result.json``, and return the exit code."""
    if result.error:
        print("\n".join(GaitwayError.from_dict(result.error).lines()), file=sys.stderr, flush=True)
    try:
        results.write(result, output_dir)
    except OSError as error:
        print(f"error: {output_dir / results.RESULT_FILE} cannot be written: {error.strerror}", file=sys.stderr)
        return result.exit_code or JobFailed.exit_code
    return result.exit_code


def cannot_write(error: OSError, output_dir: Path) -> JobFailed | None:
    """Return the error of a file system that takes nothing more as a sentence; None for any other error."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG):
        return None
    folder = next((found for found in (output_dir, *output_dir.parents) if found.exists()), Path("/"))
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(folder).free >> 20
        return JobFailed(
            f"the job's files cannot be written: {error.strerror}, {free} MiB are free",
            source=str(error.filename or output_dir),
            hint="checkpoints that are complete are safe; make room, then continue with --checkpoint-mode resume",
        )
    return JobFailed(f"the job's files cannot be written: {error.strerror}", source=str(output_dir))


def leave(code: int) -> NoReturn:
    """End the process now, whatever still hangs in it; only the output is flushed."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


END_S = 60.0
"""Time a simulator gets to close once the result is written [s]."""

LAST_RESORT_S = 15.0
"""Time until the interpreter's own watchdog ends a process that this one could not end [s]."""

STDERR = 2
"""Not ``sys.stderr``, which a library may have replaced by something without a file."""

_give_up: list[Callable[[GaitwayError], None]] = []


def on_hang(action: Callable[[GaitwayError], None]) -> None:
    """Set what ends the process with a result; it does not return. Called in a thread of its own."""
    _give_up[:] = [action]


def give_up(error: GaitwayError) -> None:
    """End the process because it hangs, in the way that was set."""
    for action in _give_up:
        action(error)


@contextlib.contextmanager
def limited(seconds: float, expire: Callable[[], None]) -> Iterator[None]:
    """Call something, in a thread of its own, when what happens inside takes too long; it should end the process."""
    timer = threading.Timer(seconds, expire)
    timer.daemon = True
    timer.start()
    faulthandler.dump_traceback_later(seconds + LAST_RESORT_S, exit=True, file=STDERR)
    try:
        yield
    finally:
        timer.cancel()
        faulthandler.cancel_dump_traceback_later()


class Progress:
    """Reports of one job.

    Args:
        output_dir: Gets ``progress.jsonl``, one JSON object a report.
        stream: Where plain lines go; standard output when omitted.
        quiet: Whether to print and write nothing: of several processes the first alone reports.
        every: Least time between two plain lines [s]; the last report of a phase is always printed.
        clock: Source of time [s], for tests.
    """

    def __init__(
        self,
        output_dir: Path,
        *,
        stream: TextIO | None = None,
        quiet: bool = False,
        every: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = output_dir / PROGRESS_FILE
        self._stream = stream
        self._quiet = quiet
        self._every = every
        self._clock = clock
        self._phase = "starting"
        self._started: tuple[float, int, float] | None = None
        self._printed = -math.inf
        self._judged: dict[str, object] = {}

    def phase(self, name: str) -> None:
        """Say that another part of the job begins (``train``, ``upload``, ``play onnx``)."""
        self._phase = name
        self._started = None
        self._judged = {}
        self._printed = -math.inf
        if not self._quiet:
            self._write({"time": self._clock(), "phase": name})

    def judged(self, evaluation: Mapping[str, float], course: str) -> None:
        """Say what the newest interim evaluation measured; the reports that follow repeat it.

        Args:
            evaluation: Its iteration, counted from one, and what it measured, by the names of the gate's metrics.
            course: Whether the training is on its way, in a few words; empty where nobody knows.
        """
        if self._quiet:
            return
        self._judged = {"evaluation": dict(evaluation), **({"course": course} if course else {})}
        parts = [f"{name} {value:.2f}" for name, value in _judged_headlines(evaluation)]
        line = f"evaluated after iteration {evaluation['iteration']:.0f}: {', '.join(parts)}"
        print(f"{line}; {course}" if course else line, file=self._stream or sys.stdout, flush=True)

    def report(self, iteration: int, total: int, **values: float) -> None:
        """Say that ``iteration`` of ``total`` units of this phase are done.

        Args:
            iteration: Units done, the last one included: ``total`` when all are.
            total: Units to do.
            values: Measurements; those that are not finite are left out. ``steps`` (environment steps done so far),
                ``reward`` and ``episode_length`` have a place in the printed line; the speed follows from ``steps``.
        """
        if self._quiet:
            return
        now = self._clock()
        known = {name: float(value) for name, value in values.items() if math.isfinite(value)}
        record: dict[str, object] = {
            "time": now,
            "phase": self._phase,
            "iteration": iteration,
            "total": total,
            **self._rates(now, iteration, total, known.get("steps")),
            **known,
            **self._judged,
        }
        self._write(record)
        if now - self._printed >= self._every or iteration >= total:
            self._printed = now
            print(_line(record), file=self._stream or sys.stdout, flush=True)

    def _rates(self, now: float, iteration: int, total: int, steps: float | None) -> dict[str, float]:
        """Speed and time left, measured since the first report of the phase."""
        if self._started is None:
            self._started = (now, iteration, steps or 0.0)
            return {}
        began, first, first_steps = self._started
        elapsed = now - began
        if elapsed <= 0 or iteration <= first:
            return {}
        rates = {"eta_s": max(0, total - iteration) * elapsed / (iteration - first)}
        if steps is not None:
            rates["steps_per_s"] = (steps - first_steps) / elapsed
        return rates

    def _write(self, record: dict[str, object]) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(record) + "\n")
        except OSError:
            # A full disk must not end the work here: saving a checkpoint will say so, with what is safe.
            return


def _line(record: dict[str, Any]) -> str:
    parts = [f"{record['phase']} {record['iteration']}/{record['total']}"]
    evaluation = record.get("evaluation") or {}
    parts += [f"{name} {value:.2f}" for name, value in _judged_headlines(evaluation)]
    formats = (
        ("reward", "training reward {:.2f}"),
        ("episode_length", "length {:.0f}"),
        ("steps_per_s", "{:,.0f} steps/s"),
    )
    parts += [text.format(record[name]) for name, text in formats if name in record]
    if record.get("eta_s"):
        minutes, seconds = divmod(round(record["eta_s"]), 60)
        parts.append(f"{minutes}:{seconds:02d} left")
    return " | ".join(parts)


def _judged_headlines(evaluation: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """Yield what is shown of an interim evaluation: its reward, and how many survive."""
    for name, shown in (("mean_reward", "reward"), ("survival_rate", "survival")):
        if name in evaluation:
            yield shown, evaluation[name]
