"""What the tests of policies share: the checkpoints that real libraries wrote, and a contract that fits them."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import torch
from gaitway_runtime.spec.contract import ActionTerm, ObservationTerm, PolicyContract, Robot, Timing
from numpy.typing import NDArray

CHECKPOINTS = Path(__file__).resolve().parents[2] / "fixtures" / "checkpoints"
ALL_CASES = sorted(path.name for path in CHECKPOINTS.iterdir() if path.is_dir())
CASES = [case for case in ALL_CASES if case.startswith(("rsl_rl", "skrl"))]
"""Those of gaitway's own learners."""
RECURRENT = [case for case in CASES if case.endswith(("lstm", "gru"))]
NORMALIZED = [case for case in CASES if case.endswith(("normalized", "lstm", "gru", "beta", "skrl-1.4.3-shared"))]

JOINTS = ("hip", "thigh", "shank", "foot")


def observations() -> NDArray[np.float32]:
    """The 1,000 stored observations, (1000, 12)."""
    values: NDArray[np.float32] = np.load(CHECKPOINTS / "observations.npz")["observations"]
    return values


def library_actions(case: str) -> NDArray[np.float32]:
    """The library's own answers: (1000, 4), for recurrent policies (100, 10, 4)."""
    values: NDArray[np.float32] = np.load(CHECKPOINTS / case / "actions.npz")["actions"]
    return values


def copy_case(case: str, folder: Path, *, with_config: bool = True) -> Path:
    """Copy a case's checkpoint (and its params folder) where a test may change it; return the checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    if with_config:
        shutil.copytree(CHECKPOINTS / case / "params", folder / "params")
    return Path(shutil.copy(CHECKPOINTS / case / "model.pt", folder / "model.pt"))


def change(path: Path, edit) -> Path:
    """Load a checkpoint, let ``edit`` change its dictionary in place, and save it again."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    edit(content)
    torch.save(content, path)
    return path


def sample_contract(**changes) -> PolicyContract:
    """A contract for 12 observations and 4 actions, with numbers that need full precision."""
    third = 1.0 / 3.0
    contract = PolicyContract(
        task="Isaac-Sample-v0",
        simulator="mujoco 4.0.0",
        observations=(
            ObservationTerm(name="base_ang_vel", start=0, stop=3, units="rad/s", frame="base", scale=0.25),
            ObservationTerm(
                name="joint_pos", start=3, stop=7, units="rad", joint_names=JOINTS, offset=(third, 0, 0, 0.1)
            ),
            ObservationTerm(name="joint_vel", start=7, stop=11, units="rad/s", joint_names=JOINTS, clip=(-10.0, 10.0)),
            ObservationTerm(name="phase", start=11, stop=12),
        ),
        actions=(
            ActionTerm(
                name="joint_pos",
                kind="joint_position",
                start=0,
                stop=4,
                joint_names=JOINTS,
                scale=(0.5, 0.5, third, 0.25),
                offset=(third, 0.0, 0.0, 0.1),
            ),
        ),
        timing=Timing(physics_dt=0.005, decimation=4, control_dt=0.02),
        robot=Robot(
            name="leg",
            joint_names=JOINTS,
            default_joint_pos=(third, 0.0, 0.0, 0.1),
            joint_pos_limits=((-1.0, 1.0),) * 4,
            stiffness=(80.0,) * 4,
            damping=(2.0,) * 4,
            armature=(0.06,) * 4,
            effort_limits=(80.0,) * 4,
            actuator="implicit_pd",
        ),
        commands={"base_velocity": {"vx": [-1.0, 1.0]}},
    )
    return dataclasses.replace(contract, **changes)
