"""Diagnosis of logs of a bare MuJoCo robot, with faults planted in it one by one and in pairs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import mujoco
import numpy as np
import onnx
import pytest
from gaitway_runtime.policies.checkpoint_export import export_checkpoint
from gaitway_runtime.robot_logs.diagnose import diagnose_log
from gaitway_runtime.robot_logs.robot_log import RobotLog, rotation
from gaitway_runtime.spec.errors import UsageError
from gaitway_runtime.tasks.velocity.anymal_c.robot import SPEC

from tests.runtime.robot_logs.bare_robot import Plant, drive

SAMPLE = Path(__file__).resolve().parents[3] / "samples" / "anymal-c-flat" / "model_194.pt"
POSE = np.asarray(SPEC.default_joint_pos)
SWAPPED = [1, 0, *range(2, 12)]


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("policy")
    export_checkpoint(SAMPLE, folder)
    return folder / "policy.onnx"


def save(log: RobotLog, path: Path) -> Path:
    np.savez(path, time=log.time, joint_names=np.asarray(log.joint_names), **log.channels)
    return path


def found(log: RobotLog, policy: Path, folder: Path) -> set[tuple[str, str]]:
    return {(fault.kind, fault.where) for fault in diagnose_log(save(log, folder / "log.npz"), policy).faults}


def drives(stiffness: float = 1, damping: float = 1, armature: float = 0, friction: float = 0) -> Callable[..., None]:
    def change(model: mujoco.MjModel) -> None:
        model.actuator_gainprm[:, 0] *= stiffness
        model.actuator_biasprm[:, 1] *= stiffness
        model.actuator_biasprm[:, 2] *= damping
        model.dof_armature[6:] += armature
        model.dof_frictionloss[6:] += friction

    return change


def test_a_clean_log_has_nothing(policy: Path, tmp_path: Path) -> None:
    assert found(drive(policy, Plant()), policy, tmp_path) == set()
    assert found(drive(policy, Plant(noise=0.01)), policy, tmp_path) == set()


PLANTED = {
    "joint order of an observation": (Plant(term={"joint_pos": lambda v, _: v[SWAPPED]}), {("order", "joint_pos")}),
    "joint order of the targets": (Plant(target=lambda t, _: t[SWAPPED]), {("order", "targets")}),
    "gyro sign": (Plant(term={"base_ang_vel": lambda v, _: v * [1, 1, -1]}), {("sign", "base_ang_vel")}),
    "gravity sign": (Plant(term={"projected_gravity": lambda v, _: -v}), {("sign", "projected_gravity")}),
    "gyro in the world frame": (
        Plant(term={"base_ang_vel": lambda v, d: rotation(d.qpos[None, 3:7])[0] @ v}),
        {("frame", "base_ang_vel")},
    ),
    "joint velocity scaled": (Plant(term={"joint_vel": lambda v, _: v * 0.05}), {("scale", "joint_vel")}),
    "degrees": (Plant(term={"joint_pos": lambda v, _: np.degrees(v)}), {("scale", "joint_pos")}),
    "absolute joint positions": (Plant(term={"joint_pos": lambda v, _: v + POSE}), {("offset", "joint_pos")}),
    "action scale doubled": (Plant(target=lambda t, _: POSE + 2 * (t - POSE)), {("scale", "targets")}),
    "targets without the default pose": (Plant(target=lambda t, _: t - POSE), {("offset", "targets")}),
    "late joint states": (
        Plant(observation_delay={"joint_pos": 2, "joint_vel": 2}),
        {("delay", "joint_pos"), ("delay", "joint_vel")},
    ),
    "targets for the last action": (Plant(term={"actions": lambda v, _: POSE + 0.5 * v}), {("source", "actions")}),
    "clipped output": (Plant(action=lambda a: np.clip(a, -0.5, 0.5)), {("clip", "actions")}),
    "late targets": (Plant(target_delay=1), {("delay", "drives")}),
    "weak gains": (Plant(model=drives(stiffness=0.5)), {("gains", "drives")}),
    "armature": (Plant(model=drives(armature=0.1)), {("armature", "drives")}),
    "friction": (Plant(model=drives(friction=3)), {("friction", "drives")}),
    "order and gains": (
        Plant(term={"joint_vel": lambda v, _: v[SWAPPED]}, model=drives(stiffness=0.6)),
        {("order", "joint_vel"), ("gains", "drives")},
    ),
    "sign and delay": (
        Plant(term={"base_ang_vel": lambda v, _: v * [1, -1, 1]}, target_delay=2),
        {("sign", "base_ang_vel"), ("delay", "drives")},
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found_and_nothing_else(policy: Path, tmp_path: Path, name: str) -> None:
    plant, expected = PLANTED[name]
    assert found(drive(policy, plant), policy, tmp_path) == expected


def test_both_gains_are_measured(policy: Path, tmp_path: Path) -> None:
    log = drive(policy, Plant(model=drives(stiffness=0.6, damping=2)))
    causes = [fault.cause for fault in diagnose_log(save(log, tmp_path / "log.npz"), policy).faults]
    assert causes == ["The position gains act as if times 0.60", "The velocity gains act as if times 2.00"]


def test_dropped_and_stale_frames(policy: Path, tmp_path: Path) -> None:
    log = drive(policy, Plant())
    rows = np.delete(np.arange(len(log)), [50, 51, 120])
    channels = {name: values[rows] for name, values in log.channels.items()}
    assert ("dropped", "time") in found(dataclasses.replace(log, time=log.time[rows], **channels), policy, tmp_path)
    stale = log.observations.copy()
    stale[40:200:10] = stale[39:199:10]
    assert ("dropped", "observations") in found(dataclasses.replace(log, observations=stale), policy, tmp_path)


def test_values_that_the_contract_does_not_describe(policy: Path, tmp_path: Path) -> None:
    log = drive(policy, Plant())
    wider = np.insert(log.observations, [9, 9], [[0.3, 0.1]], axis=1)
    path = save(dataclasses.replace(log, observations=wider), tmp_path / "log.npz")
    (fault,) = diagnose_log(path, policy).faults
    assert fault.kind == "width"
    assert "2 values at index 9" in fault.evidence


def test_another_policy_is_not_this_one(policy: Path, tmp_path: Path) -> None:
    log = drive(policy, Plant())
    other = np.random.default_rng(1).standard_normal(log.actions.shape)
    assert ("policy", "actions") in found(dataclasses.replace(log, actions=other), policy, tmp_path)


def test_a_faster_log_in_another_order_as_csv_and_parquet(policy: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    log = drive(policy, Plant(term={"projected_gravity": lambda v, _: -v}), seconds=4)
    order = list(reversed(range(12)))
    names = [log.joint_names[place] for place in order]
    columns = {"time": log.time}
    for channel, values in log.channels.items():
        labels = names if channel in ("joint_pos", "joint_vel", "targets") else range(values.shape[1])
        for place, label in enumerate(labels):
            columns[f"{channel}.{label}"] = values[:, order[place] if labels is names else place]
    table = np.stack([np.repeat(values, 2) for values in columns.values()], axis=-1)
    table[1::2, 0] += 0.01  # two rows a control step
    header = ",".join(columns)
    np.savetxt(tmp_path / "log.csv", table, delimiter=",", header=header, comments="")
    parquet.write_table(pa.table(dict(zip(columns, table.T, strict=True))), tmp_path / "log.parquet")
    for name in ("log.csv", "log.parquet"):
        diagnosis = diagnose_log(tmp_path / name, policy)
        assert {(fault.kind, fault.where) for fault in diagnosis.faults} == {("sign", "projected_gravity")}
        assert "100 rows a second, the policy takes 50: read at the policy's rate" in diagnosis.notes[0]


def test_a_picture_shows_what_was_found(policy: Path, tmp_path: Path) -> None:
    log = drive(policy, Plant(term={"joint_vel": lambda v, _: 2 * v}), seconds=3)
    diagnosis = diagnose_log(save(log, tmp_path / "log.npz"), policy, plots=tmp_path / "plots")
    assert [path.name for path in diagnosis.plots] == ["joint_vel.png"]
    assert diagnosis.plots[0].stat().st_size > 5_000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda log: {"joint_pos": np.where(np.arange(12) == 3, np.nan, log.joint_pos)}, "joint_pos is not finite"),
        (lambda log: {"time": log.time[::-1].copy()}, "time does not increase after row 0"),
        (lambda log: {"base_quat": log.base_quat[:, :3]}, "base_quat has 3 columns instead of 4"),
        (lambda log: {"command": log.command[:-1]}, "command has 149 rows, time has 150"),
        (lambda log: {"time": 1e3 * log.time}, "rows are 20 apart, and time is in seconds"),
        (lambda log: {"time": 1.7e18 + 1e9 * log.time}, "and time is in seconds"),
        (lambda log: {"base_quat": 0.0 * log.base_quat}, "base_quat is no unit quaternion in row 0"),
        (lambda log: {"joint_pos": np.rad2deg(log.joint_pos)}, "joint_pos is beyond the joints' limits"),
        (lambda log: {"targets": np.rad2deg(log.targets)}, "targets is beyond the joints' limits"),
    ],
)
def test_a_log_that_is_not_whole_is_refused(
    policy: Path, tmp_path: Path, change: Callable[[RobotLog], dict[str, np.ndarray]], words: str
) -> None:
    log = drive(policy, Plant(), seconds=3)
    with pytest.raises(UsageError, match=words):
        diagnose_log(save(dataclasses.replace(log, **change(log)), tmp_path / "log.npz"), policy)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot be read"),
        (b"PK\x03\x04 no archive", "cannot be read"),
        (b"\x93NUMPY\x01\x00", "cannot be read"),
        ("one array", "one array without a name"),
        ("objects", "cannot be read"),
    ],
)
def test_a_file_that_is_no_log_is_refused(policy: Path, tmp_path: Path, content: bytes | str, words: str) -> None:
    path = tmp_path / "log.npz"
    with path.open("wb") as stream:
        if content == "one array":
            np.save(stream, np.zeros(30))
        elif content == "objects":
            np.savez(stream, time=np.array([{}] * 30))
        else:
            stream.write(content)
    with pytest.raises(UsageError, match=words):
        diagnose_log(path, policy)


def test_columns_that_say_nothing_are_named(policy: Path, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("time,temperature\n0,1\n")
    with pytest.raises(UsageError, match="column 'temperature' is none of a log"):
        diagnose_log(tmp_path / "log.csv", policy)


def test_a_policy_that_asks_for_files_outside_its_folder_is_refused_unopened(policy: Path, tmp_path: Path) -> None:
    model = onnx.load(str(policy))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../secret.bin"
    (tmp_path / "policy.onnx").write_bytes(model.SerializeToString())
    log = save(drive(policy, Plant()), tmp_path / "log.npz")
    with pytest.raises(UsageError, match="outside its folder"):
        diagnose_log(log, tmp_path / "policy.onnx")
