"""A controller written from contract and ONNX alone answers as the evaluation does, and walks a bare robot."""

import dataclasses
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mujoco
import numpy as np
import pytest
import torch
from gaitway_runtime.policies.activations import activation_module
from gaitway_runtime.policies.export import export_policy
from gaitway_runtime.policies.network import Output, Policy, PolicyParts, assemble
from gaitway_runtime.policies.reader import read_checkpoint
from gaitway_runtime.policies.sessions import open_session
from gaitway_runtime.policies.weights import Linear
from gaitway_runtime.simulators import mujoco as embedded
from gaitway_runtime.simulators.base import policy_observations
from gaitway_runtime.spec import catalog
from gaitway_runtime.spec.contract import PolicyContract
from gaitway_runtime.spec.job import ValidateJob
from gaitway_runtime.tasks.environment import find_environment
from gaitway_runtime.tasks.terrain import RESOLUTION

SAMPLES = Path(__file__).resolve().parents[3] / "samples"
TASKS = [task.name for task in catalog.tasks()]
TRAINED = {
    "Isaac-Velocity-Flat-Anymal-C-v0": "anymal-c-flat",
    "Isaac-Velocity-Rough-Anymal-C-v0": "anymal-c-rough",
    "Isaac-Velocity-Flat-Unitree-Go2-v0": "go2-flat",
    "Isaac-Velocity-Flat-H1-v0": "h1-flat",
    "Isaac-Velocity-Flat-G1-v0": "g1-flat",
}
STEPS = 120
UNMEASURED = "contact_wrench"
"""What a state does not tell: replayed as it was recorded."""


def policy_of(task: str, contract: PolicyContract) -> Policy:
    """The sample's policy of a task, or one that nobody trained."""
    if task in TRAINED:
        return read_checkpoint(next((SAMPLES / TRAINED[task]).glob("model_*.pt")))
    torch.manual_seed(1)
    sizes = (contract.observation_size, 32, contract.action_size)
    linears = tuple(
        Linear(0.3 * torch.randn(outputs, inputs) / inputs**0.5, torch.zeros(outputs), True)
        for inputs, outputs in itertools.pairwise(sizes)
    )
    return assemble(
        PolicyParts(
            family="none",
            linears=linears,
            activations=("elu",),
            activation_source="",
            normalizer=None,
            output=Output("deterministic"),
            contract=contract,
        )
    )


@pytest.fixture(scope="module", params=TASKS)
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """An evaluation of a task, recorded, and what the bare robot made of it."""
    folder, task = tmp_path_factory.mktemp("bare"), request.param
    # The columns that make walls vertical follow the feet in the simulator alone: a bare robot walks on ramps.
    rough = bool(find_environment(task).terrain)
    job = ValidateJob(task=task, overrides=("env.terrain.walls=false",) if rough else ())
    env: Any = embedded.open_env(job, num_envs=1, training=False, seed=3)
    policy = policy_of(task, env.contract)
    made = export_policy(policy, env.contract, folder, ("onnx",))
    mujoco.mj_saveModel(env.engine.model, str(folder / "robot.mjb"), None)
    terrain = env.state.terrain
    if terrain is not None:
        np.savez(folder / "ground.npz", heights=terrain.heights, first=terrain.first, cell=RESOLUTION)
    recording = record(env, open_session(made["onnx"]).act)
    np.savez(folder / "recorded.npz", **recording)
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    script = Path(__file__).with_name("bare_robot.py")
    done = subprocess.run([sys.executable, script, folder], capture_output=True, text=True, env=environ)
    assert done.returncode == 0, done.stderr
    return SimpleNamespace(
        task=task,
        recorded=recording,
        replayed=dict(np.load(folder / "replayed.npz")),
        contract=PolicyContract.from_json((folder / "contract.json").read_text()),
        walks=task in TRAINED,
    )


def record(env: Any, act: Callable[[np.ndarray], np.ndarray]) -> dict[str, np.ndarray]:
    """Play until an episode ends: the state before each step, what the policy saw and what its actions came to."""
    rows: dict[str, list[np.ndarray]] = {}
    observation = policy_observations(env, env.reset(3))
    unmeasured = {term.quantity: term for term in env.contract.observations if term.quantity == UNMEASURED}
    for _ in range(STEPS):
        action = act(observation)
        (term,) = env.contract.actions
        row = {
            "qpos": env.engine.qpos[0].copy(),
            "qvel": env.engine.qvel[0].copy(),
            "command": env.state.command[0].copy() if env.state.command.size else np.zeros(3),
            "observations": observation[0],
            "targets": np.asarray(term.offset) + np.asarray(term.scale) * action[0].astype(np.float64),
        }
        for quantity, part in unmeasured.items():
            row[quantity] = observation[0, part.start : part.stop] / np.float32(part.scale)
        for name, value in row.items():
            rows.setdefault(name, []).append(value)
        step = env.step(action)
        if step.terminated[0] or step.truncated[0]:
            break
        observation = policy_observations(env, step.observations)
    return {name: np.array(values) for name, values in rows.items()}


def test_every_term_is_what_its_description_says(played: SimpleNamespace) -> None:
    for term in played.contract.observations:
        assert term.quantity, f"nobody says what {term.name} measures"
        told = played.replayed["observations"][:, term.start : term.stop]
        seen = played.recorded["observations"][:, term.start : term.stop]
        np.testing.assert_allclose(told, seen, rtol=1e-5, atol=1e-5, err_msg=term.name)


def test_the_targets_are_the_evaluations(played: SimpleNamespace) -> None:
    np.testing.assert_allclose(played.replayed["targets"], played.recorded["targets"], rtol=0, atol=1e-5)


def test_it_knows_nothing_of_gaitway(played: SimpleNamespace) -> None:
    assert played.replayed["foreign"].size == 0


def test_a_bare_robot_moves_as_in_the_evaluation(played: SimpleNamespace) -> None:
    np.testing.assert_allclose(played.replayed["walked"], played.recorded["targets"], rtol=0, atol=1e-5)


def test_a_contract_of_the_first_schema_is_completed() -> None:
    """Joint positions count from the default pose: schema 1 left that out, and a robot squatted."""
    policy = read_checkpoint(next((SAMPLES / "anymal-c-flat").glob("model_*.pt")))
    assert policy.contract is not None and policy.contract.schema == 2
    term = policy.contract.observation("joint_pos")
    assert term is not None and term.quantity == "joint_position"
    assert term.offset == policy.contract.robot.default_joint_pos
    document = json.loads(policy.contract.to_json())
    assert PolicyContract.from_json(json.dumps(document)) == policy.contract
    assert dataclasses.asdict(policy.contract)["schema"] == 2
    assert activation_module("elu", "") is not None
