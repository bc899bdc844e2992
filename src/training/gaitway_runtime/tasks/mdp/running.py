"""Terms that Isaac Lab's tasks of running towards a far target share: what is observed, and how an episode starts."""

from __future__ import annotations

from functools import partial

from ..environment import Observation, Reset
from ..robots import RobotSpec
from . import observations

TARGET = (1000.0, 0.0)
"""[m]."""
RESET = Reset(joint_pos_offset=((-0.2, 0.2),), joint_vel=((-0.1, 0.1),))


def running_terms(spec: RobotSpec, *, turning: float, joint_speed: float, wrench: float) -> tuple[Observation, ...]:
    """Return a runner's observations, in Isaac Lab's order.

    Args:
        spec: The robot.
        turning: Scale of the base's angular velocity.
        joint_speed: Scale of the joint velocities.
        wrench: Scale of the feet's incoming wrenches.
    """
    joints = len(spec.joint_names)
    angle = partial(observations.base_angle_to_target, target=TARGET)
    heading = partial(observations.base_heading_proj, target=TARGET)
    return (
        Observation(name="base_height", func=observations.base_pos_z, size=1, units="m", frame="world"),
        Observation(name="base_lin_vel", func=observations.base_lin_vel, size=3, units="m/s", frame="base"),
        Observation(
            name="base_ang_vel", func=observations.base_ang_vel, size=3, units="rad/s", frame="base", scale=turning
        ),
        Observation(name="base_yaw_roll", func=observations.base_yaw_roll, size=2, units="rad", frame="world"),
        Observation(name="base_angle_to_target", func=angle, size=1, units="rad"),
        Observation(name="base_up_proj", func=observations.base_up_proj, size=1),
        Observation(name="base_heading_proj", func=heading, size=1),
        Observation(name="joint_pos_norm", func=observations.joint_pos_limit_normalized, size=joints, per_joint=True),
        Observation(
            name="joint_vel_rel",
            func=observations.joint_vel_rel,
            size=joints,
            units="rad/s",
            scale=joint_speed,
            per_joint=True,
        ),
        Observation(
            name="feet_body_forces",
            func=observations.body_incoming_wrench,
            size=6 * len(spec.wrench_bodies),
            units="N, N m",
            frame="link; not portable between simulators",
            scale=wrench,
        ),
        Observation(name="actions", func=observations.last_action, size=joints, per_joint=True),
    )
