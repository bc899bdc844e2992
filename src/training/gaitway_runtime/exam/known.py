"""Conventions that somebody wrote down: found inside or beside a policy, and those of our own contract read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..policies.adapter import OTHER_UNITS, UNIT_FACTORS
from ..policies.bundles import KINDS, LEAPP, WHOLE_LOOP, read_bundle
from ..policies.confined.policy_file import PolicyFile
from ..policies.targets.unitree import MOTORS
from ..spec.contract import CONTRACT_FILE, QUANTITIES, ObservationTerm, PolicyContract
from ..spec.errors import UsageError
from ..tasks.mdp.observations import SCAN_X, SCAN_Y
from ..tasks.robots import RobotSpec
from . import conventions as words
from .bundled import bundle_conventions, describe_bundle
from .conventions import SCAN_OFFSET, Conventions, ExamTerm, size_of
from .description import Description, Known, bounded, check_quantity, places_of
from .elsewhere import deploy_conventions, descriptor_conventions, metadata_conventions, texts_of

DESCRIPTORS, DEPLOY = "IO_descriptors.yaml", "deploy.yaml"
_MOST_BYTES = 1 << 22
"""Largest description that is read."""
_FRAMES: Mapping[str, str] = {
    "": "base",
    "base": "base",
    "body": "base",
    "world": "world",
    "heading": "heading",
    "yaw": "heading",
}
"""Frame of a velocity by the first word that a contract has for it."""


def describe(file: PolicyFile, contract_file: Path | None, inside: PolicyContract | None) -> Description | None:
    """Return the description of a policy that lies nearest, or None where nobody wrote one.

    Args:
        file: The policy.
        contract_file: Description that was named.
        inside: Our contract in a checkpoint.

    Raises:
        UsageError: A description cannot be read.
    """
    if file.kind in KINDS:
        if contract_file is not None:
            raise UsageError("a bundle says itself what its inputs are", source=f"--contract {contract_file}")
        own = PolicyContract.from_json(file.contract, f"the contract in {file.path}") if file.contract else None
        return describe_bundle(read_bundle(file.path), own)
    if contract_file is not None:
        return _of_file(contract_file, f"--contract {contract_file}")
    if file.contract:
        return _of_contract(
            PolicyContract.from_json(file.contract, f"the contract in {file.path}"), "inside the policy"
        )
    if inside is not None:
        return _of_contract(inside, "inside the policy")
    if "joint_names" in file.metadata and "observation_names" in file.metadata:
        joints = tuple(texts_of(file.metadata["joint_names"]))
        return Description(
            kind="metadata", source="the metadata of the ONNX file", content=file.metadata, joints=joints
        )
    folder = file.path.resolve().parent
    for path in (
        folder / CONTRACT_FILE,
        folder / DESCRIPTORS,
        folder / DEPLOY,
        folder.parent / "params" / DEPLOY,
        folder.parent / "io_descriptors" / DESCRIPTORS,
    ):
        if path.is_file():
            return _of_file(path, str(path))
    return None


def conventions_of(found: Description, spec: RobotSpec) -> Known:
    """Return what a description says, for a robot.

    Raises:
        UsageError: It names a joint that the robot does not have, a quantity that nobody can compute, or an action
            that is no joint position; or it is not written as its kind is.
    """
    missing = [joint for joint in found.joints if joint not in spec.joint_names]
    if missing or sorted(found.joints) != sorted(spec.joint_names):
        raise UsageError(
            f"the policy moves joint {missing[0]}, which {spec.name} does not have"
            if missing
            else f"the policy moves {len(set(found.joints))} joints, {spec.name} has {len(spec.joint_names)}",
            source=found.source,
            allowed=", ".join(spec.joint_names),
            hint="--robot names another robot",
        )
    read = {
        "contract": _contract_conventions,
        "metadata": metadata_conventions,
        "descriptors": descriptor_conventions,
        "deploy": deploy_conventions,
        LEAPP: bundle_conventions,
        WHOLE_LOOP: bundle_conventions,
    }[found.kind]
    contract = found.content if isinstance(found.content, PolicyContract) else None
    try:
        conventions = read(found, spec)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"the description is not written as expected: {type(error).__name__} {error}", source=found.source
        ) from None
    return Known(source=found.source, conventions=conventions, contract=contract)


def sizes(found: Conventions) -> Iterator[tuple[str, int]]:
    """Yield the terms with their sizes, for an error that names them."""
    for term in found.terms:
        joints = len(term.joints or found.joints)
        yield words.NAMES[term.quantity], size_of(term.quantity, joints) * term.frames * found.stacked


def _of_file(path: Path, source: str) -> Description:
    import yaml

    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UsageError(f"the description has more than {_MOST_BYTES:,} bytes", source=source)
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the description cannot be read: {error}", source=source) from None
    if path.suffix == ".json":
        return _of_contract(PolicyContract.from_json(text, source), source)
    try:
        content = yaml.load(text, Loader=_plain_loader())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UsageError(f"the description is not YAML: {reason}", source=source) from None
    found = _of_yaml(content, source)
    if found is None:
        raise UsageError(
            "the description is of no known kind",
            source=source,
            allowed="our contract.json, Isaac Lab's IO_descriptors.yaml, Unitree's deploy.yaml",
        )
    return found


def _of_yaml(content: Any, source: str) -> Description | None:
    """Return a document as a description, or None where it is of no known kind."""
    try:
        if isinstance(content, dict) and "articulations" in content and "observations" in content:
            actions = content.get("actions") or [{}]
            joints = tuple(joint for action in actions for joint in action.get("joint_names", ()))
            step = float((content.get("scene") or {}).get("dt") or 0.0)
            return Description(kind="descriptors", source=source, content=content, joints=joints, control_dt=step)
        if isinstance(content, dict) and "joint_ids_map" in content:
            joints = _motor_joints([int(number) for number in content["joint_ids_map"]], source)
            step = float(content.get("step_dt") or 0.0)
            return Description(kind="deploy", source=source, content=content, joints=joints, control_dt=step)
    except (AttributeError, TypeError, ValueError) as error:
        raise UsageError(f"the description is not written as expected: {error}", source=source) from None
    return None


def _motor_joints(ids: list[int], source: str) -> tuple[str, ...]:
    """Return the joints of motors by their numbers in the SDK."""
    motors = next((order for order in MOTORS.values() if len(order) == len(ids)), ())
    if not motors or sorted(ids) != list(range(len(motors))):
        known = ", ".join(f"{name} ({len(order)})" for name, order in MOTORS.items())
        raise UsageError(
            f"joint_ids_map has {len(ids)} joints whose motors are not known",
            source=source,
            allowed=f"each motor once, of one of: {known}",
            hint="a contract.json names the joints themselves: --contract FILE",
        )
    return tuple(motors[number] for number in ids)


def _plain_loader() -> Any:
    """Return a YAML loader that reads a tag of Python's (``slice``) as nothing, as its readers do."""
    import yaml

    class PlainLoader(yaml.SafeLoader):
        pass

    PlainLoader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: None)
    return PlainLoader


def _of_contract(contract: PolicyContract, source: str) -> Description:
    joints = tuple(joint for term in contract.actions for joint in term.joint_names)
    return Description(
        kind="contract",
        source=source,
        content=contract,
        joints=joints,
        task=contract.task,
        control_dt=contract.timing.control_dt,
    )


def _contract_conventions(found: Description, spec: RobotSpec) -> Conventions:
    contract: PolicyContract = found.content
    kinds = {term.kind for term in contract.actions}
    if kinds != {"joint_position"}:
        raise UsageError(
            f"the policy's actions are {', '.join(sorted(kinds))}, not joint positions", source=found.source
        )
    for term in contract.actions:
        if term.units.strip() in OTHER_UNITS:
            raise UsageError(f"the policy's actions are in {term.units}", source=found.source, allowed="rad")
    offsets = {
        joint: offset for term in contract.actions for joint, offset in zip(term.joint_names, term.offset, strict=True)
    }
    pose = dict(zip(contract.robot.joint_names, contract.robot.default_joint_pos, strict=False))
    robot = contract.robot
    gains = [
        tuple(dict(zip(robot.joint_names, values, strict=False)).get(joint, 0.0) for joint in spec.joint_names)
        for values in (robot.stiffness, robot.damping)
    ]
    driven = any(gains[0])
    period = next(
        (term.parameters.get("period_s") for term in contract.observations if "period_s" in term.parameters), None
    )
    return Conventions(
        terms=tuple(_contract_term(term, contract, spec, found.source) for term in contract.observations),
        joints=places_of(found.joints, spec, found.source),
        action_scale=tuple(value for term in contract.actions for value in term.scale),
        action_pose=tuple(offsets[joint] for joint in spec.joint_names),
        observed_pose=tuple(pose.get(joint, 0.0) for joint in spec.joint_names),
        target_bounds=bounded(tuple(pair for term in contract.actions for pair in term.bounds)),
        stiffness=gains[0] if driven else (),
        damping=gains[1] if driven else (),
        period=float(period) if isinstance(period, (int, float)) else words.PERIOD,
    )


def _contract_term(term: ObservationTerm, contract: PolicyContract, spec: RobotSpec, source: str) -> ExamTerm:
    quantity = term.quantity or QUANTITIES.get(term.name, "")
    check_quantity(quantity, term.name, source)
    size, factor = (term.stop - term.start) // term.history, _unit_factor(term, quantity, source)
    offset = tuple(value / factor for value in term.offset[:size])
    if quantity == words.JOINT_POS and not offset:
        offset = (0.0,) * size
    elif quantity == words.HEIGHT_SCAN:
        offset = _scan_offset(term, source)
    return ExamTerm(
        quantity=quantity,
        scales=tuple(factor * value for value in term.scales[:size] or (term.scale,)),
        offset=offset,
        clip=(term.clip[0] / factor, term.clip[1] / factor) if term.clip else None,
        frame=_frame(term, quantity, contract, source),
        frames=term.history,
        newest_first=term.history_order == "newest_first",
        joints=places_of(term.joint_names, spec, source) if quantity in words.PER_JOINT else (),
    )


def _unit_factor(term: ObservationTerm, quantity: str, source: str) -> float:
    """Return how many of a term's unit are one of ours."""
    unit, ours = term.units.strip(), words.UNITS.get(quantity, "")
    if unit in OTHER_UNITS:
        if (ours, unit) not in UNIT_FACTORS:
            raise UsageError(f"the policy observes {term.name} in {unit}", source=source, allowed=ours or "no unit")
        return UNIT_FACTORS[ours, unit]
    return 1.0


def _frame(term: ObservationTerm, quantity: str, contract: PolicyContract, source: str) -> str:
    """Return the frame of a velocity, or the order of a quaternion's or Euler angles' numbers."""
    if quantity == words.HEIGHT_SCAN:
        return "y" if _scan_order(term, source) == "y fastest" else "base"
    if quantity == words.ORIENTATION:
        return "xyzw" if contract.conventions.get("quaternion") == "xyzw" else "wxyz"
    if quantity == words.EULER:
        return "ypr" if str(term.parameters.get("order", "")).startswith("yaw") else "base"
    if quantity not in (words.LIN_VEL, words.ANG_VEL):
        return "base"
    first = re.match(r"\w*", term.frame)
    frame = _FRAMES.get(first.group().lower() if first else "")
    if frame is None:
        raise UsageError(
            f"the policy observes {term.name} in the frame '{term.frame}', which the exam does not know",
            source=source,
            allowed="base, world, heading",
        )
    return frame


def _scan_order(term: ObservationTerm, source: str) -> str:
    """Return which coordinate runs fastest over a height scan's grid.

    Raises:
        UsageError: Its grid is not the simulator's.
    """
    for key, ours in (("x_m", SCAN_X), ("y_m", SCAN_Y)):
        axis = term.parameters.get(key, ours.tolist())
        if not isinstance(axis, (list, tuple)) or len(axis) != len(ours) or np.abs(np.array(axis) - ours).max() > 1e-3:
            raise UsageError(
                f"the policy's {term.name} has another grid than the simulator's",
                source=source,
                allowed=f"{len(SCAN_X)} by {len(SCAN_Y)} points, {SCAN_X[0]:g} to {SCAN_X[-1]:g} m by "
                f"{SCAN_Y[0]:g} to {SCAN_Y[-1]:g} m",
            )
    return str(term.parameters.get("order", "x fastest"))


def _scan_offset(term: ObservationTerm, source: str) -> tuple[float, ...]:
    """Return what is subtracted from our height scan to make a contract's."""
    taken = term.parameters.get("offset", SCAN_OFFSET)
    if not isinstance(taken, (int, float)):
        raise UsageError(f"the offset of {term.name} is no number", source=source)
    return (float(taken) - SCAN_OFFSET,) if taken != SCAN_OFFSET else ()
