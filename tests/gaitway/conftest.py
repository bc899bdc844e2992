"""The command line inside the test's process, and a stand-in runtime that makes a run take milliseconds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import gaitway as interface
from gaitway.cli.main import main
from gaitway.platforms.local import processes
from gaitway.run_handle import Run

STAND_IN = Path(__file__).parents[1] / "fakes" / "runtime"
TASK = "Isaac-Cartpole-v0"


@dataclass(frozen=True)
class Ran:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as the one JSON document it must be."""
        return json.loads(self.out)


@pytest.fixture
def gaitway(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Return a function that runs ``gaitway`` with some arguments."""

    def run(*args: str) -> Ran:
        capsys.readouterr()
        code = main(args)
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return run


@pytest.fixture
def stand_in(home: Path) -> Iterator[list[str]]:
    """Return the arguments that make a command use the stand-in runtime; what still runs afterwards is ended."""
    yield ["--training-path", str(STAND_IN), "--task", TASK]
    started = (processes.identify(child.pid) for child in processes._children.values() if child.poll() is None)
    # A command that was killed leaves runs that are nobody's children.
    left = (processes.recorded(folder) for folder in (home / "runs").glob("*"))
    for identity in (*started, *filter(None, left)):
        processes.end_group(identity, 0)


@pytest.fixture
def start(stand_in: list[str]) -> Callable[..., Run]:
    """Return a function that starts a stand-in run: ``start("do=wait")``."""

    def begin(*asked: str, **settings: object) -> Run:
        return interface.train(task=TASK, training_path=STAND_IN, set=asked, **settings)

    return begin
