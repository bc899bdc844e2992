"""Processes of this machine: the Python that runs jobs, and processes that outlive the command that started them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gaitway_runtime.spec.files import boot_id

from ...errors import ConfigError

if TYPE_CHECKING:
    import psutil

POLL_S = 0.05

CLOCK_TOLERANCE_S = 0.005 if sys.platform == "linux" else 1.5
"""Difference between two readings of the start of one process [s]: Linux counts ticks of 10 ms from the start of the
machine; elsewhere the boot time that it is counted from is rounded."""

PID_FILE = "pid"
"""File that a process writes its number into before anything else, so that it is known even if its parent is killed."""

_RECORD_AND_EXEC = 'echo "$$" > "$0" && exec "$@"'
"""Shell line that becomes the command after it has written its own number."""


@dataclass(frozen=True)
class Identity:
    """A process that cannot be mistaken for a later one of the same number."""

    pid: int
    """Also the number of the group and the session that it leads."""
    started: float
    """When it started, since the machine did [s]: a clock that is set does not change it."""
    boot: str
    """Which boot of the machine that was."""


_children: dict[int, subprocess.Popen[bytes]] = {}
"""Processes started from here: a parent has to collect their exit codes."""


def start(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path, keep_open: Sequence[int] = ()
) -> Identity:
    """Start a process as the leader of a session of its own, its output going to a file that only its user can read.

    Args:
        command: Program and arguments.
        cwd: Its working folder.
        env: Its whole environment.
        log: File that its output is appended to. The process writes its number into :data:`PID_FILE` beside it.
        keep_open: Descriptors that it inherits.

    Raises:
        OSError: It cannot be started.
    """
    if not os.access(command[0], os.X_OK):
        raise FileNotFoundError(2, os.strerror(2), command[0])
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "ab") as output:
        child = subprocess.Popen(
            ["/bin/sh", "-c", _RECORD_AND_EXEC, str(log.with_name(PID_FILE)), *command],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=keep_open,
        )
    _children[child.pid] = child
    return identify(child.pid)


def identify(pid: int) -> Identity:
    """Return the identity of a process that is running, or is our child and not collected yet."""
    found = _look(pid)
    return Identity(pid, _started(found) if found else 0.0, boot_id())


def recorded(folder: Path) -> Identity | None:
    """Return the identity of the process that wrote its number into a folder and still leads its group."""
    try:
        pid = int((folder / PID_FILE).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return identify(pid) if _group(pid) == pid else None


def alive(identity: Identity) -> bool:
    """Whether the process runs."""
    _collect(identity)
    return identity.boot == boot_id() and _is(identity, _look(identity.pid))


def end_group(identity: Identity, grace_s: float) -> None:
    """Ask the processes of a group to end, wait, and kill what is left. Ctrl-C while it waits kills at once."""
    if not members(identity):
        return
    _signal_group(identity, signal.SIGTERM)
    try:
        deadline = time.monotonic() + grace_s
        while members(identity) and time.monotonic() < deadline:
            time.sleep(POLL_S)
    finally:
        while members(identity):
            _signal_group(identity, signal.SIGKILL)
            time.sleep(POLL_S)


def members(identity: Identity) -> list[int]:
    """Return the numbers of the processes of the group that the process leads or led."""
    _collect(identity)
    if identity.boot != boot_id():
        return []
    leader = _look(identity.pid)
    if leader is not None and not _is(identity, leader):
        return []  # the number is someone else's now, which it could not be if any of the group were left
    return [pid for pid in _running() if _group(pid) == identity.pid]


def _collect(identity: Identity) -> None:
    if identity.pid in _children:
        _children[identity.pid].poll()


def _signal_group(identity: Identity, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(identity.pid, number)


def _look(pid: int) -> psutil.Process | None:
    """Return a process that has not ended, or None where there is none of that number."""
    import psutil  # most commands look at no process

    with suppress(psutil.Error):
        found = psutil.Process(pid)
        if found.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return found
    return None


def _is(identity: Identity, found: psutil.Process | None) -> bool:
    return found is not None and abs(_started(found) - identity.started) < CLOCK_TOLERANCE_S


def _started(found: psutil.Process) -> float:
    """Return when a process started, since the machine did [s]; 0 if it has ended."""
    import psutil
    from gaitway_runtime.process.lifecycle import start_time

    if ticks := start_time(found.pid):  # Linux
        return int(ticks) / os.sysconf("SC_CLK_TCK")
    with suppress(psutil.Error):
        return float(found.create_time() - psutil.boot_time())
    return 0.0


def _running() -> Iterator[int]:
    import psutil

    for found in psutil.process_iter(["status"]):
        if found.info["status"] not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            yield found.pid


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except (OSError, OverflowError):
        return None


SOURCE = "--python"
_PATIENCE_S = 20.0
_QUESTION = """\
import importlib.util as i, sys
print(*[name for name in sys.argv[1:] if getattr(i.find_spec(name), "origin", None)])
"""
"""A mere folder of the name is found as well, but has no origin."""


def interpreter(named: str | None) -> str:
    """Return the absolute path of the Python that runs jobs.

    A link is not followed: that of a virtual environment stands for the environment.

    Args:
        named: What the user named, a path or a command; gaitway's own Python when None.

    Raises:
        ConfigError: There is no such program.
    """
    if named is None:
        return sys.executable
    found = shutil.which(os.path.expanduser(named))
    if found is None:
        raise ConfigError(f"there is no Python at {named}", source=SOURCE, hint="name its executable: .../bin/python")
    return os.path.abspath(found)


def installed(named: str | None, packages: Sequence[str]) -> set[str]:
    """Return which of some packages a Python has, without importing any of them.

    Args:
        named: As for :func:`interpreter`.
        packages: Top-level names.

    Raises:
        ConfigError: It is no Python that can be asked.
    """
    if named is None:
        return {name for name in packages if _is_package(name)}
    program = interpreter(named)
    command = [program, "-c", _QUESTION, *packages]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=_PATIENCE_S, check=True, cwd=os.path.dirname(program)
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        reason = said.strip().splitlines()[-1] if said.strip() else "it does not answer"
        raise ConfigError(f"{program} is no Python that can run jobs: {reason}", source=SOURCE) from None
    return set(answer.stdout.split())


def _is_package(name: str) -> bool:
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None
