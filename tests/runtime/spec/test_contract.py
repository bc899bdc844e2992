"""The policy contract as a document: round trip, strictness, and the term it names when a policy does not fit."""

import dataclasses
import json
from types import SimpleNamespace

import pytest
from gaitway_runtime.policies.fit import check_fit
from gaitway_runtime.simulators import mujoco as embedded
from gaitway_runtime.spec.catalog import tasks
from gaitway_runtime.spec.contract import ObservationTerm, PolicyContract
from gaitway_runtime.spec.errors import UsageError
from gaitway_runtime.spec.job import TrainJob
from hypothesis import given
from hypothesis import strategies as st

from ..policies.samples import sample_contract


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


@pytest.mark.parametrize("info", tasks(), ids=lambda info: info.name)
def test_the_contracts_of_the_embedded_simulator_are_consistent_documents(info) -> None:
    env = embedded.open_env(TrainJob(task=info.name), num_envs=1, training=False, seed=0)
    try:
        contract = env.contract
    finally:
        env.close()
    assert PolicyContract.from_json(contract.to_json()) == contract
    assert (contract.observation_size, contract.action_size) == (info.observations, info.actions)
    check_fit(policy(info.observations, info.actions), contract)


def document(**changes) -> str:
    """The sample's document with top-level changes."""
    return json.dumps({**json.loads(sample_contract().to_json()), **changes})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "has no 'schema'"),
        (document(schema=3), "schema 3 is not readable"),
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
        check_fit(policy(48, 4), velocity_contract())

    def test_the_rough_tasks_policy_misses_the_height_scan(self) -> None:
        with pytest.raises(UsageError) as caught:
            check_fit(policy(235, 12), velocity_contract())
        assert "expects 235 inputs, task Isaac-Velocity-Flat-Anymal-C-v0 gives 48" in caught.value.message
        assert "term height_scan (187) is missing" in caught.value.message
        assert "Isaac-Velocity-Rough-Anymal-C-v0" in (caught.value.hint or "")
        assert caught.value.exit_code == 2

    def test_a_term_that_the_policy_does_not_have_is_named(self) -> None:
        with pytest.raises(UsageError, match=r"joint_pos.*or joint_vel.*that the policy does not have"):
            check_fit(policy(36, 4), velocity_contract())

    def test_a_policy_with_its_own_contract_is_compared_term_by_term(self) -> None:
        theirs = sample_contract(observations=velocity_contract().observations[1:])
        with pytest.raises(UsageError, match="term base_lin_vel has no values in the policy and 3 here"):
            check_fit(policy(45, 4, theirs), velocity_contract())

    def test_actions_are_named_by_their_joints(self) -> None:
        with pytest.raises(UsageError, match=r"gives 8 actions.* takes 4: term joint_pos is hip, thigh, shank, foot"):
            check_fit(policy(48, 8), velocity_contract())


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("joint_ids_map: [3, 0]\nstep_dt: 0.02\n", "a deploy.yaml of Unitree's deployers"),
        ("joint_ids_map: [3, 0]\r\nstep_dt: 0.02\r\n", "a deploy.yaml of Unitree's deployers"),
        ("actions: []\narticulations:\n  robot: {}\n", "Isaac Lab's IO descriptors"),
        ('{"models": {},\n "pipeline": {}}', "a LEAPP bundle"),
        ('{"actions": [], "articulations": {"robot": {}}}', "Isaac Lab's IO descriptors"),
        ('{"joint_ids_map": [3, 0], "step_dt": 0.02}', "a deploy.yaml of Unitree's deployers"),
        ("policy: {backend: ort, input_dim: 45, joint_ids_map: [3, 0]}\n", "a configuration of legged_rl_deploy"),
        ("decimation: 4\nepisode_length_s: 20.0\n", r"configuration of an environment \(env.yaml\)"),
        ("seed: 42\nnum_steps_per_env: 24\n", r"a learner's configuration \(agent.yaml\)"),
    ],
)
def test_other_projects_descriptions_are_refused_by_name(text: str, kind: str) -> None:
    with pytest.raises(UsageError, match=kind) as caught:
        PolicyContract.from_json(text, "deploy.yaml")
    assert "gaitway dump-contract" in (caught.value.hint or "")


@pytest.mark.parametrize("text", ["", "[1]", "{}", "[" * 100_000, "not: a contract"])
def test_what_is_no_contract_is_refused_with_where_one_comes_from(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        PolicyContract.from_json(text, "x.json")
    assert caught.value.source == "x.json"
    assert "gaitway dump-contract" in (caught.value.hint or "")


def test_a_byte_order_mark_is_no_fault() -> None:
    contract = sample_contract()
    assert PolicyContract.from_json("\ufeff" + contract.to_json()) == contract


def test_schema_1_is_completed_with_what_it_took_for_granted() -> None:
    contract = sample_contract()
    old = json.loads(contract.to_json()) | {"schema": 1}
    for term in old["observations"]:
        for name in ("quantity", "history_order", "command", "parameters"):
            del term[name]
        if term["name"] == "joint_pos":
            term["offset"] = []
    found = PolicyContract.from_json(json.dumps(old))
    term = found.observation("joint_pos")
    assert term is not None and term.quantity == "joint_position"
    assert term.offset == contract.robot.default_joint_pos
