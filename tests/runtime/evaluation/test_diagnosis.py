import dataclasses
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from gaitway_runtime.evaluation.diagnosis import diagnose, short_training
from gaitway_runtime.evaluation.remedies import suspicions, try_remedies
from gaitway_runtime.evaluation.rollout import run_steps
from gaitway_runtime.evaluation.subject import Subject, read_subject
from gaitway_runtime.evaluation.validation import evaluate, explain
from gaitway_runtime.policies.adapter import adapt
from gaitway_runtime.spec import catalog
from gaitway_runtime.spec.contract import PolicyContract

from tests.fakes.env import FakeEnv, Obey
from tests.fakes.linear_policy import write_checkpoint

OBEY = ((0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
"""The fake environment's perfect policy: it answers with the command."""


@pytest.fixture
def env() -> FakeEnv:
    return FakeEnv(16, max_episode_length=40)


@pytest.fixture
def subject(env: FakeEnv, tmp_path: Path) -> Subject:
    return read_subject(write_checkpoint(tmp_path / "model_1.pt", OBEY), env.contract)


def under(subject: Subject, contract: PolicyContract) -> Subject:
    return dataclasses.replace(subject, home=contract, adapter=adapt(contract, subject.here))


def with_joints(contract: PolicyContract, *names: str) -> PolicyContract:
    return replace(contract, actions=(replace(contract.actions[0], joint_names=names),))


def with_actions(contract: PolicyContract, **fields: tuple[float, float]) -> PolicyContract:
    return replace(contract, actions=(replace(contract.actions[0], **fields),))


def test_a_good_policy_shows_no_symptom(env: FakeEnv, subject: Subject) -> None:
    assert diagnose(run_steps(env, Obey(), 120, seed=0), subject) == ()


def test_a_glimpse_is_not_enough_to_judge_by(env: FakeEnv, subject: Subject) -> None:
    assert diagnose(run_steps(env, Obey(0.05), 20, seed=0), subject) == ()


@pytest.mark.parametrize(
    ("gain", "symptom"), [(0.05, "It stands"), (2.5, "faster and faster"), (-1.0, "not where it is commanded")]
)
def test_symptoms_are_named(env: FakeEnv, subject: Subject, gain: float, symptom: str) -> None:
    found = diagnose(run_steps(env, Obey(gain), 120, seed=0), subject)
    assert symptom in found[0].cause


def test_falling_at_once_is_a_symptom_and_falling_late_is_none(subject: Subject) -> None:
    early, late = (run_steps(FakeEnv(8, lengths=[[-length]]), Obey(), 200, seed=0) for length in (20, 180))
    assert "falls right away" in diagnose(early, subject)[-1].cause
    assert diagnose(late, subject) == ()


@pytest.mark.parametrize(
    ("wrong", "cause"),
    [
        (lambda c: with_joints(c, "slide_y", "slide_x"), "Wrong joint order in the policy's contract"),
        (lambda c: with_actions(c, scale=(0.1, 0.1)), "Wrong action scale in the policy's contract"),
        (lambda c: with_actions(c, offset=(3.0, 0.0)), "Wrong default pose in the policy's contract"),
        (
            lambda c: replace(c, observations=(c.observations[0], replace(c.observations[1], scale=-1.0))),
            "Wrong scale of velocity_commands in the policy's contract",
        ),
    ],
    ids=["joints", "scale", "offset", "sign"],
)
def test_what_is_wrong_in_a_contract_is_found_by_undoing_it(
    env: FakeEnv, subject: Subject, wrong: object, cause: str
) -> None:
    broken = under(subject, wrong(subject.here))  # type: ignore[operator]
    found = try_remedies(env, broken, seed=0)
    assert [finding.cause for finding in found] == [cause]
    assert "100%" in found[0].evidence


def test_a_mistake_that_both_contracts_share_is_found_too(env: FakeEnv, tmp_path: Path) -> None:
    weights = -np.array(OBEY)
    subject = read_subject(write_checkpoint(tmp_path / "model_1.pt", weights.tolist()), env.contract)
    assert [finding.cause for finding in try_remedies(env, subject, seed=0)] == ["Wrong sign of velocity_commands"]


def test_a_policy_that_cannot_be_mended_gets_no_excuse(env: FakeEnv, tmp_path: Path) -> None:
    subject = read_subject(write_checkpoint(tmp_path / "model_1.pt", np.zeros((2, 4)).tolist()), env.contract)
    validation = explain(evaluate(env, subject, episodes=48, seed=0), env, subject)
    assert not validation.verdict.passed
    assert [finding.cause for finding in validation.findings] == ["It stands although it is commanded to walk"]


def test_no_cause_is_looked_for_where_the_gate_is_passed(env: FakeEnv, subject: Subject) -> None:
    validation = evaluate(env, subject, episodes=16, seed=0)
    assert validation.verdict.passed
    assert explain(validation, env, subject) is validation


def test_a_legged_robots_joints_are_tried_in_the_orders_that_simulators_use() -> None:
    legs, kinds = ("LF", "LH", "RF", "RH"), ("HAA", "HFE", "KFE")
    by_kind = tuple(f"{leg}_{kind}" for kind in kinds for leg in legs)
    fake = FakeEnv().contract
    values = (0.0,) * 12
    action = replace(fake.actions[0], stop=12, joint_names=by_kind, scale=(0.5,) * 12, offset=values)
    robot = replace(
        fake.robot,
        joint_names=by_kind,
        default_joint_pos=values,
        joint_pos_limits=((-1.0, 1.0),) * 12,
        **dict.fromkeys(("stiffness", "damping", "armature", "effort_limits"), values),
    )
    here = replace(fake, actions=(action,), robot=robot)
    orders = {remedy.contract.actions[0].joint_names for remedy in suspicions(here, here)}
    assert tuple(f"{leg}_{kind}" for leg in legs for kind in kinds) in orders, "depth first, as MuJoCo reads a model"
    around = ("LF", "RF", "LH", "RH")
    assert tuple(f"{leg}_{kind}" for leg in around for kind in kinds) in orders, "as ANYmal's own description has it"


def test_too_little_training_is_a_cause(env: FakeEnv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = dataclasses.replace(catalog.embedded("Isaac-Ant-v0"), name=env.task, aliases=())
    monkeypatch.setitem(catalog._tasks, env.task, task)
    contract = replace(env.contract, simulator="mujoco 4.0.0")
    policy = read_subject(write_checkpoint(tmp_path / "model_1.pt", OBEY), contract)

    def found(iteration: int) -> list[str]:
        network = SimpleNamespace(parts=SimpleNamespace(iteration=iteration))
        return [finding.cause for finding in short_training(env.task, replace(policy, policy=network))]  # type: ignore[arg-type]

    assert found(33) == [f"It was trained for 34 iterations; the task's recipe takes {task.local.max_iterations}"]
    assert found(task.local.max_iterations - 1) == []
