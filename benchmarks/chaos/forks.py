"""Processes that may be killed, forked from one that has imported everything: ``python -m benchmarks.chaos.forks``.

That process reads a request a line and answers with process ids. Each process leads a session of its own, and has a
guard that waits for it and notes its exit code.
"""

from __future__ import annotations

import json
import os
import platform
import select
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[2]

MARK = "GAITWAY_CHAOS_MARK"
"""Environment variable that every process of a suite has, and those that they start: the suite's folder."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """A process to start."""

    what: str
    """``job``, ``launcher``, ``container``, or ``client`` for the command line."""
    args: tuple[str, ...] = ()
    log: str
    """File that gets its output."""
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = ""
    host: str = ""
    """Name of the machine that it believes to be on; this one's when empty."""
    steps: tuple[tuple[float, float], ...] = ()
    """Steps of its clock: after so many seconds it is so many seconds wrong."""


@dataclass
class Forked:
    """A process that was started."""

    pid: int
    guard: int
    note: Path

    def kill(self) -> None:
        """Kill the process alone."""
        _kill(self.pid)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it is still there."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill_all(self) -> None:
        """Kill every process of its session."""
        for pid in session(self.pid):
            _kill(pid)

    def wait(self, timeout: float = 120.0) -> int | None:
        """Return the exit code, negative for a signal; None if the process has not ended in time."""
        with suppress(ProcessLookupError):
            descriptor = os.pidfd_open(self.guard)
            try:
                poll = select.poll()
                poll.register(descriptor, select.POLLIN)
                poll.poll(timeout * 1000)
            finally:
                os.close(descriptor)
        with suppress(OSError, ValueError):
            return int(self.note.read_text())
        return None

    def wait_session(self, timeout: float = 120.0) -> bool:
        """Wait until no process of the session is left; return whether that is so."""
        end = time.monotonic() + timeout
        while session(self.pid):
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True


class Nursery:
    """The process that all others are forked from."""

    def __init__(self, scratch: Path) -> None:
        self._notes, self._count, self._lock = scratch / "exits", 0, threading.Lock()
        self._notes.mkdir()
        environ = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "OMP_WAIT_POLICY": "PASSIVE",
            MARK: str(scratch),
            "PYTHONPATH": os.pathsep.join(
                str(path) for path in (ROOT, ROOT / "src", ROOT / "src" / "training", ROOT / "tests")
            ),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.chaos.forks"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
            cwd=ROOT,
        )

    def start(self, order: Order) -> Forked:
        """Start a process."""
        with self._lock:
            assert self._process.stdin and self._process.stdout
            self._count += 1
            note = self._notes / str(self._count)
            self._process.stdin.write(json.dumps({"order": order.__dict__, "note": str(note)}) + "\n")
            self._process.stdin.flush()
            pid, guard = map(int, self._process.stdout.readline().split())
        return Forked(pid, guard, note)

    def close(self) -> None:
        """End it, and what an experiment that raised has left behind: running, or stopped for ever."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(120)


def session(leader: int) -> list[int]:
    """Return the living processes of the session that a process leads or led."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with suppress(OSError, IndexError):
                fields = Path(f"/proc/{entry}/stat").read_text(errors="replace").rpartition(")")[2].split()
                if int(fields[3]) == leader and fields[0] not in "ZX":
                    found.append(int(entry))
    return found


def _end_marked(mark: str) -> None:
    """Kill every process but this one that has a mark in its environment, whatever session it is in."""
    wanted, found = f"{MARK}={mark}\0".encode(), True
    while found:
        found = False
        for entry in os.listdir("/proc"):
            if entry.isdecimal() and int(entry) != os.getpid():
                with suppress(OSError):
                    if wanted in Path(f"/proc/{entry}/environ").read_bytes():
                        found = True
                        _kill(int(entry))
        time.sleep(0.05)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _serve() -> None:
    """Fork what is asked for until nobody asks any more."""
    enter = _targets()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # guards are not waited for
    for line in sys.stdin:
        request = json.loads(line)
        reading, writing = os.pipe()
        guard = os.fork()
        if guard == 0:
            os.close(reading)
            _guard(request, writing, enter)
        os.close(writing)
        pid = os.read(reading, 20).decode()
        os.close(reading)
        answers.write(f"{pid} {guard}\n")
        answers.flush()
    _end_marked(os.environ[MARK])


def _guard(request: Mapping[str, Any], writing: int, enter: Mapping[str, Callable[..., int]]) -> NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.close(writing)
        _run(Order(**request["order"]), enter)
    os.write(writing, str(pid).encode())
    os.close(writing)
    _, status = os.waitpid(pid, 0)
    Path(request["note"]).write_text(str(os.waitstatus_to_exitcode(status)))
    os._exit(0)


def _run(order: Order, enter: Mapping[str, Callable[..., int]]) -> NoReturn:
    code = 70
    try:
        log = os.open(order.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.update(order.env)
        os.chdir(order.cwd or ROOT)
        if order.host:
            _be_on(order.host)
        if order.steps:
            _step_clock(order.steps)
        code = enter[order.what](*order.args)
    except SystemExit as exit:
        code = exit.code if isinstance(exit.code, int) else 1
    except BaseException:  # noqa: BLE001 - the log of a process is where a defect of it has to be seen
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def _be_on(host: str) -> None:
    from gaitway_runtime.tracking import attempts

    platform.node = lambda: host
    attempts._boot_id = lambda: f"boot of {host}"


def _step_clock(steps: Sequence[tuple[float, float]]) -> None:
    real, began = time.time, time.monotonic()

    def stepped() -> float:
        passed = time.monotonic() - began
        return real() + sum(by for after, by in steps if passed >= after)

    time.time = stepped


def _targets() -> dict[str, Callable[..., int]]:
    """Import everything and return what can be run, by name."""
    from gaitway_runtime import container
    from gaitway_runtime.distributed import launcher

    from gaitway.cli.main import main as client
    from tests.fakes import whole_job, whole_job_server  # noqa: F401

    class Rank:
        """A process of a launcher, forked instead of started."""

        def __init__(
            self, command: Sequence[str], *, env: Mapping[str, str], stdout: int | None, **others: object
        ) -> None:
            self.returncode: int | None = None
            self.pid = os.fork()
            if self.pid == 0:
                try:
                    if stdout is not None:
                        os.dup2(stdout, 1)
                        os.dup2(stdout, 2)
                    os.environ.clear()
                    os.environ.update(env)
                    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                        signal.signal(number, signal.SIG_DFL)
                    whole_job.run(Path(command[-1]), own_log=False)
                except SystemExit as exit:
                    os._exit(exit.code if isinstance(exit.code, int) else 1)
                finally:
                    os._exit(70)

        def poll(self) -> int | None:
            return self._collect(os.WNOHANG)

        def wait(self) -> int | None:
            return self._collect(0)

        def _collect(self, options: int) -> int | None:
            if self.returncode is None:
                pid, status = os.waitpid(self.pid, options)
                self.returncode = os.waitstatus_to_exitcode(status) if pid else None
            return self.returncode

        def kill(self) -> None:
            if self.poll() is None:
                os.kill(self.pid, signal.SIGKILL)

        def terminate(self) -> None:
            if self.poll() is None:
                os.kill(self.pid, signal.SIGTERM)

    def forking(action: Callable[..., int]) -> Callable[..., int]:
        def enter(*args: str) -> int:
            launcher.subprocess.Popen = Rank  # type: ignore[attr-defined]
            return action(list(args)) if args else action()

        return enter

    def job(path: str) -> NoReturn:
        whole_job.run(Path(path), own_log=False)

    return {
        "job": job,
        "launcher": forking(launcher.main),
        "container": forking(container.main),
        "client": lambda *args: client(list(args)),
    }


if __name__ == "__main__":
    _serve()
