"""The policy contract as a document: round trip, strictness, and the term it names when a policy does not fit."""

import dataclasses
import json
from types import SimpleNamespace

import pytest
from gaitway_runtime.catalog import TASKS
from gaitway_runtime.errors import UsageError
from gaitway_runtime.job import TrainJob
from gaitway_runtime.policies.contract import ObservationTerm, PolicyContract
from gaitway_runtime.simulators import mujoco as embedded
from hypothesis import given
from hypothesis import strategies as st

from .samples import sample_contract


def policy(observations: int, actions: int, contract: PolicyContract | None = None) -> SimpleNamespace:
    """Anything of a policy's outer shape."""
    return SimpleNamespace(observation_size=observations, action_size=actions, contract=contract)


def velocity_contract() -> PolicyContract:
    """The flat velocity task's 48 observations, with a sample's everything else."""
    sizes = {"base_lin_vel": 3, "base_ang_vel": 3, "projected_gravity": 3, "velocity_commands": 3}
    sizes |= {"joint_pos": 12, "joint_vel": 12, "actions": 12}
    terms, start = [], 0
    for name, size in sizes.items():
        terms.append(ObservationTerm(name=name, start=start, stop=start + size))
        start += size
    return sample_contract(task="Isaac-Velocity-Flat-Anymal-C-v0", observations=tuple(terms))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=64), min_size=4, max_size=4))
def test_every_number_survives_the_document_exactly(values: list[float]) -> None:
    contract = sample_contract()
    action = dataclasses.replace(contract.actions[0], scale=tuple(values))
    contract = dataclasses.replace(contract, actions=(action,))
    for indent in (None, 2):
        assert PolicyContract.from_json(contract.to_json(indent=indent)) == contract


@pytest.mark.parametrize("info", TASKS, ids=lambda info: info.name)
def test_the_contracts_of_the_embedded_simulator_are_consistent_documents(info) -> None:
    env = embedded.open_env(TrainJob(task=info.name), num_envs=1, training=False, seed=0)
    try:
        contract = env.contract
    finally:
        env.close()
    assert PolicyContract.from_json(contract.to_json()) == contract
    assert (contract.observation_size, contract.action_size) == (info.observations, info.actions)
    contract.check_against(policy(info.observations, info.actions))


def document(**changes) -> str:
    """The sample's document with top-level changes."""
    return json.dumps({**json.loads(sample_contract().to_json()), **changes})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "schema None"),
        (document(schema=2), "schema 2 is not readable"),
        (document(taks="x"), "unknown field 'taks'"),
        (document(task=3), "'task' is not a text"),
        (document(timing={"physics_dt": 0.005, "decimation": 4}), "'timing.control_dt' is missing"),
        (
            document(timing={"physics_dt": "fast", "decimation": 4, "control_dt": 0.02}),
            "'timing.physics_dt' is not a n",
        ),
        (document(timing={"physics_dt": 0.005, "decimation": True, "control_dt": 0.02}), "not a whole number"),
        (document(observations=[{"name": "a", "start": 0, "stop": 2, "clip": [1.0]}]), r"clip' is not a list of 2"),
        (document(observations=[{"name": "a", "start": 1, "stop": 2}]), "at 1:2, it should start at 0"),
        (document(observations="all"), "'observations' is not a list"),
        (document(commands=[]), "'commands' is not an object"),
    ],
)
def test_a_document_that_is_wrong_says_where(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        PolicyContract.from_json(text, "policy.json")
    assert caught.value.source == "policy.json"


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("robot", {"stiffness": [1.0, 2.0]}, "robot.stiffness has 2 entries instead of 4"),
        ("robot", {"default_joint_pos": [1.0]}, "robot.default_joint_pos has 1 entries"),
        ("actions", {"scale": [1.0]}, "actions.joint_pos.scale has 1 entries instead of 4"),
        ("actions", {"joint_names": ["a", "b"]}, "actions.joint_pos.joint_names has 2"),
    ],
)
def test_lists_must_be_as_long_as_the_joints(part: str, changes: dict, message: str) -> None:
    values = json.loads(sample_contract().to_json())
    target = values[part][0] if isinstance(values[part], list) else values[part]
    target.update(changes)
    with pytest.raises(UsageError, match=message):
        PolicyContract.from_json(json.dumps(values))


def test_a_number_that_is_no_number_cannot_be_written() -> None:
    contract = sample_contract(commands={"speed": float("nan")})
    with pytest.raises(ValueError, match="Out of range float"):
        contract.to_json()


class TestFit:
    def test_a_policy_that_fits_passes(self) -> None:
        velocity_contract().check_against(policy(48, 4))

    def test_the_rough_tasks_policy_misses_the_height_scan(self) -> None:
        with pytest.raises(UsageError) as caught:
            velocity_contract().check_against(policy(235, 12))
        assert "expects 235 inputs, task Isaac-Velocity-Flat-Anymal-C-v0 gives 48" in caught.value.message
        assert "term height_scan (187) is missing" in caught.value.message
        assert "Isaac-Velocity-Rough-Anymal-C-v0" in (caught.value.hint or "")
        assert caught.value.exit_code == 2

    def test_a_term_that_the_policy_does_not_have_is_named(self) -> None:
        with pytest.raises(UsageError, match=r"joint_pos.*or joint_vel.*that the policy does not have"):
            velocity_contract().check_against(policy(36, 4))

    def test_a_policy_with_its_own_contract_is_compared_term_by_term(self) -> None:
        theirs = sample_contract(observations=velocity_contract().observations[1:])
        with pytest.raises(UsageError, match="term base_lin_vel has no values in the policy and 3 here"):
            velocity_contract().check_against(policy(45, 4, theirs))

    def test_actions_are_named_by_their_joints(self) -> None:
        with pytest.raises(UsageError, match=r"gives 8 actions.* takes 4: term joint_pos is hip, thigh, shank, foot"):
            velocity_contract().check_against(policy(48, 8))
