"""Reader of a user's MJCF or URDF: checked, put on a free base, compiled without what only looks."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import mujoco
import numpy as np

from ....spec.errors import UsageError
from ..own_warnings import gathered
from .elements import Element, elements_of, place_of
from .meshes import points_in
from .urdf import urdf_text

_ROBOT_ACTUATORS = {"motor", "position", "velocity", "general", "damper", "intvelocity", "pd", "dcmotor"}
"""Actuators of MJCF that can stand at a joint; others move something else."""
_LEAST_MASS = 1e-6
"""Mass below which a body that moves counts as without one [kg]."""
_LEAST_RADIUS = 1.1e-3
"""Radius of gyration below which a body that moves counts as without inertia [m]."""


@dataclass(frozen=True)
class RobotSource:
    """A robot's file, compiled."""

    path: Path
    name: str
    model: mujoco.MjModel
    driven: tuple[str, ...]
    """Joints with an actuator of their own; all hinges where the file names none."""
    elements: tuple[Element, ...] = ()
    notes: tuple[str, ...] = ()
    """What was left out."""
    coupled: tuple[str, ...] = ()
    """Joints that follow another: URDF's ``mimic``, MJCF's equality of joints."""

    def place_of_joint(self, name: str) -> str:
        """Return the file, and the line where it is known, of a joint."""
        return place_of(self.elements, "joint", name) or str(self.path)

    def place_of_body(self, name: str) -> str:
        """Return the file, and the line where it is known, of a body or link."""
        return place_of(self.elements, "body", name) or place_of(self.elements, "link", name) or str(self.path)


def read_robot(path: Path) -> RobotSource:
    """Read a robot.

    Args:
        path: An MJCF (``<mujoco>``) or URDF (``<robot>``) file.

    Raises:
        UsageError: It cannot be read, or is no robot that can walk; the error names the element and its line.
    """
    elements = elements_of(path)
    kind = elements[0].name
    readers = {"robot": _read_urdf, "mujoco": _read_mjcf}
    if kind not in readers:
        raise UsageError(f"<{kind}> is neither MJCF nor URDF", source=f"{path}:1", allowed="<mujoco>, <robot>")
    with gathered() as warned:
        source = readers[kind](path, elements)
    notes = tuple(f"MuJoCo says: {line}{_line_of(elements, line)}" for line in warned)
    return replace(source, notes=(*source.notes, *notes))


def _line_of(elements: tuple[Element, ...], text: str) -> str:
    """Return the place of the joint or body that a warning names, in brackets; nothing where it names none."""
    for kind, name in re.findall(r"\b(joint|body) '([^']+)'", text):
        place = place_of(elements, kind, name)
        if place:
            return f" ({place})"
    return ""


def _read_mjcf(path: Path, elements: tuple[Element, ...]) -> RobotSource:
    groups = {"equality": False, "actuator": False}
    for element in elements:
        if element.name in groups:
            groups[element.name] = True
        elif element.name in ("connect", "weld") and groups["equality"]:
            raise _refused(element, "an equality constraint closes a loop", "model it as a tree")
        elif _drives_no_hinge(element) and groups["actuator"]:
            raise _refused(element, "this actuator drives no hinge", "use a motor at a joint")
    try:
        spec = mujoco.MjSpec.from_file(str(path))
        base = _only_robot(spec, path, elements)
        if not list(base.joints) or int(base.joints[0].type) != int(mujoco.mjtJoint.mjJNT_FREE):
            raise UsageError(
                f"body '{base.name}' has no free joint: the robot is fixed to the world",
                source=place_of(elements, "body", base.name) or str(path),
                hint="add <freejoint/> to it",
            )
        _name_all(spec)
        for mesh in spec.meshes:
            if mesh.file:
                _take_points(mesh, Path(spec.modelfiledir, spec.meshdir, mesh.file))
        return _compiled(path, spec, elements, ())
    except ValueError as error:
        raise _unusable(path, elements, error) from None


def _name_all(spec: mujoco.MjSpec) -> None:
    """Give bodies and joints without a name one: after their parent, or their body."""
    taken = {body.name for body in spec.bodies} | {joint.name for joint in spec.joints}

    def free(stem: str) -> str:
        name = next(name for number in range(1, len(taken) + 2) if (name := f"{stem}_{number}") not in taken)
        taken.add(name)
        return name

    for body in spec.bodies:
        body.name = body.name or free(body.parent.name)
        for joint in body.joints:
            joint.name = joint.name or free(f"{body.name}_joint")


def _drives_no_hinge(element: Element) -> bool:
    name, attributes = element.name, element.attributes
    elsewhere = name in _ROBOT_ACTUATORS and {"tendon", "site", "body", "cranksite"} & set(attributes)
    return name in ("muscle", "cylinder", "adhesion") or bool(elsewhere)


def _read_urdf(path: Path, elements: tuple[Element, ...]) -> RobotSource:
    text, notes = urdf_text(path, elements)
    try:
        spec = mujoco.MjSpec.from_string(text)
        base = spec.worldbody.first_body()
        if base is None:
            raise UsageError("the robot has no link that moves", source=str(path))
        if not list(base.joints):
            base.add_freejoint(name="root")
        for mesh in spec.meshes:
            _take_points(mesh, Path(mesh.file))
            mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL  # links name their inertia; meshes may be flat
        return _compiled(path, spec, elements, notes)
    except ValueError as error:
        raise _unusable(path, elements, error) from None


def _take_points(mesh: mujoco.MjsMesh, file: Path) -> None:
    """Give a mesh its points where MuJoCo does not read its file; it makes their hull."""
    points = points_in(file) if file.is_file() else None
    if points is not None:
        mesh.file = ""
        mesh.uservert = points.astype(np.float32).ravel()


def _only_robot(spec: mujoco.MjSpec, path: Path, elements: tuple[Element, ...]) -> mujoco.MjsBody:
    """Return the one body of the world that a robot hangs from; what stands around without joints is left out.

    Raises:
        UsageError: There is none, or there are several.
    """
    around = [body for body in spec.bodies if body.name != "world" and body.parent.name == "world"]
    robots = [body for body in around if list(body.find_all("joint"))]
    if not around:
        raise UsageError("the model has no body", source=str(path))
    if len(robots) > 1:
        names = ", ".join(f"'{body.name}'" for body in robots)
        raise UsageError(
            f"{len(robots)} bodies with joints hang from the world: {names}",
            source=place_of(elements, "body", robots[1].name) or str(path),
            allowed="one robot",
            hint="give each a file of its own",
        )
    base = robots[0] if robots else around[0]
    for body in around:
        if body is not base and robots:
            spec.delete(body)
    return base


def _compiled(path: Path, spec: mujoco.MjSpec, elements: tuple[Element, ...], notes: tuple[str, ...]) -> RobotSource:
    model = spec.compile()
    joints = [model.joint(number) for number in range(model.njnt)]
    hinges = [joint.name for joint in joints if int(joint.type[0]) == int(mujoco.mjtJoint.mjJNT_HINGE)]
    driven = [
        model.joint(model.actuator(number).trnid[0]).name
        for number in range(model.nu)
        if int(model.actuator(number).trntype[0]) == int(mujoco.mjtTrn.mjTRN_JOINT)
    ]
    coupled = _coupled(model)
    used = tuple(name for name in hinges if (name in driven or not driven) and name not in coupled)
    source = RobotSource(path, spec.modelname or path.stem, model, used, elements, notes, coupled)
    _check_names(source)
    for number in range(1, model.nbody):
        body = model.body(number)
        if not body.jntnum[0]:
            continue
        light = model.body_subtreemass[number] < _LEAST_MASS or body.mass[0] < _LEAST_MASS
        if light or body.inertia.min() < body.mass[0] * _LEAST_RADIUS**2:
            raise UsageError(
                f"body '{body.name}' has no {'mass' if light else 'inertia'}",
                source=source.place_of_body(body.name),
                hint="give it its <inertial>",
            )
    return source


def _check_names(source: RobotSource) -> None:
    """Refuse names that the robot's own scene cannot have: with quotes, or that of its free joint."""
    model = source.model
    bodies = [(name, source.place_of_body(name)) for name in (model.body(k).name for k in range(1, model.nbody))]
    joints = [(name, source.place_of_joint(name)) for name in (model.joint(k).name for k in range(1, model.njnt))]
    for name, place in (*bodies, *joints):
        if re.search(r'["<>]', name):
            raise UsageError(f"the name {name!r} has a character that names cannot have here", source=place)
    for name, place in joints:
        if name == "root":
            raise UsageError("a joint is named 'root', as the robot's free joint is", source=place, hint="rename it")


def _coupled(model: mujoco.MjModel) -> tuple[str, ...]:
    kinds = [int(kind) == int(mujoco.mjtEq.mjEQ_JOINT) for kind in model.eq_type]
    return tuple(
        model.joint(int(joint)).name for joint, is_joint in zip(model.eq_obj1id, kinds, strict=True) if is_joint
    )


def _refused(element: Element, what: str, hint: str) -> UsageError:
    called = element.attributes.get("name") or element.attributes.get("body1") or ""
    return UsageError(f"<{element.name}{f' {called!r}' if called else ''}>: {what}", source=element.place, hint=hint)


def _unusable(path: Path, elements: tuple[Element, ...], error: ValueError) -> UsageError:
    """Return MuJoCo's own complaint, with the place of the element that it names."""
    text = " ".join(str(error).split())
    named = {part for quoted in re.findall(r"'([^']+)'", text) for part in (quoted, Path(quoted).name)}
    values = ((value, one.place) for one in elements for value in one.attributes.values())
    place = next((at for value, at in values if named & {value, Path(value).name}), None)
    line = re.search(r"\bline (\d+)", text)
    if elements[0].name == "robot":
        text = re.sub(r",? *\bline \d+", "", text)  # of the text that MuJoCo was given, not of the user's file
    elif place is None and line:
        place = f"{path}:{line[1]}"
    hint = "copy the model's whole folder, meshes included" if "opening file" in text else None
    if re.search(r"'[^']+' not found", text):
        hint = "it refers to what another file has: read the one that includes both"
    if "inertia" in text or "mass" in text:
        hint = "give it its <inertial>, with the mass and inertia of a body that can be"
    return UsageError(f"MuJoCo cannot use it: {text}", source=place or str(path), hint=hint)
