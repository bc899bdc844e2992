import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gaitway_runtime.evaluation import plots, sweep
from gaitway_runtime.evaluation.subject import read_subject
from gaitway_runtime.simulators import mujoco
from gaitway_runtime.simulators.base import Availability
from gaitway_runtime.spec.job import ValidateJob
from gaitway_runtime.tasks.terrain import KIND_NAMES

from tests.fakes.env import FakeEnv
from tests.fakes.linear_policy import write_checkpoint


class FakeSimulator:
    """Opens fake environments and remembers under which overrides."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, ...]] = []

    def availability(self) -> Availability:
        return Availability(True)

    def open_env(self, job: Any, *, num_envs: int, training: bool, seed: int, **_: Any) -> FakeEnv:
        assert not training
        self.opened.append(job.overrides)
        return FakeEnv(num_envs, max_episode_length=20)


STRAINS = ("push [m/s]", "friction factor", "payload [kg]")
OWN = (
    *("action delay [steps]", "observation delay [steps]", "motor strength", "joint friction [N m]"),
    *("encoder error [rad]", "gyro drift [rad/s]", "tilt error [rad]"),
)


@pytest.mark.parametrize(
    ("task", "axes"),
    [
        ("Isaac-Velocity-Flat-Anymal-C-v0", ["command", *STRAINS, *OWN]),
        (
            "Isaac-Velocity-Rough-Anymal-C-v0",
            ["command", *STRAINS, *OWN, *(f"{kind} [level]" for kind in KIND_NAMES)],
        ),
        ("Isaac-Ant-v0", [*STRAINS]),
        ("Isaac-Cartpole-v0", []),
    ],
)
def test_a_robot_is_tried_in_what_it_can_be_tried_in(task: str, axes: list[str]) -> None:
    env = mujoco.open_env(ValidateJob(task=task), num_envs=1, training=False, seed=0)
    conditions = sweep.conditions_for(env.contract)
    assert list(dict.fromkeys(condition.axis for condition in conditions)) == axes
    env.close()
    for condition in conditions:
        job = ValidateJob(task=task, overrides=condition.overrides)
        mujoco.open_env(job, num_envs=1, training=False, seed=0).close()


def test_a_direction_is_held_for_the_whole_trial() -> None:
    job = ValidateJob(task="Isaac-Velocity-Flat-Anymal-C-v0")
    env = mujoco.open_env(job, num_envs=1, training=False, seed=0)
    left = next(c for c in sweep.conditions_for(env.contract) if c.label == "left")
    env.close()
    held = mujoco.open_env(ValidateJob(task=job.task, overrides=left.overrides), num_envs=3, training=False, seed=0)
    command = held.contract.observation("velocity_commands")
    assert command is not None
    first = held.reset(0)["policy"][:, command.start : command.stop]
    held.close()
    assert first == pytest.approx(np.array([[0.0, sweep.SPEED, 0.0]] * 3))


def test_every_condition_becomes_a_point_on_top_of_the_jobs_own_overrides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight = [[0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    subject = read_subject(write_checkpoint(tmp_path / "model_1.pt", weight), FakeEnv().contract)
    wanted = (sweep.Condition("push", "1", ("env.a=1",)), sweep.Condition("push", "2", ("env.a=2",)))
    monkeypatch.setattr(sweep, "conditions_for", lambda _: wanted)
    simulator, told = FakeSimulator(), []
    points = sweep.run_sweep(
        simulator,
        ValidateJob(overrides=("env.b=0",)),
        subject,
        on_step=lambda done, total: told.append((done, total)),
    )
    assert simulator.opened == [("env.b=0", "env.a=1"), ("env.b=0", "env.a=2")]
    assert [(point.label, point.survival_rate) for point in points] == [("1", 1.0), ("2", 1.0)]
    assert told == [(1, 2), (2, 2)]
    plot = plots.sweep(points, tmp_path)
    assert plot is not None and plot.path.exists()
    assert plots.sweep((), tmp_path) is None


def test_what_was_measured_is_printed_by_axis() -> None:
    steep = sweep.Point("boxes [level]", "4", "ground", 0.75, 0.21, 0.1, 0.9)
    blind = sweep.Point("push [m/s]", "1", "sweep", 0.5, None, None, None)
    lines = sweep.sweep_table([steep, dataclasses.replace(steep, label="6"), blind])
    assert [line.split()[0] for line in lines] == ["boxes", "4", "6", "push", "1"]
    assert lines[1].split() == ["4", "75%", "0.21", "m/s", "0.10", "rad/s", "0.90"]
    assert lines[4].split() == ["1", "50%", "-", "-", "-"]
