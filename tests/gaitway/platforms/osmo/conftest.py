"""The stand-in OSMO, its command on PATH, and a login."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.osmo import OsmoService, install_command, log_in

Osmo = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def release(request: pytest.FixtureRequest) -> str:
    """The OSMO release; a test asks for another with ``indirect``."""
    return getattr(request, "param", "6.3.1")


@pytest.fixture
def service(tmp_path: Path, release: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[OsmoService]:
    found = OsmoService(tmp_path / "osmo", release)
    found.start()
    install_command(tmp_path / "bin", release)
    log_in(tmp_path / "login", found.url)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("OSMO_CONFIG_FILE_DIR", str(tmp_path / "login"))
    yield found
    found.close()


@pytest.fixture
def osmo(service: OsmoService) -> Osmo:
    """Run the ``osmo`` command."""

    def run(*words: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["osmo", *words], capture_output=True, text=True, check=check, timeout=60)

    return run


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    """Return the JSON on a command's standard output."""
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)
