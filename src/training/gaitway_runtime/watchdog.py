"""Ends a process that hangs where simulators are known to hang: at their start and at their end.

A thread of Python's does it in good order, with a result; where even that cannot run, because a library holds the
interpreter, the interpreter's own watchdog prints every stack and ends the process some seconds later.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import threading
from collections.abc import Callable, Iterator

from .errors import GaitwayError, JobFailed, UsageError

START_VARIABLE = "GAITWAY_START_TIMEOUT"
"""Environment variable: minutes that a simulator may take to start."""

START_MINUTES = 30.0
"""The first start of Isaac Sim on a machine compiles shaders and fetches assets; a hang lasts for ever [min]."""

END_S = 60.0
"""Time a simulator gets to close once the result is written [s]."""

LAST_RESORT_S = 15.0
"""Time until the interpreter's own watchdog ends a process that this one could not end [s]."""

_STDERR = 2
"""Not ``sys.stderr``, which a library may have replaced by something without a file."""

_give_up: list[Callable[[GaitwayError], None]] = []


def on_hang(action: Callable[[GaitwayError], None]) -> None:
    """Set what ends the process with a result; it does not return. Called in a thread of its own."""
    _give_up[:] = [action]


def give_up(error: GaitwayError) -> None:
    """End the process because it hangs, in the way that was set."""
    for action in _give_up:
        action(error)


def start_seconds() -> float:
    """Return the time that a simulator may take to start [s].

    Raises:
        UsageError: The variable is no positive number.
    """
    text = os.environ.get(START_VARIABLE) or str(START_MINUTES)
    try:
        minutes = float(text)
    except ValueError:
        minutes = -1.0
    if not 0 < minutes < float("inf"):
        raise UsageError(f"{START_VARIABLE} is no time: '{text}'", source=f"env {START_VARIABLE}", allowed="minutes")
    return minutes * 60


@contextlib.contextmanager
def starting(what: str) -> Iterator[None]:
    """End the job, with every stack in the log, when what happens inside takes longer than a start may.

    Args:
        what: What is started, for the error.
    """
    seconds = start_seconds()
    error = JobFailed(
        f"{what} did not start within {seconds / 60:g} minutes",
        source=f"env {START_VARIABLE}",
        hint="the log shows where every thread was waiting; a start that is only slow needs more minutes",
    )

    def expire() -> None:
        faulthandler.dump_traceback(file=_STDERR, all_threads=True)
        give_up(error)

    with limited(seconds, expire):
        yield


@contextlib.contextmanager
def limited(seconds: float, expire: Callable[[], None]) -> Iterator[None]:
    """Call something, in a thread of its own, when what happens inside takes too long; it should end the process."""
    timer = threading.Timer(seconds, expire)
    timer.daemon = True
    timer.start()
    faulthandler.dump_traceback_later(seconds + LAST_RESORT_S, exit=True, file=_STDERR)
    try:
        yield
    finally:
        timer.cancel()
        faulthandler.cancel_dump_traceback_later()
