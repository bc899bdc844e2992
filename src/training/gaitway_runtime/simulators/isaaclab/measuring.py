"""Measurements of a step beside rewards, with the names and meanings of the embedded simulator's tasks.

Everything here reads torch tensors of an Isaac Lab environment, of 2.x and of 3.0, before any world is reset.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...spec import catalog

_BIPED_FEET = ".*_ankle(_roll)?_link"
"""Bodies of Isaac Lab's bipeds that stand on the ground."""
_COMMAND = "base_velocity"
"""Isaac Lab's name of the velocity command."""

Measurement = Callable[[Any], Any]
"""Takes the environment, returns one number a world, (N,)."""


def tensor(values: Any) -> Any:
    """Return a tensor of what 2.x has as a tensor and 3.0 as an array with a view of it."""
    return getattr(values, "torch", values)


def robot(env: Any) -> Any:
    """Return the articulation that acts: the one called ``robot``, else the only one; None where that is not clear."""
    articulations = env.scene.articulations
    if "robot" in articulations:
        return articulations["robot"]
    return next(iter(articulations.values())) if len(articulations) == 1 else None


def joint(env: Any, name: str, field: str = "joint_pos") -> Any:
    """Return a joint's position [rad] or [m], or another field of the robot's data, (N,)."""
    found = robot(env)
    return tensor(getattr(found.data, field))[:, found.joint_names.index(name)]


def measurements_of(env: Any, task: str) -> Mapping[str, Measurement]:
    """Return what can be measured of a task: what its rule and gate ask for, and how a velocity command is followed.

    Args:
        env: The unwrapped environment.
        task: Any name of the task.
    """
    if robot(env) is None:
        return {}
    info = catalog.find(task)
    bounds = (*info.success.mean, *info.success.last, *info.gate.thresholds) if info else ()
    wanted = {bound.metric.removeprefix("mean_") for bound in bounds}
    found = {name: _MEASUREMENTS[name] for name in sorted(wanted) if name in _MEASUREMENTS}
    return {**found, **_VELOCITY} if _has_velocity_command(env) else found


def _has_velocity_command(env: Any) -> bool:
    manager = getattr(env, "command_manager", None)
    return manager is not None and _COMMAND in manager.active_terms


def _wrapped(angle: Any) -> Any:
    import torch

    return torch.atan2(torch.sin(angle), torch.cos(angle))


def _command(env: Any) -> Any:
    return env.command_manager.get_command(_COMMAND)


def _linear(env: Any) -> Any:
    return tensor(robot(env).data.root_lin_vel_b)


def _turning(env: Any) -> Any:
    return tensor(robot(env).data.root_ang_vel_b)[:, 2]


def _feet(env: Any) -> tuple[Any, Any]:
    """Return the times of the last flight and of the present contact of a biped's feet [s], (N, 2) each."""
    sensor = env.scene.sensors["contact_forces"]
    numbers, _ = sensor.find_bodies(_BIPED_FEET)
    return tensor(sensor.data.last_air_time)[:, numbers], tensor(sensor.data.current_contact_time)[:, numbers]


def _flight_time(env: Any) -> Any:
    """Length of each foot's last flight, the shorter of the two [s]."""
    return _feet(env)[0].min(dim=1).values


def _single_stance(env: Any) -> Any:
    """1 where exactly one foot is on the ground."""
    return ((_feet(env)[1] > 0.0).sum(dim=1) == 1).float()


def _pose_metric(name: str) -> Measurement:
    """Return how an arm's pose command is followed, as Isaac Lab's command term measures it."""
    return lambda env: tensor(env.command_manager.get_term("ee_pose").metrics[name])


def _forward_speed(env: Any) -> Any:
    """Velocity along the world's x axis [m/s]: the far target lies there."""
    return tensor(robot(env).data.root_lin_vel_w)[:, 0]


_MEASUREMENTS: Mapping[str, Measurement] = {
    "pole_angle": lambda env: _wrapped(joint(env, "cart_to_pole")).abs(),
    "cart_position": lambda env: joint(env, "slider_to_cart").abs(),
    "forward_speed": _forward_speed,
    "flight_time": _flight_time,
    "single_stance": _single_stance,
    "position_error": _pose_metric("position_error"),
    "orientation_error": _pose_metric("orientation_error"),
}
"""What success rules ask for, by name."""

_VELOCITY: Mapping[str, Measurement] = {
    "error_vel_xy": lambda env: (_command(env)[:, :2] - _linear(env)[:, :2]).norm(dim=1),
    "error_vel_yaw": lambda env: (_command(env)[:, 2] - _turning(env)).abs(),
    "command_vx": lambda env: _command(env)[:, 0],
    "command_vy": lambda env: _command(env)[:, 1],
    "command_wz": lambda env: _command(env)[:, 2],
    "vel_x": lambda env: _linear(env)[:, 0],
    "vel_y": lambda env: _linear(env)[:, 1],
    "vel_yaw": _turning,
}
"""What is measured of every environment with a velocity command."""
