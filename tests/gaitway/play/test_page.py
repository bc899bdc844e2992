"""The drive page as a file: its size, what it holds, how far it agrees with Python, and what it refuses."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from gaitway_runtime.policies.graph import read_graph
from onnx import helper, numpy_helper

from gaitway.errors import UsageError
from gaitway.play.page import write_drive_page
from gaitway.play.sources import LINK, LINK_PLACE, add_page
from gaitway.run_handle import Run

MOST_BYTES = 3_000_000
REPORT = Path(__file__).parents[3] / "src/training/gaitway_runtime/evaluation/report.html.j2"


@pytest.mark.parametrize("page", ["flat_page", "rough_page"])
def test_the_page_is_one_small_file_that_asks_for_nothing(request: pytest.FixtureRequest, page: str) -> None:
    path: Path = request.getfixturevalue(page)
    assert path.stat().st_size <= MOST_BYTES
    text = path.read_text()
    outside = re.findall(r"""(?:src|href)=["'](?!#|data:)[^"']*|url\([^)]*\)|@import|fetch\(["'][^"']*""", text)
    assert outside == []
    assert "MuJoCo 3.14.0" in text


@pytest.mark.parametrize(("page", "physics"), [("flat_page", 1e-9), ("rough_page", 1e-5)])
def test_the_page_agrees_with_python(request: pytest.FixtureRequest, page: str, physics: float) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    script = Path(__file__).with_name("agreement.mjs")
    done = subprocess.run([node, script, request.getfixturevalue(page)], capture_output=True, text=True, check=True)
    worst = json.loads(done.stdout.splitlines()[-1])
    assert worst["physics"] <= physics
    assert worst["observations"] <= 1e-4
    assert worst["policy"] <= 5e-6


def test_a_task_that_the_page_cannot_hold_is_refused(flat_page: Path, tmp_path: Path) -> None:
    policy = flat_page.parent / "exported" / "policy.onnx"
    with pytest.raises(UsageError, match=r"does not know what Isaac-Ant-v0.* observes: base_height") as found:
        write_drive_page(policy, "Isaac-Ant-v0", tmp_path / "drive.html")
    assert found.value.hint
    with pytest.raises(UsageError, match="takes 48 observations"):
        write_drive_page(policy, "Isaac-Velocity-Rough-Anymal-C-v0", tmp_path / "drive.html")
    assert list(tmp_path.iterdir()) == []


def test_an_operation_that_the_page_does_not_compute_is_refused(tmp_path: Path) -> None:
    node = helper.make_node("Softmax", ["obs"], ["actions"])
    value = helper.make_tensor_value_info("obs", onnx.TensorProto.FLOAT, [1, 4])
    result = helper.make_tensor_value_info("actions", onnx.TensorProto.FLOAT, [1, 4])
    weight = numpy_helper.from_array(np.zeros(1, np.float32), "w")
    onnx.save(helper.make_model(helper.make_graph([node], "g", [value], [result], [weight])), tmp_path / "policy.onnx")
    with pytest.raises(UsageError, match="cannot compute the operation Softmax"):
        read_graph(tmp_path / "policy.onnx")


def test_play_writes_the_page_of_a_checkpoint(gaitway: Callable, flat_page: Path, tmp_path: Path) -> None:
    policy = flat_page.parent / "exported" / "policy.onnx"
    ran = gaitway("play", str(policy), "--output", str(tmp_path / "here.html"), "--no-browser", "--json")
    assert ran.code == 0
    assert ran.json == {"page": str(tmp_path / "here.html"), "bytes": (tmp_path / "here.html").stat().st_size}


def test_a_run_gets_its_page_and_its_report_a_link(start: Callable[..., Run], flat_page: Path) -> None:
    run = start()
    run.wait()
    outputs = run.run_dir / "outputs"
    said: list[str] = []
    assert add_page(run, said.append) is None
    assert said[0].startswith("no drive.html: ")
    assert LINK_PLACE in REPORT.read_text()
    (outputs / "report.html").write_text(REPORT.read_text())
    shutil.copytree(flat_page.parent / "exported", outputs / "exported")
    object.__setattr__(run.record, "task", "Isaac-Velocity-Flat-Anymal-C-v0")
    assert add_page(run, said.append) == outputs / "drive.html"
    assert LINK in (outputs / "report.html").read_text()
