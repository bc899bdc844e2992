"""``gaitway ui``: which store it shows, where, and that it ends whole."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.processes import free_port

from gaitway.cli import serving
from gaitway.errors import PlatformError


def test_a_tracking_server_has_a_ui_of_its_own(gaitway: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://tracking.example.com")
    ran = gaitway("ui")
    assert ran.code == 2
    assert "  from: env MLFLOW_TRACKING_URI" in ran.err


def test_the_users_own_store_is_shown_on_this_machine_alone(
    gaitway: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[list[str]] = []

    def serve(command: list[str], environ: object, port: int, ready: Callable[[], object]) -> None:
        started.append(command)
        ready()

    monkeypatch.setattr(serving, "serve", serve)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mine.db")
    ran = gaitway("ui", "--port", "5123")
    assert ran.code == 0
    assert started[0][started[0].index("--host") + 1] == "127.0.0.1"
    assert f"sqlite:///{tmp_path}/mine.db" in started[0]
    assert "http://127.0.0.1:5123/#/experiments?workflowType=machine_learning" in ran.err


def test_a_taken_port_is_refused_and_nothing_is_announced(gaitway: Callable) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = gaitway("ui", "--port", str(taken.getsockname()[1]))
    assert ran.code == 2
    assert "cannot be used: Address already in use" in ran.err
    assert "  hint: --port N for another port" in ran.err
    assert "the MLflow UI is at" not in ran.err


def test_a_server_that_ends_by_itself_is_an_error_and_was_never_ready() -> None:
    said: list[str] = []
    with pytest.raises(PlatformError, match="the server ended"):
        serving.serve([sys.executable, "-c", "raise SystemExit(3)"], os.environ, free_port(), lambda: said.append("x"))


SERVER = """
import socket, subprocess, sys
stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", stubborn])
print(child.pid, flush=True)
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    server.accept()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_no_process_behind(number: int) -> None:
    port = free_port()
    code = (
        "import os, sys; from gaitway.cli import serving; serving.GRACE_S = 0.5\n"
        f"command = [sys.executable, '-c', {SERVER!r}, '{port}']\n"
        f"serving.serve(command, os.environ, {port}, lambda: print('ready', flush=True))"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environ)
    assert command.stdout
    child = int(command.stdout.readline())
    assert command.stdout.readline() == "ready\n"
    command.send_signal(number)
    assert command.wait() == 0
    stat = Path(f"/proc/{child}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"
