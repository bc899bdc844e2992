import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from gaitway_runtime.evaluation.subject import apply_gains, read_subject
from gaitway_runtime.policies.sessions import checkpoint_session
from gaitway_runtime.simulators import mujoco
from gaitway_runtime.simulators.base import Env
from gaitway_runtime.spec.errors import UsageError
from gaitway_runtime.spec.job import ValidateJob

from tests.fakes.env import FakeEnv
from tests.fakes.linear_policy import write_checkpoint

ANYMAL = "Isaac-Velocity-Flat-Anymal-C-v0"


@pytest.fixture
def anymal() -> Iterator[Env]:
    job = ValidateJob(task=ANYMAL, overrides=("env.command.rel_standing_envs=1", "env.reset.root_velocity=0,0"))
    with contextlib.closing(mujoco.open_env(job, num_envs=4, training=False, seed=0)) as env:
        yield env


def standing_height(env: Env) -> float:
    env.reset(0)
    for _ in range(150):
        env.step(np.zeros((env.num_envs, env.num_actions), dtype=np.float32))
    return float(np.median(env.snapshot()[:, 2]))


def test_a_policy_at_home_needs_no_adapter(tmp_path: Path) -> None:
    env = FakeEnv()
    weight = [[0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    for contract in (None, env.contract):
        subject = read_subject(write_checkpoint(tmp_path / "model_1.pt", weight, contract), env.contract)
        session = checkpoint_session(subject.policy)
        assert subject.adapter is None and subject.actor(session) is session
        assert subject.differences == ()


def test_what_nothing_tells_of_a_policy_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its weights are the same whether it ends in a tanh or not."""
    linear = {"actor.0.weight": torch.eye(4), "actor.0.bias": torch.zeros(4)}
    linear |= {"actor.2.weight": torch.eye(4)[:2], "actor.2.bias": torch.zeros(2), "std": torch.ones(2)}
    torch.save({"model_state_dict": linear, "iter": 1}, tmp_path / "model_1.pt")
    read_subject(tmp_path / "model_1.pt", FakeEnv().contract, activation="elu")
    assert "neither squashed (tanh) nor clamped; a network.yaml" in caplog.text
    caplog.clear()
    (tmp_path / "network.yaml").write_text(
        "weights: model_state_dict\nlayers: actor\nactivation: elu\noutput: tanh(ACTIONS)\nignore: [std]\n"
    )
    subject = read_subject(tmp_path / "model_1.pt", FakeEnv().contract)
    assert caplog.text == ""
    assert float(subject.policy(torch.full((1, 4), 9.0)).max()) <= 1.0


def test_away_from_home_observations_and_actions_are_matched_by_name(tmp_path: Path) -> None:
    here = FakeEnv().contract
    swapped = replace(here, actions=(replace(here.actions[0], joint_names=("slide_y", "slide_x"), scale=(2.0, 2.0)),))
    weight = [[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0]]
    subject = read_subject(write_checkpoint(tmp_path / "model_1.pt", weight, swapped), here)
    command = np.array([[0.0, 0.0, 0.25, -0.5]], dtype=np.float32)
    actions = subject.actor(checkpoint_session(subject.policy)).act(command)
    np.testing.assert_allclose(actions, [[0.5, -1.0]])


def test_a_checkpoint_of_another_shape_names_both_and_the_task_it_would_fit(anymal: Env, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        read_subject(write_checkpoint(tmp_path / "model_1.pt"), anymal.contract)
    assert "expects 4 inputs" in refused.value.message and "gives 48" in refused.value.message
    assert "Isaac-Cartpole-v0" in (refused.value.hint or "")


def test_a_contract_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "model_1.pt")
    with pytest.raises(UsageError, match="cannot be read"):
        read_subject(checkpoint, FakeEnv().contract, contract=str(tmp_path / "none.json"))


def test_a_policy_brings_its_gains_along(anymal: Env, tmp_path: Path) -> None:
    firm = standing_height(anymal)
    robot = replace(anymal.contract.robot, stiffness=(40.0,) * 12, damping=(5.0,) * 12)
    home = replace(anymal.contract, robot=robot)
    checkpoint = write_checkpoint(tmp_path / "model_1.pt", [[0.0] * 48] * 12, home)
    subject = apply_gains(read_subject(checkpoint, anymal.contract), anymal)
    # Measured with these gains before: the robot sags to less than half of its height.
    assert standing_height(anymal) < 0.6 * firm
    assert any("own gains, stiffness 40" in line for line in subject.differences)
    assert not any(line.startswith("stiffness of") for line in subject.differences)


def test_gains_are_left_alone_where_the_contract_has_none(anymal: Env, tmp_path: Path) -> None:
    firm = standing_height(anymal)
    home = replace(anymal.contract, robot=replace(anymal.contract.robot, stiffness=(0.0,) * 12, actuator="lstm"))
    checkpoint = write_checkpoint(tmp_path / "model_1.pt", [[0.0] * 48] * 12, home)
    apply_gains(read_subject(checkpoint, anymal.contract), anymal)
    assert standing_height(anymal) == firm
