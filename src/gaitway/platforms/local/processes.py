"""Processes that outlive the command that started them: who they are, whether they live, how they are ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
POLL_S = 0.05


@dataclass(frozen=True)
class Identity:
    """A process that cannot be mistaken for a later one of the same number."""

    pid: int
    """Also the number of the group and the session it leads."""
    started: str
    """When it started, in the system's own words."""
    boot: str
    """Which boot of the machine that was."""


@dataclass(frozen=True)
class Seen:
    """A process as the system shows it now."""

    pid: int
    group: int
    started: str
    ended: bool
    """Whether only its exit code is left, waiting for its parent."""


_children: dict[int, subprocess.Popen[bytes]] = {}
"""Processes started from here: a parent has to collect their exit codes."""


def start(command: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path) -> Identity:
    """Start a process as the leader of a session of its own, its output going to a file.

    Raises:
        OSError: It cannot be started.
    """
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _children[child.pid] = child
    return identify(child.pid)


def identify(pid: int) -> Identity:
    """Return who a process is that is running, or is our child and not collected yet."""
    seen = _look(pid)
    return Identity(pid, seen.started if seen else "", boot())


def alive(identity: Identity) -> bool:
    """Whether the process runs."""
    if identity.pid in _children:
        _children[identity.pid].poll()
    if identity.boot != boot():
        return False
    seen = _look(identity.pid)
    return seen is not None and not seen.ended and seen.started == identity.started


def end_group(identity: Identity, grace_s: float) -> None:
    """Ask the group of a running process to end, wait, and kill what is left. Ctrl-C while it waits kills at once."""
    if not alive(identity):
        return
    _signal_group(identity, signal.SIGTERM)
    try:
        _wait(identity, grace_s)
    finally:
        while members(identity):
            _signal_group(identity, signal.SIGKILL)
            time.sleep(POLL_S)


def _wait(identity: Identity, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while alive(identity) and time.monotonic() < deadline:
        time.sleep(POLL_S)


def _signal_group(identity: Identity, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(identity.pid, number)


def members(identity: Identity) -> list[Seen]:
    """Return the processes of the group that the process leads or led."""
    if identity.boot != boot():
        return []
    if identity.pid in _children:
        _children[identity.pid].poll()
    leader = _look(identity.pid)
    if leader is not None and leader.started != identity.started:
        return []  # the number is someone else's now, which it could not be if any of the group were left
    return [seen for seen in _all() if seen.group == identity.pid and not seen.ended]


def boot() -> str:
    """Return what tells this boot of the machine from any other."""
    with suppress(OSError):
        return (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    import psutil

    return str(int(psutil.boot_time()))


def _look(pid: int) -> Seen | None:
    """Return a process, or None where there is none of that number."""
    if not (PROC / "self/stat").exists():
        return _look_without_proc(pid)
    try:
        # proc(5): the name may hold anything, so the fields are counted from its closing parenthesis.
        state, _, group, *rest = (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return Seen(pid, int(group), rest[16], state in "ZX")


def _look_without_proc(pid: int) -> Seen | None:
    import psutil

    try:
        process = psutil.Process(pid)
        ended = process.status() == psutil.STATUS_ZOMBIE
        return Seen(pid, os.getpgid(pid), str(process.create_time()), ended)
    except (psutil.Error, OSError):
        return None


def _all() -> Iterator[Seen]:
    if (PROC / "self/stat").exists():
        pids = [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]
    else:
        import psutil

        pids = psutil.pids()
    yield from filter(None, map(_look, pids))
