"""Robot section of the policy contract, read from a live Isaac Lab articulation of any release."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ...spec.contract import Robot
from ...spec.errors import JobFailed
from .measuring import tensor

UNLIMITED = 1e9
"""Limits from this on mean none: PhysX writes 3.4e38 or 1e9, Newton 1e10."""

ACTUATORS: Mapping[str, str] = {
    "ImplicitActuator": "implicit_pd",
    "IdealPDActuator": "explicit_pd",
    "DelayedPDActuator": "delayed_pd",
    "RemotizedPDActuator": "remotized_pd",
    "DCMotor": "dc_motor",
    "ActuatorNetMLP": "mlp",
    "ActuatorNetLSTM": "lstm",
}
"""The contract's word for Isaac Lab's actuator models; others keep the name of their class."""


def numbers(value: Any) -> list[float]:
    """Return a number, a sequence of them or a tensor of any release as a flat list."""
    value = tensor(value)
    if hasattr(value, "flatten"):
        value = value.flatten().tolist()
    return [float(value)] if isinstance(value, int | float) else [float(item) for item in value]


def joint_values(asset: Any, name: str) -> dict[str, float]:
    """Return the first world's values of a joint quantity by the joint's name."""
    return dict(zip(asset.joint_names, numbers(_first(asset.data, name)[0]), strict=True))


def robot_of(asset: Any, events: Any, *, effort_only: bool) -> Robot:
    """Return the robot of the first world, with its masses as they were before they were randomised.

    Args:
        asset: The articulation.
        events: The environment's event manager; None where it has none.
        effort_only: Whether the policy commands efforts alone, so that drives without a position gain are motors.
    """
    joints = tuple(asset.joint_names)
    groups = _actuated(asset)
    stiffness = _gains(asset, groups, "stiffness")
    effort = _effort_limits(asset, groups)
    return Robot(
        name=_name(asset),
        joint_names=joints,
        default_joint_pos=tuple(joint_values(asset, "default_joint_pos").values()),
        joint_pos_limits=tuple(_limits(row) for row in _joint_limits(asset)),
        stiffness=stiffness,
        damping=_gains(asset, groups, "damping"),
        armature=tuple(joint_values(asset, "joint_armature").values()),
        effort_limits=effort if all(limit < UNLIMITED for limit in effort) else (),
        actuator="effort" if effort_only and not any(stiffness) else _actuator(groups),
        body_names=tuple(asset.body_names),
        body_masses=tuple(numbers(_nominal(asset, events, "default_mass", "body_mass")[0])),
        base_com=_base_com(asset, events),
        init_base_height=_base_height(asset),
        soft_limit_factor=float(getattr(asset.cfg, "soft_joint_pos_limit_factor", 1.0)),
    )


def _first(data: Any, *names: str) -> Any:
    """Return the first of the named quantities that this release has, as a torch tensor."""
    for name in names:
        found = getattr(data, name, None)
        if found is not None:
            return tensor(found)
    raise JobFailed(f"this Isaac Lab's articulation has no {' or '.join(names)}")


def _actuated(asset: Any) -> list[tuple[Any, tuple[str, ...]]]:
    """Return each actuator model with the joints it drives."""
    return [(group, tuple(group.joint_names)) for group in asset.actuators.values() if hasattr(group, "joint_names")]


def _actuator(groups: Iterable[tuple[Any, tuple[str, ...]]]) -> str:
    kinds = {type(group).__name__: None for group, _ in groups}
    return " and ".join(ACTUATORS.get(kind, kind) for kind in kinds)


def _implicit(group: Any) -> bool:
    return bool(getattr(group, "is_implicit_model", False))


def _override(
    start: dict[str, float], groups: Iterable[tuple[Any, tuple[str, ...]]], read: Callable[[Any], Any]
) -> tuple[float, ...]:
    """Replace the simulator's values with those of explicit actuator models, which hold their own."""
    for group, joints in groups:
        values = None if _implicit(group) else read(group)
        if values is not None:
            row = numbers(values[0] if getattr(values, "ndim", 0) > 1 else values)
            start.update(zip(joints, row * len(joints) if len(row) == 1 else row, strict=True))
    return tuple(start.values())


def _gains(asset: Any, groups: Iterable[tuple[Any, tuple[str, ...]]], name: str) -> tuple[float, ...]:
    return _override(joint_values(asset, f"joint_{name}"), groups, lambda group: getattr(group, name, None))


def _effort_limits(asset: Any, groups: Iterable[tuple[Any, tuple[str, ...]]]) -> tuple[float, ...]:
    def own(group: Any) -> Any:
        # 3.0's name first: asking it for the old one is deprecated.
        found = getattr(group, "actuator_effort_limit", None)
        return getattr(group, "effort_limit", None) if found is None else found

    return _override(joint_values(asset, "joint_effort_limits"), groups, own)


def _joint_limits(asset: Any) -> list[list[float]]:
    return [numbers(row) for row in _first(asset.data, "joint_pos_limits", "joint_limits")[0]]


def _limits(row: list[float]) -> tuple[float, float]:
    """Return a joint's range; a full turn where it has none, as the embedded simulator says it."""
    low, high = row
    return (low, high) if abs(low) < UNLIMITED and abs(high) < UNLIMITED else (-math.pi, math.pi)


def _nominal(asset: Any, events: Any, kept: str, *now: str) -> Any:
    """Return a quantity as the file has it: as the start-up event that randomises it keeps it, else as it is.

    2.x keeps the masses beside the robot's data; 3.0 has a property of that name, which is of no use any more.
    """
    for name in events.active_terms.get("startup", ()) if events is not None else ():
        found = getattr(events.get_term_cfg(name).func, kept, None)
        if found is not None:
            return tensor(found)
    return _first(asset.data, *now, kept)


def _base_com(asset: Any, events: Any) -> tuple[float, float, float]:
    x, y, z, *_ = numbers(_nominal(asset, events, "default_com", "body_com_pos_b", "com_pos_b")[0][0])
    return (x, y, z)


def _base_height(asset: Any) -> float:
    return numbers(_first(asset.data, "default_root_pose", "default_root_state")[0])[2]


def _name(asset: Any) -> str:
    """Return the robot's name: its file's, else that of its prim."""
    path = str(getattr(asset.cfg.spawn, "usd_path", "") or asset.cfg.prim_path)
    return path.rsplit("/", 1)[-1].split(".")[0]
