"""Locks of runs: files that every process of a run keeps open, so that anyone can tell whether it still runs.

A lock belongs to an open file, which the processes of a job inherit: it is free once the last of them has ended, in
whatever way, and needs no process numbers. A container on the same machine sees it as well.
"""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from gaitway_runtime.spec.files import LOCK_FILE, boot_id

try:
    import fcntl
except ImportError:  # Windows, which runs no jobs here
    fcntl = None  # type: ignore[assignment]

_taken: dict[Path, int] = {}
"""Descriptors of the locks that this process has taken and not let go, by path."""


@dataclass(frozen=True)
class Machine:
    """The machine that something was started on, and which boot of it that was."""

    host: str = ""
    boot: str = ""

    @staticmethod
    def here() -> Machine:
        """Return this machine."""
        return Machine(socket.gethostname(), boot_id())

    @property
    def is_elsewhere(self) -> bool:
        """Whether it is surely not this machine, nor an earlier boot of it. A container shares the boot of its host."""
        here = Machine.here()
        return bool(self.host) and self.host != here.host and self.boot != here.boot


@dataclass(frozen=True)
class Owner:
    """Who holds the lock of a tracked run."""

    run: str
    host: str
    pid: int


def take(path: Path, *, wait: bool = False) -> bool:
    """Take a lock for this process and those that inherit it; return False where somebody else has it.

    Raises:
        OSError: The file cannot be made.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
    _taken[path] = descriptor
    return True


def release(path: Path) -> None:
    """Close this process's part in a lock; it stays taken while a process that inherited it lives."""
    descriptor = _taken.pop(path, None)
    if descriptor is not None:
        os.close(descriptor)


def descriptors(*paths: Path) -> tuple[int, ...]:
    """Return the descriptors of locks that this process has taken, for a child to inherit."""
    return tuple(_taken[path] for path in paths if path in _taken)


def is_taken(path: Path) -> bool | None:
    """Whether anybody has a lock; None where there is no such file."""
    if path in _taken:
        return True
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def of_run(run_dir: Path) -> Path:
    """Return the lock file of a run's folder."""
    return run_dir / LOCK_FILE


def write_owner(path: Path, owner: Owner) -> None:
    """Write into a lock file that this process has taken who it is."""
    descriptor = _taken[path]
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(asdict(owner)).encode(), 0)


def owner_of(path: Path) -> Owner | None:
    """Return who has a lock, where that was written into it."""
    with suppress(OSError, ValueError, TypeError):
        return Owner(**json.loads(path.read_text(encoding="utf-8")))
    return None
