"""The stand-in OSMO, its command on PATH, and a login; gaitway runs in an empty folder."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes.osmo import OsmoService, install_command, log_in
from fakes.osmo.service import LONGEST_S

from gaitway.platforms.osmo import logs

Osmo = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def _in_the_project(project: Path) -> None:
    """Every test is of what a user types there."""


@pytest.fixture
def release(request: pytest.FixtureRequest) -> str:
    """The OSMO release; a test asks for another with ``indirect``."""
    return str(getattr(request, "param", "6.3.1"))


@pytest.fixture
def service(tmp_path: Path, release: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[OsmoService]:
    """A running OSMO whose tasks only say that they ran; ``osmo`` on PATH is logged in to it; a payload of one file."""
    found = OsmoService(tmp_path / "osmo", release)
    found.cluster.runner = lambda pod, log: log("ran") or 0  # type: ignore[func-returns-value]
    found.start()
    install_command(tmp_path / "bin", release)
    log_in(tmp_path / "login", found.url)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("OSMO_CONFIG_FILE_DIR", str(tmp_path / "login"))
    monkeypatch.setattr(logs, "IDLE_S", 0.5)
    package = tmp_path / "small" / "gaitway_runtime"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.setenv("TRAINING_PATH", str(package.parent))
    yield found
    found.close()


@pytest.fixture
def osmo(service: OsmoService) -> Osmo:
    """Run the ``osmo`` command."""

    def run(*words: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["osmo", *words], capture_output=True, text=True, check=check, timeout=LONGEST_S)

    return run
