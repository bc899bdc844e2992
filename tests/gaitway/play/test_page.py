"""The drive page as a file: its size, what it holds, how far it agrees with Python, and what it refuses."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from gaitway_runtime.evaluation.drivable import describe
from gaitway_runtime.evaluation.drive_graph import read_graph
from onnx import helper, numpy_helper

from gaitway.errors import UsageError
from gaitway.play.page import write_drive_page
from gaitway.play.sources import LINK, LINK_PLACE, add_page
from gaitway.run_handle import Run

MOST_BYTES = 3_000_000
FLAT = "Isaac-Velocity-Flat-Anymal-C-v0"
AGREEMENT = Path(__file__).with_name("agreement.mjs")
REPORT = Path(__file__).parents[3] / "src/training/gaitway_runtime/evaluation/report.html.j2"


@pytest.mark.parametrize("page", ["flat_page", "rough_page"])
def test_the_page_is_one_small_file_that_asks_for_nothing(request: pytest.FixtureRequest, page: str) -> None:
    path: Path = request.getfixturevalue(page)
    assert path.stat().st_size <= MOST_BYTES
    text = path.read_text()
    outside = re.findall(r"""(?:src|href)=["'](?!#|data:)[^"']*|url\([^)]*\)|@import|fetch\(["'][^"']*""", text)
    assert outside == []
    assert "MuJoCo 3.14.0" in text


def test_the_page_says_where_its_ground_is_easier(flat_page: Path, rough_page: Path) -> None:
    """Walls are columns that the simulation in Python moves along with the feet: the page has ramps."""
    sentence = "Walls of its ground are ramps of 10 cm here"
    assert (sentence in rough_page.read_text(), sentence in flat_page.read_text()) == (True, False)


@pytest.mark.parametrize(("page", "physics"), [("flat_page", 1e-9), ("rough_page", 1e-5)])
def test_the_page_agrees_with_python(request: pytest.FixtureRequest, page: str, physics: float) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    done = subprocess.run([node, AGREEMENT, request.getfixturevalue(page)], capture_output=True, text=True, check=True)
    worst = json.loads(done.stdout.splitlines()[-1])
    assert worst["physics"] <= physics
    assert worst["observations"] <= 1e-4
    assert worst["policy"] <= 5e-6


def test_a_task_that_the_page_cannot_hold_is_refused(flat_page: Path, tmp_path: Path) -> None:
    policy = flat_page.parent / "exported" / "policy.onnx"
    with pytest.raises(UsageError, match=r"does not know what Isaac-Ant-v0.* observes: base_height") as found:
        write_drive_page(policy, "Isaac-Ant-v0", tmp_path / "drive.html")
    assert found.value.hint
    with pytest.raises(UsageError, match="names joint LF_HAA, which this simulator's robot does not have"):
        write_drive_page(policy, "Isaac-Velocity-Flat-Unitree-Go2-v0", tmp_path / "drive.html")
    assert list(tmp_path.iterdir()) == []


def test_nothing_of_a_policy_runs_in_this_process(
    flat_page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: pytest.fail("it was run unconfined"))
    page = write_drive_page(flat_page.parent / "exported" / "policy.onnx", FLAT, tmp_path / "drive.html")
    assert page.stat().st_size > 1_000_000


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"<html>", "not an ONNX file"), (None, "weights are said to be in ../../secret, outside its folder")],
)
def test_a_file_that_is_not_run_is_not_driven(
    content: bytes | None, sentence: str, flat_page: Path, gaitway: Callable, tmp_path: Path
) -> None:
    path = tmp_path / "policy.onnx"
    model = onnx.load(flat_page.parent / "exported" / "policy.onnx")
    model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    model.graph.initializer[0].external_data.add(key="location", value="../../secret")
    path.write_bytes(model.SerializeToString() if content is None else content)
    ran = gaitway("play", str(path), "--no-browser")
    assert ran.code == 2 and sentence in ran.err


def test_a_policy_of_other_conventions_is_driven_by_its_contract(
    flat_page: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = flat_page.parent / "exported" / "policy.onnx"
    write_stranger(own, tmp_path / "policy.onnx")
    world, graph, _ = describe(FLAT, own)
    assert not caplog.messages
    theirs, wrapped, _ = describe(FLAT, tmp_path / "policy.onnx")
    assert "not made up for" in caplog.text and "damping of LF_HAA: 7 at home, 5 here" in caplog.text
    np.testing.assert_allclose(theirs["recorded"]["actions"], world["recorded"]["actions"], atol=1e-3)
    np.testing.assert_allclose(theirs["recorded"]["positions"], world["recorded"]["positions"], atol=1e-3)
    node = shutil.which("node")
    if node is not None:
        page = write_drive_page(tmp_path / "policy.onnx", FLAT, tmp_path / "drive.html")
        done = subprocess.run([node, AGREEMENT, page], capture_output=True, text=True, check=True)
        assert json.loads(done.stdout.splitlines()[-1])["policy"] <= 1e-4
    assert len(wrapped.nodes) > len(graph.nodes) + 2, "the page turns the task's observations into the policy's"


def write_stranger(own: Path, target: Path) -> None:
    """Write a policy that has its joints the other way round, and twice its action scale, with a contract of that."""
    model = onnx.load(own)
    contract = json.loads({item.key: item.value for item in model.metadata_props}["policy_contract"])
    turned = np.eye(12, dtype=np.float32)[::-1]
    before = np.eye(48, dtype=np.float32)
    for term in contract["observations"]:
        if term["stop"] - term["start"] == 12:
            part = slice(term["start"], term["stop"])
            before[part, part] = turned * (2.0 if term["name"] == "actions" else 1.0)
            term["joint_names"], term["offset"] = term["joint_names"][::-1], term["offset"][::-1]
    for term in contract["actions"]:
        term["joint_names"], term["offset"] = term["joint_names"][::-1], term["offset"][::-1]
        term["scale"] = [2.0 * value for value in term["scale"][::-1]]
    contract["robot"]["damping"][0] = 7.0
    for node in model.graph.node:
        node.input[:] = ["seen" if name == "obs" else name for name in node.input]
        node.output[:] = ["given" if name == "actions" else name for name in node.output]
    first = helper.make_node("Gemm", ["obs", "before"], ["seen"], transB=1)
    last = helper.make_node("Gemm", ["given", "after"], ["actions"], transB=1)
    nodes = [first, *model.graph.node, last]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(
        [numpy_helper.from_array(before, "before"), numpy_helper.from_array(turned / 2.0, "after")]
    )
    helper.set_model_props(model, {"policy_contract": json.dumps(contract)})
    onnx.save(model, target)


@pytest.mark.parametrize(
    ("node", "what"),
    [
        (helper.make_node("Softmax", ["obs"], ["actions"]), "the operation Softmax"),
        (helper.make_node("Clip", ["obs", "obs"], ["actions"]), "the operation Clip with numbers that are computed"),
    ],
)
def test_an_operation_that_the_page_does_not_compute_is_refused(
    node: onnx.NodeProto, what: str, tmp_path: Path
) -> None:
    value = helper.make_tensor_value_info("obs", onnx.TensorProto.FLOAT, [1, 4])
    result = helper.make_tensor_value_info("actions", onnx.TensorProto.FLOAT, [1, 4])
    weight = numpy_helper.from_array(np.zeros(1, np.float32), "w")
    onnx.save(helper.make_model(helper.make_graph([node], "g", [value], [result], [weight])), tmp_path / "policy.onnx")
    with pytest.raises(UsageError, match=f"cannot compute {what}"):
        read_graph(tmp_path / "policy.onnx")


def test_play_writes_the_page_of_a_checkpoint(gaitway: Callable, flat_page: Path, tmp_path: Path) -> None:
    policy = flat_page.parent / "exported" / "policy.onnx"
    ran = gaitway("play", str(policy), "--output", str(tmp_path / "here.html"), "--no-browser", "--json")
    assert ran.code == 0
    assert ran.json == {"page": str(tmp_path / "here.html"), "bytes": (tmp_path / "here.html").stat().st_size}


def test_the_page_of_an_exported_policy_needs_no_torch(flat_page: Path, tmp_path: Path) -> None:
    """The command line of every infer writes one: importing torch for it took longer than the rest."""
    policy, page = flat_page.parent / "exported" / "policy.onnx", tmp_path / "here.html"
    code = "import sys; from gaitway.cli.main import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", code, "play", str(policy), "--output", str(page), "--no-browser"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert page.is_file()
    loaded = set(done.stderr.splitlines()[-1].split())
    assert "mujoco" in loaded
    assert not {"torch", "onnxruntime", "mlflow"} & loaded


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
