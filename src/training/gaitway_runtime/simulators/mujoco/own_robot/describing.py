"""Description of a robot as data, from its compiled model."""

from __future__ import annotations

import re
from dataclasses import dataclass

import mujoco
import numpy as np

from ....spec.errors import UsageError
from ....tasks.arrays import Array
from ....tasks.links import LOOK, Joint, Link, Vector, box, capsule, solid, sphere
from ....tasks.robots import ROBOTS
from ....tasks.velocity.own import OwnJoint, OwnRobot
from .anatomy import Anatomy, look_at
from .gains import Standing, effort_limits, leg_effort, measured_gains
from .posing import base_height, is_folded, standing_pose, start_height
from .reading import RobotSource
from .shapes import hull, lowest, world_points
from .soles import SOLE_RADIUS

_HEAVY = 0.1
"""Share of the robot's mass from which a body that is no limb counts as trunk."""

_NO_MOTOR = 200.0
"""Torque limit over what a leg needs to walk beyond which it is no motor's, but says that there is none."""
_STRONG = 4.0
"""Torque limit over what a leg needs to walk up to which a larger one means a larger rotor."""
_ROTOR = 4.0e-4
"""Rotor inertia over torque limit [kg m^2/(N m)], about that of the drives of Go2, ANYmal and H1."""


@dataclass(frozen=True)
class Described:
    """A robot as data, with what was guessed of it."""

    robot: OwnRobot
    standing: Standing
    guesses: tuple[str, ...]
    """What its file does not say, a sentence each."""


def describe(source: RobotSource, name: str | None = None) -> Described:
    """Return a robot as data: anatomy, standing pose, gains that hold it.

    Args:
        source: The robot's file.
        name: Its name; that of the model when omitted.

    Raises:
        UsageError: It is no robot with two or four legs.
    """
    found: list[Described] = []
    for keyframe in (True, False) if source.model.nkey else (False,):
        try:
            anatomy = look_at(source, keyframe)
            found.append(_described(source, anatomy, name))
        except UsageError:
            if not (keyframe or found):
                raise
            continue
        if found[-1].standing.held and not (keyframe and is_folded(source, anatomy)):
            return found[-1]
    return found[0]


def _described(source: RobotSource, anatomy: Anatomy, name: str | None) -> Described:
    pose, guessed = standing_pose(source, anatomy)
    stand = base_height(source, anatomy, pose)
    named = effort_limits(source, anatomy.joints)
    most = _NO_MOTOR * leg_effort(float(source.model.body_subtreemass[1]), stand)
    limits = {joint: limit for joint, limit in named.items() if limit <= most}
    called = re.sub(r"[^a-z0-9]+", "_", (name or source.name).lower()).strip("_") or "robot"
    if called in ROBOTS:
        called = f"my_{called}"
    robot = OwnRobot(
        name=called,
        task=f"{'-'.join(part.capitalize() for part in called.split('_'))}-Flat",
        links=_links(source, anatomy, pose, _rotors(source, anatomy, limits, stand)),
        joints=_joints(source, anatomy, pose),
        feet=anatomy.feet,
        trunk=_trunk(source, anatomy),
        init_height=start_height(stand),
        stand_height=round(stand, 4),
        sole=_sole_height(source, anatomy, pose),
    )
    robot, standing = measured_gains(robot, limits)
    return Described(robot, standing, _guesses(anatomy, limits, guessed, source))


def _guesses(anatomy: Anatomy, limits: dict[str, float], posed: bool, source: RobotSource) -> tuple[str, ...]:
    unlimited = [name for name in anatomy.joints if name not in limits]
    found = ["gains: measured so that the robot stands; its file is not asked"]
    if posed:
        why = "its first keyframe does not stand" if source.model.nkey else "it has no keyframe"
        found.append(f"default pose: legs bent under the hips, for {why}")
    stiff = _stiff(source, anatomy)
    if stiff:
        found.append(f"held stiff, for nothing drives them: {', '.join(stiff)}")
    if unlimited:
        found.append(f"torque limits of {', '.join(unlimited)}: five times what standing asks, as no motor's are named")
    if not all(source.model.dof_armature[source.model.joint(name).dofadr[0]] for name in anatomy.joints):
        found.append(f"rotor inertia where the file names none: {_ROTOR:g} kg m^2 for each N m of the torque limit")
    if anatomy.partners is None:
        found.append("symmetry: none was found, so that training uses no mirrored copies")
    found.append(f"feet: {', '.join(anatomy.feet)}; soles are small spheres at their lowest points")
    return (*found, *source.notes)


def _stiff(source: RobotSource, anatomy: Anatomy) -> list[str]:
    """Return the joints that are held where they are at zero: no hinges, or driven by nothing."""
    names = [source.model.joint(number).name for number in range(1, source.model.njnt)]
    return [name for name in names if name not in anatomy.joints]


def _joints(source: RobotSource, anatomy: Anatomy, pose: Array) -> tuple[OwnJoint, ...]:
    legs = {name for leg in anatomy.legs for name in leg.joints}
    found = []
    for name in anatomy.joints:
        partner, sign = (anatomy.partners or {}).get(name, ("", 1))
        found.append(
            OwnJoint(
                name=name,
                pos=round(_angle(source.model, pose, name), 4),
                stiffness=0.0,
                damping=0.0,
                effort=0.0,
                partner=partner,
                flipped=sign < 0,
                leg=name in legs,
            )
        )
    return tuple(found)


def _angle(model: mujoco.MjModel, pose: Array, name: str) -> float:
    """Return a joint's angle from where its file puts its body, MJCF's ``ref`` left out [rad]."""
    place = model.joint(name).qposadr[0]
    return float(pose[place] - model.qpos0[place])


def _trunk(source: RobotSource, anatomy: Anatomy) -> tuple[str, ...]:
    """Return the base and the heavy bodies that are no part of a leg."""
    model = source.model
    legs = {int(model.jnt_bodyid[model.joint(name).id]) for leg in anatomy.legs for name in leg.joints}
    heavy = [
        model.body(number).name
        for number in range(2, model.nbody)
        if number not in legs and model.body_mass[number] > _HEAVY * model.body_subtreemass[1]
    ]
    return (anatomy.base, *heavy)


def _rotors(source: RobotSource, anatomy: Anatomy, limits: dict[str, float], stand: float) -> dict[str, float]:
    """Return each driven joint's rotor inertia, by its torque limit where the file names none [kg m^2]."""
    model, found = source.model, {}
    leg = leg_effort(float(model.body_subtreemass[1]), stand)
    for name in anatomy.joints:
        named = float(model.dof_armature[model.joint(name).dofadr[0]])
        found[name] = named if named > 0.0 else max(_ROTOR * min(limits.get(name, leg), _STRONG * leg), 0.001)
    return found


def _links(source: RobotSource, anatomy: Anatomy, pose: Array, rotors: dict[str, float]) -> tuple[Link, ...]:
    model, data = source.model, mujoco.MjData(source.model)
    data.qpos[:] = pose
    mujoco.mj_forward(model, data)
    trunk, soles = _trunk(source, anatomy), {leg.foot: leg.sole for leg in anatomy.legs}
    found = []
    for number in range(1, model.nbody):
        body = model.body(number)
        if body.jntnum[0] > 1:
            raise UsageError(
                f"body '{body.name}' has {body.jntnum[0]} joints",
                source=source.place_of_body(body.name),
                allowed="one joint a body",
                hint="put a body between every two of them",
            )
        geoms: tuple[str, ...] = ()
        if body.name in trunk:
            geoms = (_trunk_box(model, data, number),)
        elif body.name in soles:
            geoms = tuple(_sole_sphere(point) for point in soles[body.name])
        found.append(
            Link(
                name=body.name,
                parent=model.body(body.parentid[0]).name if number > 1 else None,
                pos=_vector(body.pos) if number > 1 else (0.0, 0.0, 0.0),
                rpy=_rpy(body.quat) if number > 1 else (0.0, 0.0, 0.0),
                mass=round(float(body.mass[0]), 6),
                com=_vector(body.ipos),
                inertia=_inertia(body),
                joint=_joint(model, number, rotors),
                geoms=geoms,
                looks=_bones(model, number, soles.get(body.name, ())),
            )
        )
    return tuple(found)


def _joint(model: mujoco.MjModel, body: int, rotors: dict[str, float]) -> Joint | None:
    """Return a body's hinge; one that nothing drives is left stiff."""
    first = model.body_jntadr[body]
    if first < 0 or int(model.jnt_type[first]) != int(mujoco.mjtJoint.mjJNT_HINGE):
        return None
    joint = model.joint(first)
    if joint.name not in rotors:
        return None
    low, high = model.jnt_range[first] if model.jnt_limited[first] else (-np.pi, np.pi)
    zero = model.qpos0[model.jnt_qposadr[first]]
    return Joint(
        name=joint.name,
        axis=_vector(joint.axis),
        range=(round(float(low - zero), 5), round(float(high - zero), 5)),
        armature=round(rotors[joint.name], 6),
        pos=_vector(joint.pos),
    )


def _inertia(body: object) -> tuple[float, ...]:
    """Return a body's inertia about its own axes: xx, yy, zz, xy, xz, yz."""
    flat = np.zeros(9)
    mujoco.mju_quat2Mat(flat, body.iquat)  # type: ignore[attr-defined]
    turn = flat.reshape(3, 3)
    small, middle, large = np.argsort(body.inertia)  # type: ignore[attr-defined]
    moments = np.array(body.inertia)  # type: ignore[attr-defined]
    # A thin rod is at the edge of what a body can have; with six digits it would be beyond.
    moments[small] += max(0.0, (1.0 + 1e-4) * moments[large] - moments[small] - moments[middle])
    whole = turn @ np.diag(moments) @ turn.T
    pairs = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
    return tuple(float(f"{whole[pair]:.6g}") for pair in pairs)


def _trunk_box(model: mujoco.MjModel, data: mujoco.MjData, body: int) -> str:
    """Return the box around what a trunk's body touches with."""
    turn = data.xmat[body].reshape(3, 3)
    points = (world_points(model, data, body) - data.xpos[body]) @ turn
    centre, half = hull(points)
    return box(_vector(np.maximum(half, 0.03)), _vector(centre), solid("shell"), model.body(body).name)


def _sole_sphere(point: Array) -> str:
    return sphere(SOLE_RADIUS, _vector(point), solid("rubber"))


def _bones(model: mujoco.MjModel, body: int, sole: tuple[Array, ...]) -> tuple[str, ...]:
    """Return capsules from a body's origin to those of its children and to its sole: what it looks like."""
    ends = [model.body_pos[child] for child in range(1, model.nbody) if model.body_parentid[child] == body]
    ends += [np.mean(sole, axis=0)] if sole else []
    return tuple(
        capsule(0.02 if np.linalg.norm(end) > 0.1 else 0.01, (0.0, 0.0, 0.0), _vector(end), f'material="metal" {LOOK}')
        for end in ends
        if float(np.linalg.norm(end)) > 0.03
    )


def _sole_height(source: RobotSource, anatomy: Anatomy, pose: Array) -> float:
    """Return how far the soles are below the feet's origins in a pose [m]."""
    model, data = source.model, mujoco.MjData(source.model)
    data.qpos[:] = pose
    mujoco.mj_forward(model, data)
    foot = model.body(anatomy.feet[0]).id
    return round(float(data.xpos[foot, 2] - lowest(model, data, foot)), 4)


def _vector(values: Array) -> Vector:
    x, y, z = (round(float(value), 6) + 0.0 for value in values)
    return (x, y, z)


def _rpy(quat: Array) -> Vector:
    """Return URDF's roll, pitch and yaw of a quaternion w, x, y, z [rad]."""
    w, x, y, z = (float(value) for value in quat)
    sine = 2 * (w * y - z * x)
    if abs(sine) > 1.0 - 1e-9:  # straight up or down, roll and yaw turn about one axis: all of it is taken as yaw
        return _vector(np.array([0.0, np.copysign(np.pi / 2, sine), 2.0 * np.arctan2(z, w)]))
    roll = np.arctan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    pitch = np.arcsin(sine)
    yaw = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    return _vector(np.array([roll, pitch, yaw]))
