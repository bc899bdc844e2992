"""What is measured of a step beside rewards: by the names, and with the meanings, of the embedded simulator's tasks.

Everything here reads torch tensors of an Isaac Lab environment, of 2.x and of 3.0, before any world is reset.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

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
    """Return what can be measured of a task.

    Args:
        env: The unwrapped environment.
        task: The task's name in the catalog, or its own.
    """
    family = next((measured for pattern, measured in _FAMILIES.items() if pattern in task), {})
    return family if robot(env) is not None else {}


def _wrapped(angle: Any) -> Any:
    import torch

    return torch.atan2(torch.sin(angle), torch.cos(angle))


def _command(env: Any) -> Any:
    return env.command_manager.get_command("base_velocity")


def _linear(env: Any) -> Any:
    return tensor(robot(env).data.root_lin_vel_b)


def _turning(env: Any) -> Any:
    return tensor(robot(env).data.root_ang_vel_b)[:, 2]


def _forward_speed(env: Any) -> Any:
    """Velocity along the world's x axis [m/s]: the far target lies there."""
    return tensor(robot(env).data.root_lin_vel_w)[:, 0]


_FAMILIES: Mapping[str, Mapping[str, Measurement]] = {
    "Cartpole": {
        "pole_angle": lambda env: _wrapped(joint(env, "cart_to_pole")).abs(),
        "cart_position": lambda env: joint(env, "slider_to_cart").abs(),
    },
    "Ant": {"forward_speed": _forward_speed},
    "Humanoid": {"forward_speed": _forward_speed},
    "Velocity": {
        "error_vel_xy": lambda env: (_command(env)[:, :2] - _linear(env)[:, :2]).norm(dim=1),
        "error_vel_yaw": lambda env: (_command(env)[:, 2] - _turning(env)).abs(),
        "command_vx": lambda env: _command(env)[:, 0],
        "command_vy": lambda env: _command(env)[:, 1],
        "command_wz": lambda env: _command(env)[:, 2],
        "vel_x": lambda env: _linear(env)[:, 0],
        "vel_y": lambda env: _linear(env)[:, 1],
        "vel_yaw": _turning,
    },
}
"""Measurements by a part of the task's name, as ``evaluation/gate.py`` has its families."""
