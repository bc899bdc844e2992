"""The golden traces, recorded again: the real Isaac Lab still says what ``tests/data`` says it does."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.fakes.replay import Trace

from .conftest import FOLDER, PATIENCE_S, PYTHON, ROOT

HERE, DATA = Path(__file__).parent, ROOT / "tests" / "data"
STEPS = 6
"""Later ones tell more of how contacts grow apart in single precision than of definitions."""


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The asset root of the set-up, with our robots beside what it has."""
    folder = tmp_path_factory.mktemp("assets") / "root"
    shutil.copytree(FOLDER / "assets", folder)
    run(HERE / "robot_usd.py", folder, assets=folder)
    return folder


def run(program: Path, *arguments: object, assets: Path) -> None:
    """Run a program of this folder in Isaac Lab's Python."""
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "src/training"),
        "ISAACSIM_ASSET_ROOT": str(assets),
        "OMP_NUM_THREADS": "1",
    }
    words = [PYTHON, program, *map(str, arguments)]
    done = subprocess.run(words, env=environ, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ("ant", "anymal_c_flat")],
)
def test_a_trace_can_be_had_again(name: str, assets: Path, tmp_path: Path) -> None:
    run(HERE / "record_traces.py", name, tmp_path / "again.npz", STEPS, assets=assets)
    again, stored = Trace.read(tmp_path / "again.npz"), Trace.read(DATA / f"isaaclab3_{name}.npz")
    assert {key: again.about[key] for key in stored.about} == stored.about
    assert again.arrays.keys() == stored.arrays.keys()
    for quantity in ("begin/observations", "begin/joint_pos", "observations", "reward_terms", "terminated"):
        wanted = stored[quantity] if quantity.startswith("begin/") else stored[quantity][:STEPS]
        np.testing.assert_allclose(again[quantity], wanted, atol=1e-3, rtol=1e-3, err_msg=quantity)
