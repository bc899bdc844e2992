"""The reference node in C++: built with CMake against ONNX Runtime, the targets of recorded steps to 1e-5."""

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from ...contract.bare_robot import Controller
from .onnxruntime_cpp import onnxruntime_root
from .samples import ALL, SCALED, made, shaped


@pytest.fixture(scope="module")
def node(recorded: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the reference node, with its C++ built as its CMakeLists.txt says."""
    folder = tmp_path_factory.mktemp("node")
    root = onnxruntime_root(folder / "onnxruntime")
    made("reference-node", shaped(recorded.contract, ALL, **SCALED), folder)
    configure = ["cmake", "-S", "cpp", "-B", "build", f"-DONNXRUNTIME_ROOT={root}"]
    configure += ["-DCMAKE_CXX_FLAGS=-O0 -Werror", "-DCMAKE_BUILD_TYPE=Debug"]  # quicker to build
    for command in (configure, ["cmake", "--build", "build"]):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


def self_test(node: Path, folder: Path) -> tuple[int, str]:
    done = subprocess.run([node / "build" / "self_test", folder], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_it_passes_its_own_vectors_and_says_how_long_a_step_takes(node: Path) -> None:
    code, text = self_test(node, node)
    assert code == 0, text
    assert "1000 steps" in text and "self-test passed" in text and "of a period of 20 ms" in text


def copy(node: Path, folder: Path, name: str, edit) -> Path:
    """Copy a node's data, with one of its documents changed."""
    folder.mkdir()
    for file in ("policy.onnx", "contract.json", "test_vectors.json"):
        (folder / file).write_bytes((node / file).read_bytes())
    document = json.loads((folder / name).read_text())
    edit(document)
    (folder / name).write_text(json.dumps(document))
    return folder


def test_it_gives_the_targets_of_a_robots_recorded_steps(node: Path, recorded: SimpleNamespace, tmp_path: Path) -> None:
    joints, controller = recorded.contract.robot.joint_names, Controller(node)
    measured = {name: [] for name in ("base_linear_velocity", "base_angular_velocity", "projected_gravity")}
    measured |= {name: [] for name in ("joint_position", "joint_velocity", "command/base_velocity")}
    for raw in recorded.steps:
        for name, values in measured.items():
            value = raw["command"] if name.startswith("command/") else raw[name]
            values.append([value[joint] for joint in joints] if isinstance(value, dict) else list(value))
    targets = [controller.step(raw)[1].tolist() for raw in recorded.steps]
    vectors = {"measured": measured, "targets": targets}
    text = json.loads(json.dumps(vectors, default=float))
    folder = copy(node, tmp_path / "recorded", "test_vectors.json", lambda document: document.update(text))
    code, answer = self_test(node, folder)
    assert code == 0 and "1000 steps" in answer, answer


def test_history_and_hidden_state_are_kept(node: Path, recorded: SimpleNamespace, tmp_path: Path) -> None:
    frames = {"base_ang_vel": {"history": 3, "scale": 0.2}, "actions": {"history": 2, "clip": (-0.5, 0.5)}}
    contract = shaped(recorded.contract, ALL, **frames)
    made("reference-node", contract, tmp_path / "lstm", recurrent="lstm")
    code, text = self_test(node, tmp_path / "lstm")
    assert code == 0, text


def other_pose(document: dict) -> None:
    document["observations"][4]["offset"] = [0.0] * 12


def no_gravity(document: dict) -> None:
    del document["measured"]["projected_gravity"]


def not_finite(document: dict) -> None:
    document["measured"]["joint_position"][3][2] = 1e999


def narrower(document: dict) -> None:
    document["observations"].pop()


@pytest.mark.parametrize(
    ("name", "edit", "message"),
    [
        ("contract.json", other_pose, "FAILED: more than 1e-05"),
        ("contract.json", narrower, "takes 48 and gives 12 values, the contract says 36 and 12"),
        ("test_vectors.json", no_gravity, "nothing measures projected_gravity"),
        ("test_vectors.json", not_finite, "not JSON"),
    ],
)
def test_it_refuses_another_contract_and_readings_that_are_none(
    name: str, edit, message: str, node: Path, tmp_path: Path
) -> None:
    code, text = self_test(node, copy(node, tmp_path / "copy", name, edit))
    assert code == 1 and message in text, text
