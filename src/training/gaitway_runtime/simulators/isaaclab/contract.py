"""The policy contract of a live Isaac Lab environment, read from its managers and its articulation.

Everything is found by attribute, so that one reader serves Isaac Lab 2.2 to 3.0: tensors there are torch's in 2.x and
proxies with a ``torch`` attribute in 3.0, gains live in the actuator models in both. Nothing is imported but, for
the order of quaternions, Isaac Lab's own mathematics.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...spec.contract import LAST_ACTION, QUANTITIES, ActionTerm, ObservationTerm, PolicyContract, Robot, Timing
from .articulation import joint_values, numbers, robot_of
from .groups import POLICY
from .measuring import robot, tensor

UNITS: Mapping[str, tuple[str, str]] = {
    "base_lin_vel": ("m/s", "base"),
    "base_ang_vel": ("rad/s", "base"),
    "projected_gravity": ("", "base"),
    "base_pos_z": ("m", "world"),
    "generated_commands": ("", "base"),
    "joint_pos": ("rad", ""),
    "joint_pos_rel": ("rad", ""),
    "joint_vel": ("rad/s", ""),
    "joint_vel_rel": ("rad/s", ""),
    "height_scan": ("m", "base, yaw only; x fastest"),
    "body_incoming_wrench": ("N, N m", "link; not portable between simulators"),
}
"""Unit and frame of Isaac Lab's own observation functions, by their name; sliders are in metres."""

ACTION_KINDS: Mapping[str, str] = {
    "JointPositionAction": "joint_position",
    "JointEffortAction": "joint_effort",
    "JointVelocityAction": "joint_velocity",
}
"""The contract's word for Isaac Lab's action terms; others keep the name of their class."""


ACTION_UNITS: Mapping[str, str] = {"joint_position": "rad", "joint_velocity": "rad/s", "joint_effort": "N m"}

LARGEST_BOUND = 1e30
"""Bound of a target that is not cut off on that side: JSON has no infinity."""

_SCENERY = re.compile(r"^_|^func$|^class_type$|_ids$|visualizer|marker|debug|_success_threshold$")
"""Names in a configuration that say nothing of the task: code, indices beside names, what is only drawn or counted."""


def contract_of(
    env: Any, task: str, *, simulator: str = "isaaclab", groups: Sequence[str] = (POLICY,)
) -> PolicyContract:
    """Return what a deployer must know of a policy of a live environment.

    Args:
        env: An environment that ``gymnasium.make`` returned, wrapped or not; it was reset at least once.
        task: The task's name, as the contract shall give it.
        simulator: The simulator and its release, for example ``isaaclab 3.0.0``.
        groups: Observation groups that make up the policy's input, in order.
    """
    world = env.unwrapped
    managed = hasattr(world, "observation_manager")
    asset = robot(world)
    actions = _actions(world) if managed else _plain_actions(world, asset)
    missing = (("observations", not managed), ("actions", not managed), ("robot", asset is None))
    return PolicyContract(
        task=task,
        simulator=simulator,
        observations=_observations(world, asset, groups) if managed else _plain_observations(world),
        actions=actions,
        timing=_timing(world.cfg),
        robot=_robot(world, asset, actions),
        commands=_commands(world),
        terminations={
            "time_out_s": float(world.cfg.episode_length_s),
            "terms": [name for name in _terms_of(world, "termination_manager") if name != "time_out"],
        },
        contacts=_contacts(world),
        randomization=_randomization(world),
        conventions={
            "quaternion": quaternion_order(),
            "base_velocity": "centre of mass of the base, in the base frame",
            "base_frame": "x forward, y left, z up",
            "gravity": "unit vector in the base frame, (0, 0, -1) when upright",
            "last_action": LAST_ACTION,
        },
        unknown=tuple(name for name, lacking in missing if lacking),
    )


def quaternion_order() -> str:
    """Return ``wxyz`` or ``xyzw``: where the installed Isaac Lab has the one of the identity."""
    import torch

    zero = torch.zeros(1)
    identity = importlib.import_module("isaaclab.utils.math").quat_from_euler_xyz(zero, zero, zero)
    return "wxyz" if float(identity[0, 0]) == 1.0 else "xyzw"


def _timing(cfg: Any) -> Timing:
    step = float(cfg.sim.dt)
    return Timing(physics_dt=step, decimation=int(cfg.decimation), control_dt=step * int(cfg.decimation))


def _robot(world: Any, asset: Any, actions: Iterable[ActionTerm]) -> Robot:
    if asset is None:
        return PolicyContract.of_unknown_task().robot
    effort_only = all(term.kind == "joint_effort" for term in actions)
    return robot_of(asset, getattr(world, "event_manager", None), effort_only=effort_only)


def _observations(world: Any, asset: Any, groups: Sequence[str]) -> tuple[ObservationTerm, ...]:
    """Return the terms of one group after the other; a name that two groups have gets the group's before it."""
    manager = world.observation_manager
    names = [name for group in groups for name in manager.active_terms[group]]
    found, start = [], 0
    for group in groups:
        terms = (manager.active_terms, manager._group_obs_term_cfgs, manager.group_obs_term_dim)
        for name, cfg, shape in zip(*(part[group] for part in terms), strict=True):
            size = math.prod(shape)
            unique = name if names.count(name) == 1 else f"{group}.{name}"
            found.append(_observation(unique, cfg, start, size, world, asset))
            start += size
    return tuple(found)


def _observation(name: str, cfg: Any, start: int, size: int, world: Any, asset: Any) -> ObservationTerm:
    function = getattr(cfg.func, "__name__", type(cfg.func).__name__)
    history = max(1, int(getattr(cfg, "history_length", 0) or 0))
    joints = _observed_joints(function, cfg.params, world, asset, size // history)
    units, frame = UNITS.get(function, ("", ""))
    scales = tuple(numbers(cfg.scale)) if cfg.scale is not None else (1.0,)
    uniform = len(set(scales)) == 1
    return ObservationTerm(
        name=name,
        start=start,
        stop=start + size,
        units=units,
        frame=frame,
        quantity=QUANTITIES.get(function, ""),
        command=str(cfg.params.get("command_name", "")) if function == "generated_commands" else "",
        scale=scales[0] if uniform else 1.0,
        scales=() if uniform else scales * history,
        offset=_observed_offset(function, joints, asset) * history,
        clip=(float(cfg.clip[0]), float(cfg.clip[1])) if cfg.clip is not None else None,
        noise=_uniform_noise(cfg.noise),
        joint_names=joints,
        history=history,
        parameters=scan_parameters(cfg.params, world) if function == "height_scan" else {},
    )


def scan_parameters(params: Mapping[str, Any], world: Any) -> dict[str, object]:
    """Return the grid of a height scan and what is taken off it; the offset alone where the sensor has no grid.

    Args:
        params: Parameters of the observation.
        world: Isaac Lab's environment.
    """
    found: dict[str, object] = {"offset": float(params.get("offset", 0.5))}
    name = getattr(params.get("sensor_cfg"), "name", None)
    pattern = getattr(getattr(getattr(world.scene, "sensors", {}).get(name), "cfg", None), "pattern_cfg", None)
    size, resolution = getattr(pattern, "size", None), getattr(pattern, "resolution", None)
    if size is None or resolution is None:
        return found
    axes = [[n * resolution - extent / 2 for n in range(int(extent / resolution + 1e-6) + 1)] for extent in size]
    order = "y fastest" if getattr(pattern, "ordering", "xy") == "yx" else "x fastest"
    return {**found, "x_m": axes[0], "y_m": axes[1], "order": order}


def _observed_joints(function: str, params: Mapping[str, object], world: Any, asset: Any, size: int) -> tuple[str, ...]:
    """Return the joints that a term has one value of each of; none where it is not about joints."""
    if function == "last_action":
        driven = tuple(joint for term in _actions(world) for joint in term.joint_names)
        return driven if len(driven) == size else ()
    if not function.startswith("joint_"):
        return ()
    chosen = params.get("asset_cfg")
    names = _joints_of(asset)
    ids = getattr(chosen, "joint_ids", slice(None))
    joints = names[ids] if isinstance(ids, slice) else tuple(names[int(number)] for number in numbers(ids))
    return joints if len(joints) == size else ()


def _observed_offset(function: str, joints: Sequence[str], asset: Any) -> tuple[float, ...]:
    """Return what a term of joint positions is measured from, said also where it is zero."""
    if function == "joint_pos_rel" and joints:
        default = joint_values(asset, "default_joint_pos")
        return tuple(default[joint] for joint in joints)
    return (0.0,) * len(joints) if function == "joint_pos" else ()


def _uniform_noise(cfg: Any) -> tuple[float, float] | None:
    """Return the bounds of additive uniform noise; other noise belongs to training alone and is left out."""
    if cfg is None or not hasattr(cfg, "n_min") or cfg.operation != "add":
        return None
    low, high = numbers(cfg.n_min), numbers(cfg.n_max)
    return (min(low), max(high))


def _actions(world: Any) -> tuple[ActionTerm, ...]:
    manager = world.action_manager
    found, start = [], 0
    for name in manager.active_terms:
        term = manager.get_term(name)
        found.append(_action(name, term, start))
        start += int(term.action_dim)
    return tuple(found)


def _action(name: str, term: Any, start: int) -> ActionTerm:
    size = int(term.action_dim)
    joints = tuple(getattr(term, "_joint_names", ()))
    kind = ACTION_KINDS.get(type(term).__name__, type(term).__name__)
    clip, clips = _action_clips(term)
    return ActionTerm(
        name=name,
        kind=kind,
        start=start,
        stop=start + size,
        joint_names=joints if len(joints) == size else _unnamed(name, size),
        scale=_per_joint(getattr(term, "_scale", 1.0), size),
        offset=_per_joint(getattr(term, "_offset", 0.0), size),
        clip=clip,
        clips=clips,
        units=ACTION_UNITS.get(kind, ""),
    )


def _per_joint(value: Any, size: int) -> tuple[float, ...]:
    """Return a number, or the first world's row of a tensor, as a value a joint."""
    found = numbers(value[0] if getattr(value, "ndim", 0) > 1 else value)
    return tuple(found) if len(found) == size else tuple(found[:1]) * size


def _action_clips(term: Any) -> tuple[tuple[float, float] | None, tuple[tuple[float, float], ...]]:
    """Return the bounds of the targets: one pair where all joints have the same, else a pair for each."""
    if getattr(term.cfg, "clip", None) is None:
        return None, ()
    rows = [(max(-LARGEST_BOUND, low), min(LARGEST_BOUND, high)) for low, high in map(numbers, term._clip[0])]
    if any(row != rows[0] for row in rows):
        return None, tuple(rows)
    return (rows[0] if rows[0] != (-LARGEST_BOUND, LARGEST_BOUND) else None), ()


def _plain_observations(world: Any) -> tuple[ObservationTerm, ...]:
    """Return the one term that is known of an environment that computes its observations itself."""
    size = math.prod(world.single_observation_space[POLICY].shape)
    return (ObservationTerm(name=POLICY, start=0, stop=size),)


def _plain_actions(world: Any, asset: Any) -> tuple[ActionTerm, ...]:
    """Return the one term that is known of an environment that applies its actions itself."""
    size = math.prod(world.single_action_space.shape)
    joints = _joints_of(asset)
    return (
        ActionTerm(
            name="actions",
            kind="unknown",
            start=0,
            stop=size,
            joint_names=joints if len(joints) == size else _unnamed("action", size),
            scale=(1.0,) * size,
            offset=(0.0,) * size,
        ),
    )


def _joints_of(asset: Any) -> tuple[str, ...]:
    return () if asset is None else tuple(asset.joint_names)


def _unnamed(stem: str, size: int) -> tuple[str, ...]:
    return tuple(f"{stem}_{number}" for number in range(size))


def _commands(world: Any) -> Mapping[str, object]:
    names = _terms_of(world, "command_manager")
    return {name: _command(world.command_manager.get_term(name).cfg) for name in names}


def _command(cfg: Any) -> Mapping[str, object]:
    """Return a command's settings, and of a velocity command its values in order with units and ranges."""
    found = _plain(cfg)
    ranges = found.get("ranges") if isinstance(found, Mapping) else None
    names = ("lin_vel_x", "lin_vel_y", "ang_vel_z")
    if not isinstance(ranges, Mapping) or not set(names) <= set(ranges):
        return dict(found) if isinstance(found, Mapping) else {"settings": found}
    values = {"names": list(names), "units": ["m/s", "m/s", "rad/s"], "ranges": [ranges[name] for name in names]}
    return {**found, "drawn": ranges, **values}


def _contacts(world: Any) -> Mapping[str, object]:
    found: dict[str, object] = {}
    for name, sensor in world.scene.sensors.items():
        if hasattr(sensor.cfg, "force_threshold"):
            found[name] = {
                "force_threshold_n": _plain(sensor.cfg.force_threshold),
                "force_history_physics_steps": int(sensor.cfg.history_length),
            }
    material = getattr(getattr(world.scene, "terrain", None), "cfg", None)
    if material is not None and getattr(material, "physics_material", None) is not None:
        found["ground"] = _plain(material.physics_material)
    return found


def _randomization(world: Any) -> Mapping[str, object]:
    """Return the event terms by mode with their plain parameters."""
    manager = getattr(world, "event_manager", None)
    if manager is None:
        return {}
    return {
        mode: {name: _plain(manager.get_term_cfg(name).params) for name in names}
        for mode, names in manager.active_terms.items()
    }


def _terms_of(world: Any, manager: str) -> Iterable[str]:
    found = getattr(world, manager, None)
    return list(found.active_terms) if found is not None else []


def _plain(value: Any) -> Any:
    """Return what JSON can hold of a configuration: numbers, texts, lists and mappings of them."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, slice):  # all joints or bodies
        return None
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        items = {str(key): _plain(item) for key, item in value.items()}
    elif isinstance(value, list | tuple | set | range):
        return [_plain(item) for item in value]
    elif hasattr(tensor(value), "tolist"):
        return numbers(value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        items = {name: _plain(item) for name, item in vars(value).items() if not _SCENERY.search(name)}
    else:
        return getattr(value, "__name__", str(value))
    return {name: item for name, item in items.items() if item is not None}
