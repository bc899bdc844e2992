"""Waits that need an end: for a simulator that starts, for processes that meet. Standard library only."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import threading
from collections.abc import Iterator

from ..spec.errors import Interrupted, JobFailed, UsageError
from . import lifecycle

START_VARIABLE = "GAITWAY_START_TIMEOUT"
"""Environment variable: minutes that a simulator may take to start."""

START_MINUTES = 30.0
"""The first start of Isaac Sim on a machine compiles shaders and fetches assets; a hang lasts for ever [min]."""


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
        faulthandler.dump_traceback(file=lifecycle.STDERR, all_threads=True)
        lifecycle.give_up(error)

    with lifecycle.limited(seconds, expire):
        yield


@contextlib.contextmanager
def ending_when_stopped() -> Iterator[None]:
    """End the job at once when a stop is asked for inside, where there is nothing to save yet.

    For a library that waits without returning to Python, which is where handlers run. In the main thread only.

    Raises:
        Interrupted: A stop was asked for before.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    watcher = threading.Thread(target=_end_when_stopped, args=(reading,), daemon=True)
    watcher.start()
    try:
        lifecycle.check_stop()
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writing)
        watcher.join()
        os.close(reading)


def _end_when_stopped(reading: int) -> None:
    while number := os.read(reading, 1):
        if number[0] in lifecycle.STOP_SIGNALS:
            lifecycle.give_up(Interrupted(f"the job was asked to stop ({signal.Signals(number[0]).name})"))
