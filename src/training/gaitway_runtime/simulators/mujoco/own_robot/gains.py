"""Drive gains of a robot, measured: what its joints carry when it stands, and what holds it there."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import mujoco
import numpy as np

from ....tasks.arrays import Array
from ....tasks.scene import document
from ....tasks.velocity.own import OwnJoint, OwnRobot
from ..engine import quieten
from .reading import RobotSource

_SAG = 0.05
"""Angle by which a joint may give way under what it carries [rad]."""
_RATE = 12.0
"""Least natural frequency of a joint that carries nothing [rad/s]."""
_RATIO = 0.5
"""Damping ratio."""
_EFFORT = 5.0
"""Torque limit over what a joint carries when the robot stands, where its file names none."""
_LEG_EFFORT = 0.35
"""Least torque limit of a leg's joint over weight times height, where its file names none: legs walk, too."""
_UPRIGHT = 3.0
"""Stiffness of a stiff drive over weight times height: ankle, knee and hip give way one after the other."""
_TRIES = 8
_SECONDS = 3.0


@dataclass(frozen=True)
class Standing:
    """How a robot stood."""

    held: bool
    """Whether it is still near its pose."""
    sank: float
    """By how much its base is lower than in the pose [m]."""
    tilt: float
    """Angle of its base from the vertical [rad]."""
    torque: Array
    """Greatest magnitude at each joint over the last second [N m], (J,)."""
    finite: bool = True


def effort_limits(source: RobotSource, joints: tuple[str, ...]) -> dict[str, float]:
    """Return the torque limits that a robot's file names, by joint [N m]."""
    model, found = source.model, {}
    for name in joints:
        joint = model.joint(name)
        if model.jnt_actfrclimited[joint.id]:
            found[name] = float(model.jnt_actfrcrange[joint.id, 1])
    for number in range(model.nu):
        actuator = model.actuator(number)
        joint_name = model.joint(actuator.trnid[0]).name
        gear = abs(float(actuator.gear[0])) or 1.0
        if model.actuator_forcelimited[number]:
            found[joint_name] = gear * float(actuator.forcerange[1])
        elif model.actuator_ctrllimited[number] and int(model.actuator_biastype[number]) == int(
            mujoco.mjtBias.mjBIAS_NONE
        ):
            found.setdefault(joint_name, gear * float(actuator.ctrlrange[1]) * float(actuator.gainprm[0]))
    return {name: limit for name, limit in found.items() if limit > 0.0 and name in joints}


def leg_effort(mass: float, height: float) -> float:
    """Return the least torque limit of a leg's joint where the file names none [N m], by mass [kg] and height [m]."""
    return _LEG_EFFORT * mass * 9.81 * height


def measured_gains(robot: OwnRobot, limits: dict[str, float]) -> tuple[OwnRobot, Standing]:
    """Return the robot with gains that hold it, and how it stands with them.

    Stiff drives show what each joint carries; a joint's stiffness then lets it give way by a twentieth of a radian
    under that, and is raised until the robot stands.

    Args:
        robot: The robot; its gains are not read.
        limits: Torque limits that are known, by joint [N m].
    """
    inertia = _inertia(robot)
    carried = _alike(robot, stand_stiffly(robot).torque)
    least = leg_effort(robot.mass, robot.stand_height)
    guessed = np.where([joint.leg for joint in robot.joints], np.maximum(least, _EFFORT * carried), _EFFORT * carried)
    efforts = np.array([limits.get(j.name, max(5.0, g)) for j, g in zip(robot.joints, guessed, strict=True)])
    carried = np.minimum(carried, efforts)
    stiffness = np.maximum(carried / _SAG, inertia * _RATE**2)
    stood = Standing(False, 0.0, 0.0, carried)
    for _ in range(_TRIES):
        robot = _with_gains(robot, stiffness, inertia, efforts)
        stood = stand(robot)
        if stood.held:
            break
        stiffness = stiffness * 1.4
    return robot, stood


def stand_stiffly(robot: OwnRobot) -> Standing:
    """Let a robot stand on stiff drives without torque limits; its own gains are not read."""
    inertia = _inertia(robot)
    upright = _UPRIGHT * robot.mass * 9.81 * robot.stand_height
    stiffness = 400.0 * inertia.clip(0.02) + max(10.0 * robot.mass, upright)
    return stand(_with_gains(robot, stiffness, inertia, np.full(len(inertia), np.inf)))


def stand(
    robot: OwnRobot,
    seconds: float = _SECONDS,
    drop: float = 0.0,
    watch: Callable[[mujoco.MjData], None] | None = None,
) -> Standing:
    """Let a robot stand in its default pose and return how it did.

    Args:
        robot: The robot.
        seconds: For how long.
        drop: Height above its start from which it falls [m].
        watch: Called after every physics step.
    """
    model = model_of(robot)
    data = mujoco.MjData(model)
    pose = np.array([joint.pos for joint in robot.joints])
    places = [model.joint(joint.name).qposadr[0] for joint in robot.joints]
    data.qpos[places] = pose
    data.qpos[2] = robot.init_height + drop
    data.ctrl[:] = pose
    steps = round(seconds / model.opt.timestep)
    torque = np.zeros(model.nu)
    for step in range(steps):
        mujoco.mj_step(model, data)
        if watch:
            watch(data)
        if step > steps - round(1.0 / model.opt.timestep):
            torque = np.maximum(torque, np.abs(data.actuator_force))
    finite = bool(np.isfinite(data.qpos).all()) and not data.warning[mujoco.mjtWarning.mjWARN_BADQACC].number
    sank = robot.stand_height - float(data.qpos[2])
    tilt = float(np.arccos(np.clip(data.xmat[1, 8], -1.0, 1.0)))
    held = finite and abs(sank) < 0.12 * robot.stand_height and tilt < 0.2
    return Standing(held, sank, tilt, torque, finite)


def model_of(robot: OwnRobot, timestep: float = 0.002, *, fixed: bool = False, visual: bool = False) -> mujoco.MjModel:
    """Compile a robot on flat ground.

    Args:
        robot: The robot.
        timestep: [s].
        fixed: Whether its base hangs in the air.
        visual: Whether to add geoms that are only seen.
    """
    spec = robot.spec
    text = document(spec.scene(visual), timestep)
    if fixed:
        text = re.sub(r'<freejoint name="root"/>', "", text)
        text = text.replace(f'pos="0 0 {spec.init_height:g}"', f'pos="0 0 {spec.init_height + 1.0:g}"', 1)
    quieten()  # what cannot stand may diverge
    return mujoco.MjModel.from_xml_string(text)


def _inertia(robot: OwnRobot) -> Array:
    """Return each joint's inertia with its rotor, the rest of the robot held [kg m^2], (J,)."""
    ones = np.ones(len(robot.joints))
    model = model_of(_with_gains(robot, ones, ones, ones))
    data = mujoco.MjData(model)
    for joint in robot.joints:
        data.joint(joint.name).qpos[0] = joint.pos
    mujoco.mj_forward(model, data)
    whole = np.zeros((model.nv, model.nv))
    mujoco.mj_fullM(model, data, whole)
    return np.array([whole[k, k] for k in (model.joint(joint.name).dofadr[0] for joint in robot.joints)])


def _with_gains(robot: OwnRobot, stiffness: Array, inertia: Array, efforts: Array) -> OwnRobot:
    damping = 2.0 * _RATIO * np.sqrt(stiffness * inertia)
    joints = tuple(
        replace(joint, stiffness=_tidy(k), damping=_tidy(d), effort=_tidy(min(e, 1e4)))
        for joint, k, d, e in zip(robot.joints, stiffness, damping, efforts, strict=True)
    )
    return replace(robot, joints=_even(joints))


def _even(joints: tuple[OwnJoint, ...]) -> tuple[OwnJoint, ...]:
    """Give both sides the greater gains of the two."""
    by_name = {joint.name: joint for joint in joints}
    found = []
    for joint in joints:
        other = by_name[joint.partner or joint.name]
        found.append(
            replace(
                joint,
                stiffness=max(joint.stiffness, other.stiffness),
                damping=max(joint.damping, other.damping),
                effort=max(joint.effort, other.effort),
            )
        )
    return tuple(found)


def _alike(robot: OwnRobot, carried: Array) -> Array:
    """Give the joints at the same place of every leg the greatest of their values."""
    if len(robot.feet) < 4:
        return carried
    kinds = [_place(robot, joint) for joint in robot.joints]
    return np.array([max(c for c, other in zip(carried, kinds, strict=True) if other == kind) for kind in kinds])


def _place(robot: OwnRobot, joint: OwnJoint) -> tuple[bool, int]:
    """Return whether a joint is a leg's, and how many joints lie between it and the base."""
    links = {link.name: link for link in robot.links}
    link, depth = next(link for link in robot.links if link.joint and link.joint.name == joint.name), 0
    while link.parent is not None:
        link = links[link.parent]
        depth += link.joint is not None
    return joint.leg, depth


def _tidy(value: float) -> float:
    """Round to three digits."""
    return float(f"{value:.3g}")
