"""``gaitway ui``: which store it shows, and when it does not."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest


def test_a_tracking_server_has_a_ui_of_its_own(gaitway: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://tracking.example.com")
    ran = gaitway("ui")
    assert ran.code == 2
    assert "  from: env MLFLOW_TRACKING_URI" in ran.err


def test_the_users_own_store_is_shown_on_this_machine_alone(
    gaitway: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[list[str]] = []

    def serve(command: list[str], check: bool, env: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
        started.append(command)
        return subprocess.CompletedProcess(command, 0 if "5000" in command else 1)

    monkeypatch.setattr(subprocess, "run", serve)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mine.db")
    assert gaitway("ui").code == 0
    assert started[0][started[0].index("--host") + 1] == "127.0.0.1"
    assert f"sqlite:///{tmp_path}/mine.db" in started[0]
    ran = gaitway("ui", "--port", "80")
    assert ran.code == 4
    assert "  hint: --port N for another port" in ran.err
