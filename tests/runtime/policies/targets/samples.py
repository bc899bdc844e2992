"""What the tests of targets share: an untrained policy, contracts cut to measure, a robot's recorded steps."""

import dataclasses
import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from gaitway_runtime.policies.export import complete, export_policy
from gaitway_runtime.policies.network import Normalizer, Output, Policy, PolicyParts, assemble
from gaitway_runtime.policies.targets.base import write_target
from gaitway_runtime.policies.targets.unitree import MOTORS
from gaitway_runtime.policies.weights import Linear, Rnn
from gaitway_runtime.simulators import mujoco as embedded
from gaitway_runtime.spec.contract import PolicyContract
from gaitway_runtime.spec.job import ValidateJob

from ...contract.bare_robot import Controller, measure

STEPS = 1000
GO2 = "Isaac-Velocity-Flat-Unitree-Go2-v0"


def policy_for(contract: PolicyContract, recurrent: str = "") -> Policy:
    """A network that nobody trained, with a normaliser and a clamp."""
    torch.manual_seed(2)
    inputs, hidden = contract.observation_size, 16
    sizes = (hidden if recurrent else inputs, 32, contract.action_size)
    linears = tuple(
        Linear(torch.randn(below, above) / above**0.5, torch.randn(below), True)
        for above, below in itertools.pairwise(sizes)
    )
    normalizer = Normalizer("empirical", torch.randn(inputs) / 5, 0.5 + torch.rand(inputs), 0.01)
    cells = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
    state = cells[recurrent](inputs, hidden).state_dict() if recurrent else {}
    parts = PolicyParts(
        family="none",
        linears=linears,
        activations=("elu",),
        activation_source="",
        normalizer=normalizer,
        output=Output("deterministic"),
        output_limit=2.0,
        contract=contract,
        rnn=Rnn(recurrent, 1, hidden, inputs, state) if recurrent else None,
    )
    return assemble(parts)


def shaped(contract: PolicyContract, names: list[str], **changes: dict) -> PolicyContract:
    """A contract with some of another's terms, in the order given, and changes to them by name."""
    terms, start = [], 0
    for name in names:
        term = next(term for term in contract.observations if term.name == name)
        term = dataclasses.replace(term, **changes.get(name, {}))
        size = (term.stop - term.start) * term.history
        whole = term.offset * term.history
        terms.append(dataclasses.replace(term, start=start, stop=start + size, offset=whole))
        start += size
    return dataclasses.replace(contract, observations=tuple(terms))


def record() -> SimpleNamespace:
    """A Go2 in the embedded simulator under random actions: what its sensors say in each step."""
    import mujoco

    env = embedded.open_env(ValidateJob(task=GO2), num_envs=1, training=False, seed=1)
    model = env.engine.model
    data = mujoco.MjData(model)
    contract, rng = env.contract, np.random.default_rng(0)
    document = json.loads(contract.to_json())
    env.reset(1)
    steps = []
    for _ in range(STEPS):
        data.qpos[:], data.qvel[:] = env.engine.qpos[0], env.engine.qvel[0]
        raw = measure(document, model, data)
        raw = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in raw.items()}
        raw["command"] = env.state.command[0].copy()
        raw["commands"] = {"base_velocity": raw["command"]}
        raw["quaternion"] = data.qpos[3:7].copy()
        for name, key in (("motor_q", "joint_position"), ("motor_dq", "joint_velocity")):
            raw[name] = np.array([raw[key][joint] for joint in MOTORS["quadruped"]])
        steps.append(raw)
        env.step(rng.normal(0, 0.3, (1, 12)).astype(np.float32))
    return SimpleNamespace(contract=contract, steps=steps)


def reference(policy: Policy, contract: PolicyContract, steps: list[dict], folder: Path) -> list[dict[str, float]]:
    """Targets by joint of a controller that is written from the contract's page alone."""
    export_policy(policy, contract, folder, ("onnx",))
    controller = Controller(folder)
    joints = [joint for term in contract.actions for joint in term.joint_names]
    return [dict(zip(joints, controller.step(raw)[1], strict=True)) for raw in steps]


def same(found: dict[str, float], expected: dict[str, float]) -> None:
    assert set(found) == set(expected)
    assert max(abs(found[joint] - expected[joint]) for joint in expected) < 1e-5


ALL = ["base_lin_vel", "base_ang_vel", "projected_gravity", "velocity_commands", "joint_pos", "joint_vel", "actions"]
PLAIN = ALL[1:]
SCALED = {"base_ang_vel": {"scale": 0.2}, "joint_vel": {"scale": 0.05, "clip": (-2.0, 2.0)}}


def made(
    target: str, contract: PolicyContract, folder: Path, recurrent: str = ""
) -> tuple[Policy, PolicyContract, Path]:
    policy = policy_for(contract, recurrent)
    whole = complete(policy, contract, {}, {})
    write_target(target, policy, whole, folder)
    return policy, whole, folder


def sensors(raw: dict, contract: PolicyContract) -> dict[str, np.ndarray]:
    """Inputs of a whole loop: joints in the robot's order, the orientation as x, y, z, w."""
    found = {
        "base_lin_vel": raw["base_linear_velocity"],
        "base_ang_vel": raw["base_angular_velocity"],
        "base_quat": raw["quaternion"][[1, 2, 3, 0]],
        "base_velocity": raw["command"],
        "joint_pos": [raw["joint_position"][joint] for joint in contract.robot.joint_names],
        "joint_vel": [raw["joint_velocity"][joint] for joint in contract.robot.joint_names],
    }
    return {name: np.asarray(value, np.float32)[None] for name, value in found.items()}
