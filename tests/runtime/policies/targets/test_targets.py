"""Files for deployers: read back by each one's loader or stand-in, the same joint targets over a thousand steps."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
import yaml
from gaitway_runtime.policies.export import export_policy
from gaitway_runtime.policies.targets.base import write_target
from gaitway_runtime.policies.targets.holosoma import JOINTS as G1
from gaitway_runtime.policies.targets.holosoma import POSE
from gaitway_runtime.policies.targets.unitree import MOTORS
from gaitway_runtime.simulators import mujoco as embedded
from gaitway_runtime.spec.contract import ActionTerm, ObservationTerm, PolicyContract
from gaitway_runtime.spec.errors import UsageError
from gaitway_runtime.spec.job import ValidateJob

from .readers import ByName, Descriptors, Holosoma, IsaacRos, LeggedRlDeploy, Refused, Unitree
from .samples import ALL, GO2, PLAIN, SCALED, made, policy_for, reference, same, sensors, shaped


@pytest.mark.parametrize("generation", ["lab", "mjlab"])
def test_unitree_drives_the_same_motors(generation: str, recorded: SimpleNamespace, tmp_path: Path) -> None:
    contract = shaped(recorded.contract, PLAIN, **SCALED)
    policy, _, folder = made("unitree", contract, tmp_path / "unitree")
    reader = Unitree(folder, generation)
    for raw, expected in zip(
        recorded.steps, reference(policy, contract, recorded.steps, tmp_path / "plain"), strict=True
    ):
        same(dict(zip(MOTORS["quadruped"], reader.step(raw), strict=True)), expected)
    config = yaml.safe_load((folder / "params" / "deploy.yaml").read_text())
    assert config["joint_ids_map"] == [3, 0, 9, 6, 4, 1, 10, 7, 5, 2, 11, 8]
    assert config["stiffness"] == [25.0] * 12 and config["step_dt"] == pytest.approx(0.02)


def test_unitree_takes_a_history_term_by_term(recorded: SimpleNamespace, tmp_path: Path) -> None:
    histories = {name: {"history": 5} for name in ("base_ang_vel", "joint_pos", "actions")}
    contract = shaped(recorded.contract, PLAIN, **histories)
    policy, _, folder = made("unitree", contract, tmp_path / "unitree")
    steps = recorded.steps[:100]
    expected = reference(policy, contract, steps, tmp_path / "plain")
    for generation in ("lab", "mjlab"):
        reader = Unitree(folder, generation)
        for raw, wanted in zip(steps, expected, strict=True):
            same(dict(zip(MOTORS["quadruped"], reader.step(raw), strict=True)), wanted)


@pytest.mark.parametrize(
    "histories",
    [{}, {name: {"history": 5} for name in PLAIN}, {"joint_pos": {"history": 4}, "actions": {"history": 2}}],
    ids=["one frame", "five", "of their own"],
)
def test_legged_rl_deploy_drives_the_same_motors(histories: dict, recorded: SimpleNamespace, tmp_path: Path) -> None:
    changes = {name: {**SCALED.get(name, {}), **histories.get(name, {})} for name in PLAIN}
    contract = with_action(shaped(recorded.contract, PLAIN, **changes), clip=(-1.2, 1.2))
    policy, _, folder = made("legged-rl-deploy", contract, tmp_path / "deploy")
    reader, steps = LeggedRlDeploy(folder), recorded.steps[:300]
    for raw, expected in zip(steps, reference(policy, contract, steps, tmp_path / "plain"), strict=True):
        same(dict(zip(MOTORS["quadruped"], reader.step(raw), strict=True)), expected)


@pytest.mark.parametrize("target", ["legged-control", "mjlab"])
def test_readers_of_metadata_find_the_same_targets(target: str, recorded: SimpleNamespace, tmp_path: Path) -> None:
    contract = shaped(recorded.contract, ALL, **SCALED)
    policy, _, folder = made(target, contract, tmp_path / target)
    reader = ByName(folder / "policy.onnx", "legged" if target == "legged-control" else "mjlab")
    for raw, expected in zip(
        recorded.steps, reference(policy, contract, recorded.steps, tmp_path / "plain"), strict=True
    ):
        same(reader.step(raw), expected)


def test_isaac_labs_descriptors_are_enough_for_a_controller(recorded: SimpleNamespace, tmp_path: Path) -> None:
    contract = shaped(recorded.contract, ALL, **SCALED)
    policy, _, folder = made("isaaclab-descriptors", contract, tmp_path / "descriptors")
    reader = Descriptors(folder)
    for raw, expected in zip(
        recorded.steps, reference(policy, contract, recorded.steps, tmp_path / "plain"), strict=True
    ):
        same(reader.step(raw), expected)


def test_the_whole_loop_needs_nothing_but_sensors(recorded: SimpleNamespace, tmp_path: Path) -> None:
    import onnxruntime

    contract = shaped(recorded.contract, ALL, **SCALED)
    policy, _, folder = made("whole-loop", contract, tmp_path / "loop")
    session = onnxruntime.InferenceSession(folder / "policy.onnx", providers=["CPUExecutionProvider"])
    document = json.loads((folder / "loop.json").read_text())
    memory = {f"{name}_in": np.zeros(shape, np.float32) for name, shape in document["memories"].items()}
    joints = document["outputs"][0]["elements"]
    for raw, expected in zip(
        recorded.steps, reference(policy, contract, recorded.steps, tmp_path / "plain"), strict=True
    ):
        targets, *after = session.run(None, {**sensors(raw, contract), **memory})
        memory = dict(zip(memory, after, strict=True))
        same(dict(zip(joints, targets[0], strict=True)), expected)


def test_the_whole_loop_keeps_its_history_inside(recorded: SimpleNamespace, tmp_path: Path) -> None:
    """The frames of the first step are all alike; each later step drops the oldest."""
    import onnxruntime

    contract = shaped(recorded.contract, ALL, base_ang_vel={"history": 3}, actions={"history": 2})
    policy, _, folder = made("whole-loop", contract, tmp_path / "loop")
    session = onnxruntime.InferenceSession(folder / "policy.onnx", providers=["CPUExecutionProvider"])
    document = json.loads((folder / "loop.json").read_text())
    memory = {f"{name}_in": np.zeros(shape, np.float32) for name, shape in document["memories"].items()}
    frames: dict[str, list[np.ndarray]] = {}
    last = np.zeros(12)
    (action,) = contract.actions
    for raw in recorded.steps[:20]:
        targets, *after = session.run(None, {**sensors(raw, contract), **memory})
        memory = dict(zip(memory, after, strict=True))
        parts = []
        for term in contract.observations:
            if term.quantity in ("joint_position", "joint_velocity"):
                value = np.array([raw[term.quantity][joint] for joint in term.joint_names])
            else:
                found = {"last_action": last, "velocity_command": raw["command"]}
                value = found[term.quantity] if term.quantity in found else raw[term.quantity]
            value = value - np.array(term.offset[: value.size] or 0.0)
            kept = frames.setdefault(term.name, [value] * term.history)
            kept[:] = [*kept[1:], value]
            parts += kept
        answer = policy(torch.from_numpy(np.concatenate(parts)[None].astype(np.float32)))[0].numpy()
        last = answer.astype(np.float64)
        np.testing.assert_allclose(targets[0], np.array(action.offset) + np.array(action.scale) * last, atol=1e-5)


def test_leapps_own_loader_and_isaac_ros_run_the_bundle(recorded: SimpleNamespace, tmp_path: Path) -> None:
    contract = shaped(recorded.contract, ALL, **SCALED)
    policy, _, folder = made("leapp", contract, tmp_path / "leapp")
    expected = reference(policy, contract, recorded.steps[:200], tmp_path / "plain")
    for name, release in (("policy_isaac_ros_4.yaml", 4), ("policy.yaml", 5)):
        ros = IsaacRos(folder / name, release)
        joints = ros.outputs["joint_targets"]["element_names"][0]
        for raw, wanted in zip(recorded.steps[:200], expected, strict=True):
            found = ros.step(sensors(raw, contract))
            same(dict(zip(joints, found["joint_targets"][0], strict=True)), wanted)
        np.testing.assert_array_equal(found["kp"][0], 25.0)
    with pytest.raises(Refused, match="Unknown runner type"):
        IsaacRos(folder / "policy.yaml", 4)

    leapp = pytest.importorskip("leapp")
    manager = leapp.InferenceManager(str(folder / "policy.yaml"))
    assert manager.feedback_inputs == ["policy/last_action_in"]
    for raw, wanted in zip(recorded.steps[:200], expected, strict=True):
        given = {f"policy/{name}": torch.from_numpy(value) for name, value in sensors(raw, contract).items()}
        answer = manager.run_policy(given)["policy/joint_targets"].numpy()[0]
        same(dict(zip(joints, answer, strict=True)), wanted)


def g1_contract(**changes) -> PolicyContract:
    """A velocity policy of the G1 with 29 joints, in breadth order, without linear velocity."""
    joints = tuple(sorted(G1, key=lambda joint: (joint.split("_")[1], joint)))
    pose = dict(zip(G1, POSE, strict=True))
    sizes = {"base_ang_vel": 3, "projected_gravity": 3, "velocity_commands": 3, "joint_pos": 29, "joint_vel": 29}
    quantities = ("base_angular_velocity", "projected_gravity", "velocity_command", "joint_position", "joint_velocity")
    terms, start = [], 0
    for (name, size), quantity in zip((*sizes.items(), ("actions", 29)), (*quantities, "last_action"), strict=True):
        terms.append(
            ObservationTerm(
                name=name,
                start=start,
                stop=start + size,
                quantity=quantity,
                scale=0.3 if name == "joint_vel" else 1.0,
                joint_names=joints if size == 29 else (),
                offset=tuple(pose[joint] for joint in joints) if name == "joint_pos" else (),
                command="base_velocity" if name == "velocity_commands" else "",
            )
        )
        start += size
    base = embedded.open_env(ValidateJob(task=GO2), num_envs=1, training=False, seed=1).contract
    default = tuple(pose[joint] for joint in joints)
    count = len(joints)
    robot = dataclasses.replace(
        base.robot,
        name="g1",
        joint_names=joints,
        default_joint_pos=default,
        joint_pos_limits=((-3.0, 3.0),) * count,
        stiffness=(40.0,) * count,
        damping=(1.0,) * count,
        armature=(0.01,) * count,
        effort_limits=(),
    )
    action = ActionTerm(
        name="joint_pos",
        kind="joint_position",
        start=0,
        stop=count,
        joint_names=joints,
        scale=tuple(0.2 + 0.01 * number for number in range(count)),
        offset=default,
    )
    contract = dataclasses.replace(base, robot=robot, observations=tuple(terms), actions=(action,))
    return dataclasses.replace(contract, **changes)


def drawn(contract: PolicyContract, count: int) -> list[dict]:
    """Readings of sensors, drawn."""
    rng = np.random.default_rng(4)
    steps = []
    for _ in range(count):
        gravity = rng.normal(size=3)
        raw = {
            "base_angular_velocity": rng.normal(size=3),
            "projected_gravity": gravity / np.linalg.norm(gravity),
            "command": rng.uniform(-1, 1, 3),
            "joint_position": dict(zip(contract.robot.joint_names, rng.normal(size=29), strict=True)),
            "joint_velocity": dict(zip(contract.robot.joint_names, rng.normal(size=29), strict=True)),
        }
        steps.append({**raw, "commands": {"base_velocity": raw["command"]}})
    return steps


def test_holosomas_layout_is_bridged(tmp_path: Path) -> None:
    contract = g1_contract()
    policy, _, folder = made("holosoma", contract, tmp_path / "holosoma")
    reader, steps = Holosoma(folder / "policy.onnx", np.array(POSE)), drawn(contract, 200)
    for raw, expected in zip(steps, reference(policy, contract, steps, tmp_path / "plain"), strict=True):
        same(reader.step(raw), expected)


def test_unitree_knows_the_g1(tmp_path: Path) -> None:
    _, _, folder = made("unitree", g1_contract(), tmp_path)
    assert len(Unitree(folder, "lab").ids) == 29


def test_a_hub_folder_has_card_weights_and_contract(recorded: SimpleNamespace, tmp_path: Path) -> None:
    policy, contract, folder = made("hub", recorded.contract, tmp_path)
    card = (folder / "README.md").read_text()
    head = yaml.safe_load(card.split("---")[1])
    assert head["pipeline_tag"] == "robotics" and head["library_name"] != "lerobot"
    assert PolicyContract.from_json((folder / "contract.json").read_text()) == contract
    config = json.loads((folder / "config.json").read_text())
    assert config["type"] and config["input_features"]["observation.state"]["shape"] == [48]
    safetensors = pytest.importorskip("safetensors.torch")
    weights = safetensors.load_file(folder / "model.safetensors")
    assert all(torch.equal(tensor, weights[name]) for name, tensor in policy.module.state_dict().items())


@pytest.mark.parametrize(
    ("target", "edit", "message"),
    [
        ("unitree", lambda c: shaped(c, ALL), r"no observation 'base_lin_vel'"),
        ("legged-control", lambda c: with_action(c, clip=(-1.0, 1.0)), "targets are cut off"),
        ("mjlab", lambda c: with_action(c, kind="joint_effort"), "not one term of joint positions"),
        ("legged-control", lambda c: with_action(c, offset=(0.0,) * 12), "offset is not the default pose"),
        ("mjlab", lambda c: with_term(c, "joint_vel", units="deg/s"), "joint_vel is in deg/s"),
        ("whole-loop", lambda c: with_term(c, "base_lin_vel", frame="world"), "is in the world frame"),
        ("legged-control", lambda c: with_term(c, "base_ang_vel", offset=(0.1, 0.0, 0.0)), "ang_vel has an offset"),
        ("isaaclab-descriptors", lambda c: with_term(c, "base_ang_vel", offset=(0.1, 0.0, 0.0)), "has an offset"),
        ("mjlab", lambda c: with_robot(c, stiffness=(), damping=()), "the gains of its joints are not given"),
        ("leapp", lambda c: shaped(c, ALL, actions={"history": 2, "history_order": "newest_first"}), "newest frame"),
        ("leapp", lambda c: dataclasses.replace(c, commands={"base_velocity": {"names": ["a", "b", "c"]}}), "velocity"),
        ("holosoma", lambda c: c, "12 joints, the preset is of the G1"),
        ("unitree", lambda c: PolicyContract.of_unknown_task(), "its observations are not given"),
        (
            "leapp",
            lambda c: with_term(c, "joint_vel", quantity="contact_wrench"),
            "no sensor gives its observation",
        ),
        (
            "whole-loop",
            lambda c: with_term(c, "joint_vel", quantity=""),
            "what its observation",
        ),
        ("lepp", lambda c: c, "unknown export target 'lepp'"),
    ],
)
def test_what_a_target_cannot_express_is_said_before_anything_is_written(
    target: str, edit, message: str, recorded: SimpleNamespace, tmp_path: Path
) -> None:
    contract = edit(recorded.contract)
    with pytest.raises(UsageError, match=message):
        write_target(target, policy_for(recorded.contract), contract, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def with_action(contract: PolicyContract, **changes) -> PolicyContract:
    return dataclasses.replace(contract, actions=(dataclasses.replace(contract.actions[0], **changes),))


def with_term(contract: PolicyContract, name: str, **changes) -> PolicyContract:
    terms = (dataclasses.replace(term, **changes) if term.name == name else term for term in contract.observations)
    return dataclasses.replace(contract, observations=tuple(terms))


def with_robot(contract: PolicyContract, **changes) -> PolicyContract:
    return dataclasses.replace(contract, robot=dataclasses.replace(contract.robot, **changes))


def test_another_targets_files_are_refused_by_the_readers(recorded: SimpleNamespace, tmp_path: Path) -> None:
    """The readers of these tests are as strict as the deployers: a mixed-up target does not pass."""
    contract = shaped(recorded.contract, PLAIN)
    policy, whole, _ = made("unitree", contract, tmp_path / "unitree")
    export_policy(policy, whole, tmp_path / "plain", ("onnx",))
    (tmp_path / "unitree" / "exported" / "policy.onnx").write_bytes((tmp_path / "plain" / "policy.onnx").read_bytes())
    with pytest.raises(Refused, match="negative value in shape"):
        Unitree(tmp_path / "unitree", "lab")
    made("mjlab", contract, tmp_path / "mjlab")
    with pytest.raises(Refused, match="observation_history_lengths"):
        ByName(tmp_path / "mjlab" / "policy.onnx", "legged")
    with pytest.raises(json.JSONDecodeError):
        Holosoma(tmp_path / "mjlab" / "policy.onnx", np.array(POSE))
    assert onnx.load(tmp_path / "mjlab" / "policy.onnx").graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1


@pytest.mark.parametrize("histories", [{}, {"base_ang_vel": {"history": 3}, "joint_pos": {"history": 2}}])
def test_the_reference_node_passes_its_own_test_and_knows_nothing_of_gaitway(
    histories: dict, recorded: SimpleNamespace, tmp_path: Path
) -> None:
    contract = shaped(recorded.contract, ALL, **{**SCALED, **histories})
    _, _, folder = made("reference-node", contract, tmp_path / "node")
    text = (folder / "controller.py").read_text()
    assert "gaitway" not in text and "torch" not in text
    done = subprocess.run([sys.executable, folder / "controller.py", "--self-test"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "self-test passed" in done.stdout and "a step takes" in done.stdout
    compile((folder / "ros2_node.py").read_text(), "ros2_node.py", "exec")


def test_the_self_test_notices_another_contract(recorded: SimpleNamespace, tmp_path: Path) -> None:
    _, _, folder = made("reference-node", recorded.contract, tmp_path / "node")
    document = json.loads((folder / "contract.json").read_text())
    document["observations"][4]["offset"] = [0.0] * 12
    (folder / "contract.json").write_text(json.dumps(document))
    done = subprocess.run([sys.executable, folder / "controller.py", "--self-test"], capture_output=True, text=True)
    assert done.returncode == 1 and "FAILED" in done.stdout
