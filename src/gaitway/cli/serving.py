"""Servers that a command runs on this machine: they bind to loopback, and end whole with the command."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from ..errors import PlatformError, unusable_port

HOST = "127.0.0.1"
GRACE_S = 5.0
"""Time that a server gets to end [s]."""
START_S = 60.0
"""Time that a server gets to answer for the first time [s]."""
POLL_S = 0.1


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Treat SIGTERM and SIGHUP as Ctrl-C."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def show_in_browser(address: str) -> bool:
    """Open an address in a browser; return False where there is none with windows."""
    has_a_screen = sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    return has_a_screen and webbrowser.open(address)


def check_port(port: int) -> None:
    """Refuse a port that something listens on.

    Raises:
        UsageError: The port is taken, or may not be used.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise unusable_port(port, error) from None


def serve(command: Sequence[str], environ: Mapping[str, str], port: int, ready: Callable[[], object]) -> None:
    """Run a server until Ctrl-C or SIGTERM, and end all of its processes.

    Args:
        command: Program and arguments; it listens on ``HOST`` and the port.
        environ: Its environment.
        port: Where it listens.
        ready: Called once, when it answers.

    Raises:
        UsageError: The port cannot be used.
        PlatformError: The server ended by itself, or never answered.
    """
    check_port(port)
    with termination_as_interrupt():
        server = subprocess.Popen(command, env=dict(environ), start_new_session=True)
        try:
            _wait_until_it_answers(server, port)
            ready()
            code = server.wait()
        except KeyboardInterrupt:
            return
        finally:
            _end_group(server)
    raise PlatformError("the server ended", source=f"exit code {code}", hint="--port N for another port")


def _wait_until_it_answers(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(OSError), socket.create_connection((HOST, port), timeout=1.0):
            return
        time.sleep(POLL_S)
    if server.poll() is None:
        raise PlatformError(f"the server does not answer within {START_S:g} s", source=f"http://{HOST}:{port}")


def _end_group(server: subprocess.Popen[bytes]) -> None:
    """End a server and whatever it started: asked first, killed if it does not end."""
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        server.wait(GRACE_S)
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()
