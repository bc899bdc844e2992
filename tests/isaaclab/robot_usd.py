"""Write the embedded simulator's robots as USD, so that the real Isaac Lab can run its own tasks with them.

Isaac Lab's robots are files on NVIDIA's server. These stand-ins have the same names of links and joints, and the
masses, inertias, axes, ranges and collision shapes of ours, so that a state of one simulator is a state of the other.
Runs in Isaac Lab's environment (USD and MuJoCo 3 are part of it):

    python tests/isaaclab/robot_usd.py ASSETS
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import isaaclab  # noqa: F401  (before pxr: it says where USD's plug-ins are)
import mujoco
import numpy as np
from gaitway_runtime.simulators.mujoco.models import mjcf
from pxr import Gf, Usd, UsdGeom, UsdPhysics

ASSETS: dict[str, str] = {
    "anymal_c": "Isaac/IsaacLab/Robots/ANYbotics/ANYmal-C/anymal_c.usd",
    "ant": "Isaac/Robots/IsaacSim/Ant/ant_instanceable.usd",
}
"""Our robots, and where Isaac Lab looks for its own below the asset root."""

NO_MASS, NO_INERTIA = 1e-3, 1e-6
"""Of a link that is welded to another and counted in its mass [kg] and [kg m^2]: USD takes 0 for "work it out"."""


def write_robots(assets: Path) -> None:
    """Write every robot of :data:`ASSETS` below an asset root."""
    for robot, place in ASSETS.items():
        path = assets / place
        path.parent.mkdir(parents=True, exist_ok=True)
        write_robot(mujoco.MjModel.from_xml_string(mjcf(robot, timestep=0.005)), robot, path)


def write_robot(model: mujoco.MjModel, name: str, path: Path) -> None:
    """Write one robot: its links side by side below the root, as Isaac Lab's own, and a folder of joints.

    Args:
        model: The compiled robot, whose first link is free.
        name: Name of the root.
        path: The file, which is replaced.
    """
    path.unlink(missing_ok=True)
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdPhysics.SetStageKilogramsPerUnit(stage, 1.0)
    root = UsdGeom.Xform.Define(stage, f"/{name}")
    stage.SetDefaultPrim(root.GetPrim())
    UsdPhysics.ArticulationRootAPI.Apply(root.GetPrim())
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    for body in range(1, model.nbody):
        _link(stage, name, model, body, data.xpos[body] - data.xpos[1])
    UsdGeom.Scope.Define(stage, f"/{name}/joints")
    for body in range(2, model.nbody):
        _joint(stage, name, model, body)
    stage.Save()


def _link(stage: Usd.Stage, root: str, model: mujoco.MjModel, body: int, position: Any) -> None:
    """Write a link. All links are parallel to the base while the joints are at zero."""
    assert np.allclose(model.body_quat[body], (1, 0, 0, 0)), "links are parallel at zero"
    link = UsdGeom.Xform.Define(stage, f"/{root}/{model.body(body).name}")
    link.AddTranslateOp().Set(Gf.Vec3d(*position.tolist()))
    link.AddOrientOp().Set(Gf.Quatf(1.0))
    UsdPhysics.RigidBodyAPI.Apply(link.GetPrim())
    mass = UsdPhysics.MassAPI.Apply(link.GetPrim())
    mass.CreateMassAttr(float(model.body_mass[body]) or NO_MASS)
    mass.CreateCenterOfMassAttr(Gf.Vec3f(*model.body_ipos[body].tolist()))
    mass.CreateDiagonalInertiaAttr(Gf.Vec3f(*[float(inertia) or NO_INERTIA for inertia in model.body_inertia[body]]))
    mass.CreatePrincipalAxesAttr(_quat(model.body_iquat[body]))
    for geom in np.flatnonzero(model.geom_bodyid == body):
        if model.geom_contype[geom] or model.geom_conaffinity[geom]:
            _shape(stage, str(link.GetPath()), model, int(geom))


def _shape(stage: Usd.Stage, link: str, model: mujoco.MjModel, geom: int) -> None:
    """Write a collision shape."""
    path, kind, size = f"{link}/{model.geom(geom).name}_shape", model.geom_type[geom], model.geom_size[geom].tolist()
    if kind == mujoco.mjtGeom.mjGEOM_BOX:
        shape = UsdGeom.Cube.Define(stage, path)
        shape.CreateSizeAttr(2.0)
    elif kind == mujoco.mjtGeom.mjGEOM_SPHERE:
        shape = UsdGeom.Sphere.Define(stage, path)
        shape.CreateRadiusAttr(size[0])
    elif kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
        shape = UsdGeom.Capsule.Define(stage, path)
        shape.CreateAxisAttr(UsdGeom.Tokens.z)
        shape.CreateRadiusAttr(size[0])
        shape.CreateHeightAttr(2.0 * size[1])
    else:
        raise ValueError(f"{model.geom(geom).name} has a shape that is not written here")
    shape.AddTranslateOp().Set(Gf.Vec3d(*model.geom_pos[geom].tolist()))
    shape.AddOrientOp().Set(_quat(model.geom_quat[geom]))
    if kind == mujoco.mjtGeom.mjGEOM_BOX:
        shape.AddScaleOp().Set(Gf.Vec3f(*size))
    UsdPhysics.CollisionAPI.Apply(shape.GetPrim())


def _joint(stage: Usd.Stage, root: str, model: mujoco.MjModel, body: int) -> None:
    """Write the joint between a link and its parent: a hinge, or a weld where MuJoCo has no joint."""
    parent, link = model.body(model.body_parentid[body]).name, model.body(body).name
    turned = Gf.Quatf(1.0)
    if model.body_jntnum[body]:
        joint = model.joint(model.body_jntadr[body])
        written = UsdPhysics.RevoluteJoint.Define(stage, f"/{root}/joints/{joint.name}")
        written.CreateAxisAttr("X")
        turned = _quat(_from_x(joint.axis))
        low, high = (math.degrees(bound) for bound in joint.range)
        written.CreateLowerLimitAttr(low)
        written.CreateUpperLimitAttr(high)
        drive = UsdPhysics.DriveAPI.Apply(written.GetPrim(), "angular")
        drive.CreateTypeAttr("force")
        drive.CreateStiffnessAttr(0.0)
        drive.CreateDampingAttr(0.0)
    else:
        written = UsdPhysics.FixedJoint.Define(stage, f"/{root}/joints/{link}_weld")
    written.CreateBody0Rel().SetTargets([f"/{root}/{parent}"])
    written.CreateBody1Rel().SetTargets([f"/{root}/{link}"])
    written.CreateLocalPos0Attr(Gf.Vec3f(*model.body_pos[body].tolist()))
    written.CreateLocalRot0Attr(turned)
    written.CreateLocalPos1Attr(Gf.Vec3f(0.0))
    written.CreateLocalRot1Attr(turned)


def _from_x(axis: Any) -> Any:
    """Return the rotation (w, x, y, z) of the x axis to another, which is not its opposite."""
    quat = np.array([1.0 + axis[0], 0.0, -axis[2], axis[1]])
    return quat / np.linalg.norm(quat)


def _quat(wxyz: Any) -> Gf.Quatf:
    return Gf.Quatf(*[float(part) for part in wxyz])


if __name__ == "__main__":
    write_robots(Path(sys.argv[1]))
