"""Descriptions of a policy's conventions, read back from what each project writes; and what strains a robot."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from gaitway_runtime.exam.conventions import (
    ANG_VEL,
    CLOCK,
    HEIGHT_SCAN,
    JOINT_POS,
    LAST,
    LIN_VEL,
    ORIENTATION,
    Conventions,
    ExamTerm,
    contract_from,
)
from gaitway_runtime.exam.examine import ExamRequest, examine
from gaitway_runtime.exam.known import conventions_of, describe
from gaitway_runtime.exam.strains import strains
from gaitway_runtime.exam.subject import spec_of, task_for
from gaitway_runtime.policies.confined.policy_file import PolicyFile
from gaitway_runtime.policies.targets.isaaclab_descriptors import descriptors
from gaitway_runtime.policies.targets.mjlab import joint_metadata
from gaitway_runtime.policies.targets.unitree import deploy_config
from gaitway_runtime.simulators.mujoco.contract import build_contract
from gaitway_runtime.simulators.mujoco.models import compile_robot
from gaitway_runtime.spec.contract import PolicyContract
from gaitway_runtime.spec.errors import UsageError
from gaitway_runtime.tasks.environment import VelocityCommand

from . import strangers
from .strangers import Dressing

TASK = task_for("go2", None, None, 12)
SPEC = spec_of(TASK)


@pytest.fixture(scope="module")
def contract() -> PolicyContract:
    """The task's contract, with four frames of history and without what Unitree's deployer does not have."""
    whole = build_contract(TASK, compile_robot(TASK.robot, timestep=0.005), SPEC, "mujoco")
    terms, start = [], 0
    for term in whole.observations:
        if term.quantity != LIN_VEL:
            size = 4 * (term.stop - term.start)
            offset = term.offset * 4
            terms.append(dataclasses.replace(term, start=start, stop=start + size, history=4, offset=offset))
            start += size
    return PolicyContract.from_json(dataclasses.replace(whole, observations=tuple(terms)).to_json())


def read(file: PolicyFile, named: Path | None = None) -> Conventions:
    found = describe(file, named, None)
    assert found is not None
    return conventions_of(found, SPEC).conventions


def same(found: Conventions, wanted: Conventions) -> None:
    assert found.input_size == wanted.input_size == 4 * 45
    assert [(term.quantity, term.frames) for term in found.terms] == [(t.quantity, t.frames) for t in wanted.terms]
    for name in ("joints", "action_scale", "action_pose", "stiffness", "damping"):
        assert getattr(found, name) == getattr(wanted, name), name


def test_each_projects_description_says_what_our_contract_says(contract: PolicyContract, tmp_path: Path) -> None:
    policy = tmp_path / "policy.onnx"
    policy.touch()
    ours = read(PolicyFile(path=policy, kind="onnx", contract=contract.to_json()))
    names = "base_ang_vel,projected_gravity,command,joint_pos,joint_vel,actions"
    history = {"observation_names": names, "observation_history_lengths": "4,4,4,4,4,4"}
    metadata = {**joint_metadata(contract), **history}
    same(read(PolicyFile(path=policy, kind="onnx", metadata=metadata)), ours)
    for name, document in (("IO_descriptors.yaml", descriptors(contract)), ("deploy.yaml", deploy_config(contract))):
        (tmp_path / name).write_text(yaml.safe_dump(json.loads(json.dumps(document)), sort_keys=False))
        same(read(PolicyFile(path=policy, kind="onnx")), ours)
        (tmp_path / name).unlink()
    assert describe(PolicyFile(path=policy, kind="onnx"), None, None) is None


def described(document: dict[str, Any], name: str, folder: Path) -> Conventions:
    (folder / name).write_text(yaml.safe_dump(json.loads(json.dumps(document)), sort_keys=False))
    return read(PolicyFile(path=folder / "policy.onnx", kind="onnx"), folder / name)


def test_a_deploy_file_is_read_as_the_deployers_read_it(contract: PolicyContract, tmp_path: Path) -> None:
    config = deploy_config(contract)
    config["actions"]["JointPositionAction"]["clip"] = [[-1.0, 1.0]] * 12
    gait = {"params": {"period": 0.6}, "clip": None, "scale": [1.0, 1.0], "history_length": 1}
    scaled = {"params": {}, "clip": [-2.0, 2.0], "scale": [0.5] * 3, "history_length": 1}
    half = {"params": {"asset_cfg": {"joint_ids": [2, 0]}}, "clip": None, "scale": [1.0] * 2, "history_length": 1}
    terms = {"scale_first": True, "base_ang_vel": scaled, "joint_pos_rel": half, "gait_phase": gait}
    found = described({**config, "observations": {"obs": terms}}, "deploy.yaml", tmp_path)
    assert found.target_bounds == ((-1.0, 1.0),) * 12
    assert [term.quantity for term in found.terms] == ["base_angular_velocity", "joint_position", "clock"]
    assert (found.terms[0].clip, found.terms[0].scales) == ((-4.0, 4.0), (0.5,) * 3)  # of what is not scaled yet
    assert found.terms[1].joints == (found.joints[2], found.joints[0])
    assert (found.period, found.input_size) == (0.6, 3 + 2 + 2)


def test_what_the_exam_found_is_read_back_as_it_was(tmp_path: Path) -> None:
    here = build_contract(TASK, compile_robot(TASK.robot, timestep=0.005), SPEC, "mujoco")
    terms = (
        ExamTerm(quantity=LIN_VEL, frame="heading", scales=(2.0,)),
        ExamTerm(quantity=ORIENTATION, frame="xyzw"),
        ExamTerm(quantity=JOINT_POS, offset=(0.0,) * 12),
        ExamTerm(quantity=LAST, frames=3, newest_first=True),
        ExamTerm(quantity=HEIGHT_SCAN, frame="y", clip=(-1.0, 1.0)),
        ExamTerm(quantity=CLOCK),
    )
    found = Conventions(
        terms=terms,
        joints=tuple(reversed(range(12))),
        action_scale=(0.25,) * 12,
        action_pose=SPEC.default_joint_pos,
        observed_pose=SPEC.default_joint_pos,
        target_bounds=((-1.0, 2.0),) * 12,
        shown_scale=0.5,
        stiffness=(20.0,) * 12,
        damping=(0.5,) * 12,
        period=0.6,
    )
    text = contract_from(found, SPEC, here, {}).to_json()
    back = read(PolicyFile(path=tmp_path / "policy.onnx", kind="onnx", contract=text))
    for name in ("joints", "action_scale", "action_pose", "target_bounds", "stiffness", "damping", "period"):
        assert getattr(back, name) == getattr(found, name), name
    assert [(term.quantity, term.frames, term.newest_first) for term in back.terms] == [
        (term.quantity, term.frames, term.newest_first) for term in terms
    ]
    assert [back.terms[number].frame for number in (0, 1, 4)] == ["heading", "xyzw", "y"]
    assert back.terms[3].scales == (0.5,)  # how the last action is shown
    assert (back.terms[0].scales, back.terms[2].offset, back.terms[4].clip) == ((2.0,), (0.0,) * 12, (-1.0, 1.0))


def another_action(config: dict[str, Any]) -> None:
    config["actions"] = {"JointVelocityAction": config["actions"]["JointPositionAction"]}


def two_inputs(config: dict[str, Any]) -> None:
    config["observations"] = {"obs": config["observations"], "image": {}}


def unknown_motors(config: dict[str, Any]) -> None:
    config["joint_ids_map"] = [0, 1, 2]


def short_gains(config: dict[str, Any]) -> None:
    config["stiffness"] = [25.0]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (another_action, "actions are JointVelocityAction"),
        (two_inputs, "has 2 inputs: obs, image"),
        (unknown_motors, "3 joints whose motors are not known"),
        (short_gains, "not written as expected"),
    ],
)
def test_a_deploy_file_that_says_something_else_is_refused(
    change: Callable[[dict[str, Any]], None], sentence: str, contract: PolicyContract, tmp_path: Path
) -> None:
    config = deploy_config(contract)
    change(config)
    with pytest.raises(UsageError, match=sentence):
        described(config, "deploy.yaml", tmp_path)


def test_descriptors_with_a_modifier_are_refused(contract: PolicyContract, tmp_path: Path) -> None:
    document = descriptors(contract)
    document["observations"]["policy"][0]["extras"]["modifiers"] = ["DigitalFilter"]
    with pytest.raises(UsageError, match="passes a modifier"):
        described(document, "IO_descriptors.yaml", tmp_path)


def test_units_and_frames_of_a_contract_are_read_or_refused(contract: PolicyContract, tmp_path: Path) -> None:
    def changed(name: str, **changes: Any) -> Conventions:
        terms = (dataclasses.replace(t, **changes) if t.name == name else t for t in contract.observations)
        text = dataclasses.replace(contract, observations=tuple(terms)).to_json()
        return read(PolicyFile(path=tmp_path / "policy.onnx", kind="onnx", contract=text))

    (degrees,) = (term for term in changed("base_ang_vel", units="deg/s").terms if term.quantity == ANG_VEL)
    assert degrees.scales == pytest.approx((57.29578,))
    (heading,) = (term for term in changed("base_ang_vel", frame="heading").terms if term.quantity == ANG_VEL)
    assert heading.frame == "heading"
    for changes, sentence in (({"units": "rpm"}, None), ({"units": "mm"}, "in mm"), ({"frame": "sensor"}, "'sensor'")):
        if sentence is None:
            assert changed("base_ang_vel", **changes).terms
            continue
        with pytest.raises(UsageError, match=sentence):
            changed("base_ang_vel", **changes)


def test_a_policy_of_another_rate_is_refused(contract: PolicyContract, tmp_path: Path) -> None:
    strangers.write_onnx(strangers.GO2, Dressing(), tmp_path / "policy.onnx")
    timing = dataclasses.replace(contract.timing, control_dt=0.01)
    (tmp_path / "contract.json").write_text(dataclasses.replace(contract, timing=timing).to_json())
    with pytest.raises(UsageError, match=r"the policy acts every 0\.01 s"):
        examine(ExamRequest(policy=tmp_path / "policy.onnx", output=tmp_path / "card"))


def test_a_description_of_another_robot_is_refused_by_its_joint(contract: PolicyContract, tmp_path: Path) -> None:
    found = describe(PolicyFile(path=tmp_path / "policy.onnx", kind="onnx", contract=contract.to_json()), None, None)
    assert found is not None
    anymal = spec_of(task_for("anymal_c", None, None, 12))
    with pytest.raises(UsageError, match="moves joint FL_hip_joint, which anymal_c does not have"):
        conventions_of(found, anymal)


def test_a_robot_is_commanded_only_where_it_learned_to_walk() -> None:
    ahead = VelocityCommand(lin_vel_x=(0.0, 1.0), lin_vel_y=(0.0, 0.0))
    said = [strain.label for strain in strains(ahead) if strain.axis == "command"]
    assert said == ["forward", "turn left", "turn right"]
