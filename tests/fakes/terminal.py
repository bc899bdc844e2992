"""A pseudo-terminal of some width, and a command that runs in it."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from collections.abc import Sequence

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def run_in_terminal(columns: int, *words: str, program: Sequence[str] = ("-m", "gaitway")) -> str:
    """Run ``gaitway`` in a terminal and return what it shows, without colours.

    Args:
        columns: Width of the terminal [characters].
        words: Arguments of ``gaitway``.
        program: What Python runs.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environ = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, *program, *words],
        {**environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm"},
        file_actions=[(os.POSIX_SPAWN_DUP2, theirs, number) for number in (0, 1, 2)],
        setsid=True,
    )
    os.close(theirs)
    seen = _read_all(ours)
    os.close(ours)
    os.waitpid(pid, 0)
    return ESCAPES.sub("", seen.decode()).replace("\r\n", "\n")


def broken_words(text: str, columns: int, words: Sequence[str]) -> list[str]:
    """Return the words of a text that a terminal's edge would break, and those that are not in it whole.

    Args:
        text: What a terminal shows.
        columns: Its width [characters].
        words: Words that must be there in one piece.
    """
    over = [line for line in text.splitlines() if len(line) > columns and len(line.strip().split()) > 1]
    shown = set(text.split())
    return over + [word for word in words if word not in shown]


def _read_all(descriptor: int) -> bytes:
    seen = b""
    while True:
        try:
            found = os.read(descriptor, 65536)
        except OSError as error:
            if error.errno != errno.EIO:  # Linux answers so when the other end is closed
                raise
            return seen
        if not found:
            return seen
        seen += found
