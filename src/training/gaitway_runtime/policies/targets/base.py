"""Interface of an export target, and the checks that several share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...spec.contract import ObservationTerm, PolicyContract
from ...spec.errors import UsageError
from ...spec.export_targets import EXPORT_TARGETS
from ..adapter import OTHER_UNITS
from ..network import Policy

VELOCITY_COMMAND = ("lin_vel_x", "lin_vel_y", "ang_vel_z")
"""Names of a velocity command's values: Isaac Lab's, Unitree's and LEAPP's."""


Problems = Callable[[Policy, PolicyContract], Iterator[str]]
"""Yields what a deployer cannot express of a policy, a sentence each."""


@dataclass(frozen=True)
class ExportTarget:
    """One deployer."""

    title: str
    """Name as people write it."""
    problems: Problems
    """Yields what the deployer cannot express; nothing is written then."""
    write: Callable[[Policy, PolicyContract, Path], None]
    """Writes the files into an empty folder.

    Raises:
        JobFailed: What was written does not compute what the policy does.
    """


def write_target(name: str, policy: Policy, contract: PolicyContract, folder: Path) -> tuple[Path, ...]:
    """Write the files of a target and return them.

    Args:
        name: Name of the target.
        policy: The policy.
        contract: Its contract, complete.
        folder: Gets the files; made if need be.

    Raises:
        UsageError: There is no such target, or it cannot express the policy; the error says everything that it cannot.
        JobFailed: What was written does not compute what the policy does.
    """
    target = check_target(name, policy, contract)
    contract = PolicyContract.from_json(contract.to_json())  # plain numbers, as a deployer's file wants them
    folder.mkdir(parents=True, exist_ok=True)
    target.write(policy, contract, folder)
    return tuple(sorted(path for path in folder.rglob("*") if path.is_file()))


def check_target(name: str, policy: Policy, contract: PolicyContract) -> ExportTarget:
    """Return a target after a check that it can express a policy.

    Raises:
        UsageError: There is no such target, or it cannot; the error says everything that it cannot.
    """
    target = EXPORT_TARGETS.get(name, "--for")
    found = list(target.problems(policy, contract))
    if found:
        raise UsageError(
            f"{target.title} cannot run this policy: {'; '.join(found)}",
            source=f"--for {name}",
            hint="nothing was written; --for whole-loop puts all of it into one ONNX file",
        )
    return target


_IN_BASE = ("base_linear_velocity", "base_angular_velocity", "projected_gravity", "velocity_command")
"""Quantities that every deployer measures in the base frame."""


def contract_problems(policy: Policy, contract: PolicyContract) -> Iterator[str]:
    """Yield what every deployer that reads terms needs and a contract does not say."""
    for section in ("observations", "actions", "robot"):
        if section in contract.unknown or (section != "robot" and not getattr(contract, section)):
            yield f"its {section} are not given (--contract FILE)"
            return
    if (policy.observation_size, policy.action_size) != (contract.observation_size, contract.action_size):
        yield (
            f"its network takes {policy.observation_size} and gives {policy.action_size} values, "
            f"its contract says {contract.observation_size} and {contract.action_size}"
        )
    for term in contract.observations:
        if not term.quantity:
            yield f"what its observation {term.name} measures is not given"
        if term.history > 1 and term.history_order != "oldest_first":
            yield f"its observation {term.name} has its newest frame first"
        if term.units.strip() in OTHER_UNITS:
            yield f"its observation {term.name} is in {term.units}"
        if term.quantity in _IN_BASE and term.frame.split(",")[0].strip() not in ("", "base"):
            yield f"its observation {term.name} is in the {term.frame} frame"
    for action in contract.actions:
        if action.units.strip() in OTHER_UNITS:
            yield f"its action {action.name} is in {action.units}"


def of_terms(problems: Problems) -> Problems:
    """Decorate the problems of a deployer that reads terms: what a contract lacks for them is told first, and alone."""

    @functools.wraps(problems)
    def told(policy: Policy, contract: PolicyContract) -> Iterator[str]:
        yield from list(contract_problems(policy, contract)) or problems(policy, contract)

    return told


def quantity_problems(contract: PolicyContract, names: Mapping[str, str], deployer: str) -> Iterator[str]:
    """Yield the observations whose quantity a deployer does not have, and quantities that stand twice.

    Args:
        contract: The contract.
        names: The deployer's name of each quantity that it has.
        deployer: Its name.
    """
    seen: set[str] = set()
    for term in contract.observations:
        if term.quantity and term.quantity not in names:
            yield f"{deployer} has no observation '{term.name}' ({term.quantity})"
        if term.quantity in seen:
            yield f"its observation {term.name} stands twice"
        seen.add(term.quantity)


def position_problems(contract: PolicyContract) -> Iterator[str]:
    """Yield what keeps the actions from being positions around the default pose, in one order of joints."""
    if len(contract.actions) != 1 or contract.actions[0].kind != "joint_position":
        kinds = ", ".join(term.kind for term in contract.actions)
        yield f"its actions are {kinds}, not one term of joint positions"
        return
    action, pose = contract.actions[0], default_pose(contract)
    if tuple(pose.get(joint) for joint in action.joint_names) != action.offset:
        yield "its action's offset is not the default pose"
    for term in contract.observations:
        if term.quantity in ("joint_position", "joint_velocity", "last_action") and joints_of(term, contract) != (
            action.joint_names
        ):
            yield f"its observation {term.name} has other joints, or another order, than its action"
        if term.quantity == "joint_position" and not counts_from_default(term, contract):
            yield f"its observation {term.name} does not count from the default pose"
        elif term.quantity != "joint_position" and any(term.offset):
            yield f"its observation {term.name} has an offset"


def default_pose(contract: PolicyContract) -> dict[str, float]:
    """Return the default position of each joint [rad]."""
    return dict(zip(contract.robot.joint_names, contract.robot.default_joint_pos, strict=False))


def joints_of(term: ObservationTerm, contract: PolicyContract) -> tuple[str, ...]:
    """Return the joints that a term is about; for a last action that names none those of the actions."""
    if term.joint_names or term.quantity != "last_action":
        return term.joint_names
    return tuple(joint for action in contract.actions for joint in action.joint_names)


def counts_from_default(term: ObservationTerm, contract: PolicyContract) -> bool:
    """Whether a term of joint positions is measured from the default pose."""
    pose = default_pose(contract)
    wanted = tuple(pose.get(joint, 0.0) for joint in term.joint_names) * term.history
    return (term.offset or (0.0,) * len(wanted)) == wanted


def in_action_order(contract: PolicyContract, values: Sequence[float]) -> tuple[float, ...]:
    """Return values of the robot's joints in the order of the action's."""
    by_joint = dict(zip(contract.robot.joint_names, values, strict=True))
    return tuple(by_joint[joint] for joint in contract.actions[0].joint_names)


def frame_size(term: ObservationTerm) -> int:
    """Return the values of one frame of a term."""
    return (term.stop - term.start) // term.history


def frame_scales(term: ObservationTerm) -> list[float]:
    """Return a scale for each value of one frame."""
    return list(term.scales[: frame_size(term)]) if term.scales else [term.scale] * frame_size(term)


def command_names(term: ObservationTerm, contract: PolicyContract) -> tuple[str, ...]:
    """Return the name of each value of the command that a term shows."""
    command: Mapping[str, Any] = contract.commands.get(term.command, {})
    size = frame_size(term)
    usual = VELOCITY_COMMAND if size == len(VELOCITY_COMMAND) else tuple(f"command_{n}" for n in range(size))
    return tuple(command.get("names", ())) or usual


def ranges_of(contract: PolicyContract, term: ObservationTerm) -> dict[str, list[float]]:
    """Return the trained ranges of the command that a term shows, by the name of each value; empty where unknown."""
    command: Mapping[str, Any] = contract.commands.get(term.command) or next(iter(contract.commands.values()), {})
    names, ranges = command.get("names", ()), command.get("ranges", ())
    return {name: list(pair) for name, pair in zip(names, ranges, strict=False)} if isinstance(ranges, list) else {}
