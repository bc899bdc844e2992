"""Conventions in other projects' descriptions: metadata of an ONNX file, IO descriptors, deploy.yaml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..policies.targets.unitree import MOTORS
from ..spec.errors import UsageError
from ..tasks.robots import RobotSpec
from . import conventions as words
from .conventions import Conventions, ExamTerm
from .description import NAMES_ELSEWHERE, Description, bounded, check_quantity, places_of

_POSITIONS = "JointPositionAction"
"""Isaac Lab's name of an action of joint positions."""


def metadata_conventions(found: Description, spec: RobotSpec) -> Conventions:
    """Read the metadata of mjlab, whole_body_tracking and legged_control2: text with commas.

    Raises:
        UsageError: An entry is missing, or is not what it should be.
    """
    metadata: Mapping[str, str] = found.content
    for key in ("action_scale", "default_joint_pos"):
        if key not in metadata:
            raise UsageError(f"the metadata has no {key}", source=found.source)
    names = texts_of(metadata["observation_names"])
    scales = [_group(text, found.source) for text in texts_of(metadata.get("observation_terms_scale", ""))]
    lengths = _numbers(
        metadata.get("observation_terms_history_length", metadata.get("observation_history_lengths", "")), found.source
    )
    clips = [_pair(text, found.source) for text in texts_of(metadata.get("observation_terms_clip", ""))]
    count = len(names)
    for listed in (scales, lengths, clips):
        if listed and len(listed) != count:
            raise UsageError("the lists of observations in the metadata differ in length", source=found.source)
    terms = []
    for number, name in enumerate(names):
        quantity = NAMES_ELSEWHERE.get(name, "")
        check_quantity(quantity, name, found.source)
        terms.append(
            ExamTerm(
                quantity=quantity,
                scales=scales[number] if scales else (1.0,),
                clip=clips[number] if clips else None,
                frames=max(1, round(lengths[number])) if lengths else 1,
            )
        )
    return _assembled(
        found,
        spec,
        terms,
        action_scale=_numbers(metadata["action_scale"], found.source),
        pose=_numbers(metadata["default_joint_pos"], found.source),
        stiffness=_numbers(metadata.get("joint_stiffness", ""), found.source),
        damping=_numbers(metadata.get("joint_damping", ""), found.source),
    )


def descriptor_conventions(found: Description, spec: RobotSpec) -> Conventions:
    """Read Isaac Lab's IO descriptors.

    Raises:
        UsageError: They describe several actions, another action than joint positions, or a modified observation.
    """
    content = found.content
    robot: Mapping[str, Any] = next(iter(content["articulations"].values()), {})
    action = _position_action(content["actions"], found)
    terms = [_descriptor_term(item, found, spec) for item in content["observations"].get("policy", ())]
    names = robot.get("joint_names", found.joints)
    by_joint = {
        key: dict(zip(names, robot.get(f"default_joint_{key}") or (), strict=False))
        for key in ("pos", "stiffness", "damping")
    }
    return _assembled(
        found,
        spec,
        terms,
        action_scale=_scales(action.get("scale")),
        pose=_each(action.get("offset"), len(found.joints)),
        observed=[by_joint["pos"].get(joint, 0.0) for joint in found.joints],
        bounds=_target_bounds(action.get("clip"), len(found.joints), found.source),
        stiffness=[by_joint["stiffness"].get(joint, 0.0) for joint in found.joints],
        damping=[by_joint["damping"].get(joint, 0.0) for joint in found.joints],
    )


def _descriptor_term(item: Mapping[str, Any], found: Description, spec: RobotSpec) -> ExamTerm:
    quantity = NAMES_ELSEWHERE.get(item["name"], "")
    check_quantity(quantity, item["name"], found.source)
    overloads, extras = item.get("overloads") or {}, item.get("extras") or {}
    if extras.get("modifiers"):
        raise UsageError(
            f"the policy's observation {item['name']} passes a modifier, which the descriptors do not describe",
            source=found.source,
            hint="--contract contract.json can say what it does, if it is a scale, an offset or a clip",
        )
    joints = places_of(item.get("joint_names") or [], spec, found.source) if quantity in words.PER_JOINT else ()
    kind = {words.JOINT_POS: "joint_pos_offsets", words.JOINT_VEL: "joint_vel_offsets"}.get(quantity, "")
    offset = tuple(float(value) for value in item.get(kind) or ())
    if quantity == words.JOINT_POS and not offset and not item["name"].endswith("_rel"):
        offset = (0.0,) * (len(joints) or len(spec.joint_names))
    return ExamTerm(
        quantity=quantity,
        scales=_scales(overloads.get("scale")),
        offset=offset,
        clip=_bounds(overloads.get("clip")),
        frames=max(1, int(overloads.get("history_length") or 1)),
        joints=joints,
    )


def deploy_conventions(found: Description, spec: RobotSpec) -> Conventions:
    """Read a deploy.yaml as the C++ deployers of unitree_rl_lab and unitree_rl_mjlab do.

    Raises:
        UsageError: It describes several inputs or actions, or an action that is no joint position.
    """
    content = found.content
    actions = [{**(item or {}), "name": name} for name, item in content["actions"].items()]
    action = _position_action(actions, found)
    count = len(found.joints)
    if action.get("joint_ids") is not None and len(action["joint_ids"]) != count:
        raise UsageError(f"the policy moves {len(action['joint_ids'])} of {count} joints", source=found.source)
    group, stacked = _group_of(content["observations"], found)
    terms = [_deploy_term(name, item, first, found, spec) for name, item, first in group]
    depth = 1
    if stacked:
        depths = {term.frames for term in terms}
        if len(depths) > 1:
            raise UsageError("use_gym_history needs one history_length for all terms", source=found.source)
        depth = depths.pop()
        terms = [
            ExamTerm(quantity=term.quantity, scales=term.scales, offset=term.offset, clip=term.clip, joints=term.joints)
            for term in terms
        ]
    motors = next(order for order in MOTORS.values() if set(order) == set(found.joints))
    gains = {
        key: [float(content[key][motors.index(joint)]) for joint in found.joints] for key in ("stiffness", "damping")
    }
    periods = [item["params"]["period"] for name, item, _ in group if name == "gait_phase"]
    return _assembled(
        found,
        spec,
        terms,
        action_scale=_scales(action.get("scale")),
        pose=_each(action.get("offset"), count),
        observed=content["default_joint_pos"],
        bounds=_target_bounds(action.get("clip"), count, found.source),
        stiffness=gains["stiffness"],
        damping=gains["damping"],
        stacked=depth,
        period=float(periods[0]) if periods else words.PERIOD,
    )


def _group_of(
    observations: Mapping[str, Any], found: Description
) -> tuple[list[tuple[str, Mapping[str, Any], bool]], bool]:
    """Return the terms of the only input, whether each is scaled before it is clipped, and whether frames are stacked.

    The newer deployer takes a map whose first entry has no ``params`` for a map of named inputs.
    """
    terms: Mapping[str, Any] = observations
    entries = [item for item in observations.values() if isinstance(item, dict)]
    if entries and not any({"params", "scale", "clip", "history_length"} & set(item) for item in entries):
        if len(observations) > 1:
            raise UsageError(
                f"the policy has {len(observations)} inputs: {', '.join(observations)}",
                source=found.source,
                allowed="one",
            )
        (terms,) = entries
    scale_first, stacked, listed = False, False, []
    for name, item in terms.items():
        if name == "scale_first":
            scale_first = bool(item)
        elif name == "use_gym_history":
            stacked = bool(item)
        else:
            listed.append((name, item, scale_first))
    return listed, stacked


def _deploy_term(
    name: str, item: Mapping[str, Any], scale_first: bool, found: Description, spec: RobotSpec
) -> ExamTerm:
    quantity = NAMES_ELSEWHERE.get(name, "")
    check_quantity(quantity, name, found.source)
    scales, clip = _scales(item.get("scale")), _bounds(item.get("clip"))
    if scale_first and clip is not None:
        if len(set(scales)) > 1 or scales[0] <= 0:
            raise UsageError(f"{name} is clipped after scales that differ", source=found.source)
        clip = (clip[0] / scales[0], clip[1] / scales[0])
    chosen = ((item.get("params") or {}).get("asset_cfg") or {}).get("joint_ids")
    joints = [found.joints[int(number)] for number in chosen] if chosen and quantity in words.PER_JOINT else []
    return ExamTerm(
        quantity=quantity,
        scales=scales,
        offset=(0.0,) * (len(joints) or len(found.joints)) if name == "joint_pos" else (),
        clip=clip,
        frames=max(1, int(item.get("history_length") or 1)),
        joints=places_of(joints, spec, found.source),
    )


def _position_action(actions: Sequence[Mapping[str, Any]], found: Description) -> Mapping[str, Any]:
    """Return the only action, which must be one of joint positions."""
    names = [str(action.get("name")) for action in actions]
    if names != [_POSITIONS]:
        raise UsageError(
            f"the policy's actions are {', '.join(names) or 'none'}", source=found.source, allowed=_POSITIONS
        )
    return actions[0]


def _assembled(
    found: Description,
    spec: RobotSpec,
    terms: Sequence[ExamTerm],
    *,
    action_scale: Sequence[float],
    pose: Sequence[float],
    observed: Sequence[float] | None = None,
    bounds: tuple[tuple[float, float], ...] = (),
    stiffness: Sequence[float] = (),
    damping: Sequence[float] = (),
    stacked: int = 1,
    period: float = words.PERIOD,
) -> Conventions:
    """Return conventions of lists in the order of the actions; a scale alone is every joint's."""
    joints = places_of(found.joints, spec, found.source)
    count = len(joints)

    def in_robot_order(what: str, values: Sequence[float]) -> tuple[float, ...]:
        if len(values) != count:
            raise UsageError(f"there are {len(values)} {what} for {count} joints", source=found.source)
        by_joint = dict(zip(joints, values, strict=True))
        return tuple(float(by_joint[joint]) for joint in range(count))

    scale = tuple(float(value) for value in action_scale)
    if len(scale) not in (1, count):
        raise UsageError(f"there are {len(scale)} action scales for {count} joints", source=found.source)
    driven = any(stiffness)
    return Conventions(
        terms=tuple(terms),
        joints=joints,
        action_scale=scale if len(scale) == count else scale * count,
        action_pose=in_robot_order("default positions", pose),
        observed_pose=in_robot_order("default positions", pose if observed is None else observed),
        target_bounds=bounded(bounds),
        stacked=stacked,
        stiffness=in_robot_order("gains", stiffness) if driven else (),
        damping=in_robot_order("gains", damping) if driven else (),
        period=period,
    )


def texts_of(text: str) -> list[str]:
    """Return the parts of a list that is written with commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _numbers(text: str, source: str) -> list[float]:
    return [value for part in texts_of(text) for value in _group(part, source)]


def _group(text: str, source: str) -> tuple[float, ...]:
    """Return the numbers of one entry, which stand between semicolons where there are several."""
    try:
        return tuple(float(part) for part in text.split(";"))
    except ValueError:
        raise UsageError(f"the metadata has '{text[:60]}' where numbers belong", source=source) from None


def _pair(text: str, source: str) -> tuple[float, float] | None:
    bounds = _group(text, source)
    return None if len(bounds) != 2 or bounds == (float("-inf"), float("inf")) else (bounds[0], bounds[1])


def _bounds(value: Any) -> tuple[float, float] | None:
    return (float(value[0]), float(value[1])) if isinstance(value, (list, tuple)) and len(value) == 2 else None


def _target_bounds(value: Any, count: int, source: str) -> tuple[tuple[float, float], ...]:
    """Return the bounds of each target, given as none, one pair or a pair for each."""
    if not value:
        return ()
    pairs = [value] * count if not isinstance(value[0], (list, tuple)) else value
    if len(pairs) != count:
        raise UsageError(f"there are {len(pairs)} bounds for {count} joints", source=source)
    return tuple((float(low), float(high)) for low, high in pairs)


def _each(value: Any, count: int) -> list[float]:
    """Return a value for each joint: those of a list, or one alone for all."""
    return [float(item) for item in value] if isinstance(value, (list, tuple)) else [float(value or 0.0)] * count


def _scales(value: Any) -> tuple[float, ...]:
    if value is None:
        return (1.0,)
    return tuple(float(item) for item in value) if isinstance(value, (list, tuple)) else (float(value),)
