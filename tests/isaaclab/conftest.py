"""What the tests against the real Isaac Lab share: its Python, and the command line with a home of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("GAITWAY_ISAACLAB") or Path.home() / ".cache/gaitway/isaaclab-3.0")
PYTHON = FOLDER / "venv/bin/python"
PATIENCE_S = 900
"""Longest that a command may take [s]; only what hangs takes as long."""


@dataclass(frozen=True)
class Ran:
    """What a command answered."""

    code: int
    document: Mapping[str, Any]
    talk: str


@dataclass(frozen=True)
class Lab:
    """The command line of this repository, with the real Isaac Lab as the Python that runs its jobs."""

    home: Path

    @property
    def environ(self) -> dict[str, str]:
        """The environment of a command."""
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT / "src/training"))),
            "GAITWAY_HOME": str(self.home),
            "GAITWAY_JOB_PYTHON": str(PYTHON),
            "ISAACSIM_ASSET_ROOT": str(FOLDER / "assets"),
            # One thread each: two runs at once are three times as fast so.
            "OMP_NUM_THREADS": "1",
            "NO_COLOR": "1",
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start ``gaitway`` with ``--json``."""
        words = [sys.executable, "-m", "gaitway", *arguments, "--json"]
        pipe = subprocess.PIPE
        return subprocess.Popen(words, cwd=ROOT, env=self.environ, stdout=pipe, stderr=pipe, text=True)

    def finish(self, started: subprocess.Popen[str]) -> Ran:
        """Wait for a command and return what it answered."""
        try:
            out, talk = started.communicate(timeout=PATIENCE_S)
        finally:
            started.terminate()
        return Ran(started.returncode, json.loads(out) if out.strip() else {}, talk)

    def gaitway(self, *arguments: str) -> Ran:
        """Run ``gaitway`` with ``--json``."""
        return self.finish(self.start(*arguments))

    def run_dir(self, name: str) -> Path:
        """Return the folder of a run."""
        return self.home / "runs" / name


@pytest.fixture(scope="session", autouse=True)
def present() -> None:
    """Skip what needs the real Isaac Lab where it is not set up."""
    if not PYTHON.exists():
        pytest.skip(f"Isaac Lab 3.0 is not set up in {FOLDER}: make setup-isaaclab (about 6 GB)")


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Return the command line with a home that all tests of this process share."""
    return Lab(tmp_path_factory.mktemp("gaitway-home"))
