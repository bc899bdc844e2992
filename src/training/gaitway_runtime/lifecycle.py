"""How a job is asked to stop: by a platform that evicts it (SIGTERM) or by a user (SIGINT).

The request is a flag that the work looks at between two steps, so that it can save first. Standard library only.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from types import FrameType

from . import ending, watchdog
from .errors import Interrupted

_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_log = logging.getLogger(__name__)
_handled: list[StopRequest] = []
"""The request that this process's handlers set, once they are installed."""
_afterwards: list[Callable[[int], None]] = []


class StopRequest:
    """Whether, and why, the job should save its work and end."""

    def __init__(self) -> None:
        self._reason: str | None = None

    @property
    def requested(self) -> bool:
        """Whether someone asked."""
        return self._reason is not None

    @property
    def reason(self) -> str:
        """Who asked, for example ``SIGTERM``; empty while nobody has."""
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
        """Raise :class:`~gaitway_runtime.errors.Interrupted` when a stop was asked for."""
        if self.requested:
            raise Interrupted(f"the job was asked to stop ({self.reason})")


def handle_signals(stop: StopRequest | None = None) -> StopRequest:
    """Turn SIGTERM and SIGINT into a stop request; a second SIGINT ends the process at once.

    Call it again with the same request after starting something that installs handlers of its own (Isaac Sim's
    ``AppLauncher`` does). A process started in the background by a shell inherits SIGINT ignored; that is undone here.

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

    for number in _SIGNALS:
        signal.signal(number, on_signal)
    _handled[:] = [request]
    return request


def retake_signals() -> None:
    """Put the handlers back after something has installed its own; nothing where this process never had any."""
    if _handled:
        handle_signals(_handled[0])


def afterwards(action: Callable[[int], None]) -> None:
    """Leave something for after the result is written: ending a simulator may end the process, or hang.

    Args:
        action: Called with the job's exit code; the last one that was left comes first.
    """
    _afterwards.append(action)


def wind_up(exit_code: int) -> None:
    """Do what was left for after the result, and then end the process with the job's exit code.

    What goes wrong is logged and what hangs is ended: the result stands already. Where nothing was left it returns.
    """
    if not _afterwards:
        return
    with watchdog.limited(watchdog.END_S, lambda: _end_hanging(exit_code)):
        while _afterwards:
            action = _afterwards.pop()
            try:
                action(exit_code)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a simulator's end may be anything but a result
                _log.warning("after the job: %s: %s", type(error).__name__, error)
    # Python's own end would run what simulators have registered for it, which is where they crash.
    ending.leave(exit_code)


def _end_hanging(exit_code: int) -> None:
    _log.warning("the simulator did not close within %g s; the result is written, so it is ended", watchdog.END_S)
    ending.leave(exit_code)
