"""Bundles in the exam, LEAPP's and our own whole loops: sensors in, joint targets out, memories of their own."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from gaitway_runtime.exam.bundled import with_gains
from gaitway_runtime.exam.conventions import JOINT_POS, ORIENTATION
from gaitway_runtime.exam.known import conventions_of, describe
from gaitway_runtime.exam.playing import ExamActor
from gaitway_runtime.exam.subject import spec_of, task_for
from gaitway_runtime.policies.confined.policy_file import inspect, opened
from gaitway_runtime.policies.export import complete
from gaitway_runtime.policies.reader import read_checkpoint
from gaitway_runtime.policies.targets.base import write_target
from gaitway_runtime.robot_logs.diagnose import diagnose_log
from gaitway_runtime.simulators.mujoco.contract import build_contract
from gaitway_runtime.simulators.mujoco.env import MujocoEnv
from gaitway_runtime.simulators.mujoco.models import compile_robot
from gaitway_runtime.spec.errors import UsageError

from . import strangers

TASK = task_for("go2", None, None, 12)
SPEC = spec_of(TASK)


def written(target: str, folder: Path) -> Path:
    policy = read_checkpoint(strangers.GO2)
    contract = build_contract(TASK, compile_robot(TASK.robot, timestep=0.005), SPEC, "mujoco")
    write_target(target, policy, complete(policy, contract, {}, {}), folder)
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The LEAPP bundle of a sample."""
    return written("leapp", tmp_path_factory.mktemp("leapp"))


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole loop of the same sample."""
    return written("whole-loop", tmp_path_factory.mktemp("loop"))


@pytest.mark.parametrize(("kind", "document"), [("leapp", "policy.yaml"), ("whole-loop", "loop.json")])
def test_a_bundle_drives_the_robot_as_the_policy_that_it_was_made_of(
    kind: str, document: str, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue("bundle" if kind == "leapp" else "loop")
    own = strangers.network_of(strangers.GO2)
    file = inspect(folder / "policy.onnx")
    assert (file.kind, file.path.name) == (kind, document)
    described = describe(file, None, None)
    assert described is not None and described.control_dt == pytest.approx(0.02)
    found = conventions_of(described, SPEC).conventions
    assert found.term(ORIENTATION).frame == "xyzw" and found.term(JOINT_POS).offset == (0.0,) * 12
    with opened(file) as policy, contextlib.closing(MujocoEnv(TASK, num_envs=3, training=False, seed=1)) as env:
        assert (policy.inputs, policy.outputs, policy.recurrent) == (found.input_size, 12, True)
        gains = with_gains(found, policy.gains)
        assert gains.stiffness == pytest.approx(SPEC.stiffness) and gains.damping == pytest.approx(SPEC.damping)
        actor = ExamActor(policy, found, env)
        observations = env.reset(1)["policy"]
        for step in range(20):
            wanted = own(observations)
            np.testing.assert_allclose(actor.act(observations), wanted, atol=1e-3)
            observations = env.step(wanted).observations["policy"]
            if step == 10:  # a world that starts anew forgets its last action
                actor.reset(np.array([False, True, False]))
                observations[1, 36:] = 0.0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d.pop("period_s"), "not written as gaitway writes it: KeyError 'period_s'"),
        (lambda d: d["inputs"][0].update(name="speed"), "not the model of the bundle: it has no input speed"),
        (lambda d: d["inputs"][0].update(quantity="image"), "not written as gaitway writes it"),
    ],
)
def test_a_whole_loop_that_is_not_whole_says_why(change, sentence: str, loop: Path, tmp_path: Path) -> None:
    document = json.loads((loop / "loop.json").read_text())
    change(document)
    (tmp_path / "policy.onnx").write_bytes((loop / "policy.onnx").read_bytes())
    (tmp_path / "loop.json").write_text(json.dumps(document))
    with pytest.raises(UsageError, match=sentence):
        inspect(tmp_path / "policy.onnx")


def test_a_log_is_not_compared_with_observations_that_a_bundle_keeps_inside(loop: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="takes sensors and computes its observations inside"):
        diagnose_log(tmp_path / "log.csv", loop / "policy.onnx")


def test_another_description_of_a_bundle_is_refused(bundle: Path) -> None:
    with pytest.raises(UsageError, match="says itself what its inputs are"):
        describe(inspect(bundle / "policy.yaml"), bundle / "contract.json", None)


def test_gains_are_told_in_the_order_of_the_targets() -> None:
    found = dataclasses.replace(strangers.as_trained(TASK), joints=(*range(1, 12), 0))
    told = with_gains(found, (tuple(range(12)), (2.0,) * 12))
    assert told.stiffness == (11.0, *map(float, range(11)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d["models"]["policy"]["parameters"].update(sha256sum="0" * 64), "not the model that the bundle was"),
        (lambda d: d["models"]["policy"]["parameters"].update(model_path="../policy.onnx"), "is not beside it"),
        (lambda d: d["pipeline"].update(initial_values="../../secret"), "is not beside it: ../../secret"),
        (lambda d: d["pipeline"].update(initial_values="policy.onnx"), "not written as LEAPP writes it"),
        (lambda d: d["models"]["policy"]["parameters"].update(backend="pt2"), "for the backend pt2"),
        (lambda d: d["models"].update(second=d["models"]["policy"]), "the bundle has 2 nodes"),
        (lambda d: d["pipeline"].pop("outputs"), "not written as LEAPP writes it"),
        (
            lambda d: d["models"]["policy"]["inputs"][0].update(kind="state/camera/image", isaaclab_connection=""),
            "image",
        ),
        (
            lambda d: d["models"]["policy"]["inputs"][4].pop("element_names"),
            "joints of the policy's input .* not named",
        ),
    ],
)
def test_a_bundle_that_cannot_be_examined_says_why(change, sentence: str, bundle: Path, tmp_path: Path) -> None:
    document = yaml.safe_load((bundle / "policy.yaml").read_text())
    change(document)
    for name in ("policy.onnx", "policy_initial_values.safetensors"):
        (tmp_path / name).write_bytes((bundle / name).read_bytes())
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(UsageError, match=sentence):
        described = describe(inspect(tmp_path / "policy.yaml"), None, None)
        assert described is not None
        conventions_of(described, SPEC)
