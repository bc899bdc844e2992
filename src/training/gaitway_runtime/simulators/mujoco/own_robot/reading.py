"""Reader of a user's MJCF or URDF: checked, put on a free base, compiled without what only looks."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax import make_parser
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl, Locator

import mujoco
import numpy as np

from ....spec.errors import UsageError

_ROBOT_ACTUATORS = {"motor", "position", "velocity", "general", "damper", "intvelocity", "pd", "dcmotor"}
"""Actuators of MJCF that can stand at a joint; others move something else."""
_MESHES = (".stl", ".obj", ".msh")
"""Formats that MuJoCo reads."""


@dataclass(frozen=True)
class RobotSource:
    """A robot's file, compiled."""

    path: Path
    name: str
    model: mujoco.MjModel
    driven: tuple[str, ...]
    """Joints with an actuator of their own; all hinges where the file names none."""
    notes: tuple[str, ...] = ()
    """What was left out."""


@dataclass
class _Elements(ContentHandler):
    """Elements of an XML file with their lines."""

    found: list[tuple[str, dict[str, str], int]] = field(default_factory=list)
    _locator: Locator | None = None

    def setDocumentLocator(self, locator: Locator) -> None:  # noqa: N802 - the parser's own name
        self._locator = locator

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802 - the parser's own name
        line = self._locator.getLineNumber() if self._locator else None
        self.found.append((name, dict(attrs.items()), line or 0))


def read_robot(path: Path) -> RobotSource:
    """Read a robot.

    Args:
        path: An MJCF (``<mujoco>``) or URDF (``<robot>``) file.

    Raises:
        UsageError: It cannot be read, or is no robot that can walk; the error names the element and its line.
    """
    elements = _elements(path)
    if not elements:
        raise UsageError("the file has no elements", source=str(path))
    kind = elements[0][0]
    if kind == "robot":
        return _read_urdf(path, elements)
    if kind == "mujoco":
        return _read_mjcf(path, elements)
    raise UsageError(f"<{kind}> is neither MJCF nor URDF", source=f"{path}:1", allowed="<mujoco>, <robot>")


def _elements(path: Path) -> list[tuple[str, dict[str, str], int]]:
    from xml.sax import SAXParseException

    handler, parser = _Elements(), make_parser()
    parser.setContentHandler(handler)
    try:
        parser.parse(str(path))
    except SAXParseException as error:
        raise UsageError(f"it is not XML: {error.getMessage()}", source=f"{path}:{error.getLineNumber()}") from None
    except OSError as error:
        raise UsageError(f"the robot cannot be read: {error.strerror or error}", source=str(path)) from None
    return handler.found


def _read_mjcf(path: Path, elements: list[tuple[str, dict[str, str], int]]) -> RobotSource:
    groups = {"equality": False, "actuator": False}
    for name, attributes, line in elements:
        if name in groups:
            groups[name] = True
        elif name in ("connect", "weld") and groups["equality"]:
            raise _refused(path, line, name, attributes, "an equality constraint closes a loop", "model it as a tree")
        elif _drives_no_hinge(name, attributes) and groups["actuator"]:
            raise _refused(path, line, name, attributes, "this actuator drives no hinge", "use a motor at a joint")
    try:
        spec = mujoco.MjSpec.from_file(str(path))
        base = _only_robot(spec, path)
        if not any(int(joint.type) == int(mujoco.mjtJoint.mjJNT_FREE) for joint in base.joints):
            raise UsageError(
                f"body '{base.name}' has no free joint: the robot is fixed to the world",
                source=_at(path, elements, "body", base.name),
                hint="add <freejoint/> to it",
            )
        _name_all(spec)
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


def _drives_no_hinge(name: str, attributes: dict[str, str]) -> bool:
    elsewhere = name in _ROBOT_ACTUATORS and {"tendon", "site", "body", "cranksite"} & set(attributes)
    return name in ("muscle", "cylinder", "adhesion") or bool(elsewhere)


def _read_urdf(path: Path, elements: list[tuple[str, dict[str, str], int]]) -> RobotSource:
    tree = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    notes = (*_use_meshes(tree, path, elements), *_mend_inertia(tree))
    for link in tree.findall("link"):
        for visual in link.findall("visual"):
            link.remove(visual)
    for other in (*tree.findall("mujoco"), *tree.findall("gazebo"), *tree.findall("transmission")):
        tree.remove(other)
    options = ElementTree.SubElement(ElementTree.SubElement(tree, "mujoco"), "compiler")
    options.attrib |= {"strippath": "false", "fusestatic": "true", "balanceinertia": "true", "discardvisual": "true"}
    try:
        spec = mujoco.MjSpec.from_string(ElementTree.tostring(tree, encoding="unicode"))
        base = spec.worldbody.first_body()
        if base is None:
            raise UsageError("the robot has no link that moves", source=str(path))
        if not list(base.joints):
            base.add_freejoint(name="root")
        return _compiled(path, spec, elements, notes)
    except ValueError as error:
        raise _unusable(path, elements, error) from None


def _use_meshes(
    tree: ElementTree.Element, path: Path, elements: list[tuple[str, dict[str, str], int]]
) -> tuple[str, ...]:
    """Point the collision meshes of a URDF to their files; leave out those that MuJoCo cannot read."""
    meshes = [(attributes["filename"], line) for name, attributes, line in elements if name == "mesh" and attributes]
    lines = dict(reversed(meshes))  # the first of each
    notes = []
    for link in tree.findall("link"):
        for collision in link.findall("collision"):
            mesh = collision.find("geometry/mesh")
            if mesh is None:
                continue
            named = mesh.get("filename", "")
            found = _mesh_file(named, path)
            if found is None:
                raise UsageError(
                    f"the mesh of link '{link.get('name')}' is missing: {named}",
                    source=f"{path}:{lines.get(named, 0)}",
                    hint="copy the description's whole folder, meshes included",
                )
            if found.suffix.lower() in _MESHES:
                mesh.set("filename", str(found))
            else:
                link.remove(collision)
                notes.append(
                    f"collision mesh {found.name} of {link.get('name')} is left out: MuJoCo reads no such file"
                )
    return tuple(notes)


def _mend_inertia(tree: ElementTree.Element) -> tuple[str, ...]:
    """Leave out products of inertia that no body can have, which MuJoCo refuses; return what was left out."""
    notes = []
    for link in tree.findall("link"):
        inertia = link.find("inertial/inertia")
        if inertia is None:
            continue
        xx, yy, zz, xy, xz, yz = (float(inertia.get(f"i{pair}", 0.0)) for pair in ("xx", "yy", "zz", "xy", "xz", "yz"))
        whole = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        if min(xx, yy, zz) > 0.0 and np.linalg.eigvalsh(whole)[0] <= 0.0:
            inertia.attrib |= {"ixy": "0", "ixz": "0", "iyz": "0"}
            notes.append(f"products of inertia of {link.get('name')} are left out: no body has such")
    return tuple(notes)


def _mesh_file(named: str, path: Path) -> Path | None:
    """Return the file of a mesh: ``package://NAME/...`` lies in a folder NAME beside or above the description."""
    bare = re.sub(r"^(package|file|model)://", "", named)
    folders = [path.parent, *path.parent.parents]
    tails = [bare, *(["/".join(bare.split("/")[1:])] if "/" in bare else [])]
    candidates = [Path(bare), *(folder / tail for folder in folders[:4] for tail in tails)]
    return next((candidate.resolve() for candidate in candidates if candidate.is_file()), None)


def _only_robot(spec: mujoco.MjSpec, path: Path) -> mujoco.MjsBody:
    """Return the one body of the world that the robot hangs from."""
    body = spec.worldbody.first_body()
    if body is None:
        raise UsageError("the model has no body", source=str(path))
    return body


def _compiled(
    path: Path, spec: mujoco.MjSpec, elements: list[tuple[str, dict[str, str], int]], notes: tuple[str, ...]
) -> RobotSource:
    model = spec.compile()
    joints = [model.joint(number) for number in range(model.njnt)]
    for joint in joints:
        if int(joint.type[0]) not in (int(mujoco.mjtJoint.mjJNT_FREE), int(mujoco.mjtJoint.mjJNT_HINGE)):
            raise UsageError(
                f"joint '{joint.name}' is neither a hinge nor the free base",
                source=_at(path, elements, "joint", joint.name),
                hint="walking tasks drive hinges",
            )
    for number in range(1, model.nbody):
        body = model.body(number)
        if body.jntnum[0] and (body.mass[0] < 1e-6 or body.inertia.min() < 1e-12):
            raise UsageError(
                f"body '{body.name}' has no {'mass' if body.mass[0] < 1e-6 else 'inertia'}",
                source=_at(path, elements, "link", body.name) if elements[0][0] == "robot" else str(path),
                hint="give it its <inertial>",
            )
    hinges = [joint.name for joint in joints if int(joint.type[0]) == int(mujoco.mjtJoint.mjJNT_HINGE)]
    driven = [
        model.joint(model.actuator(number).trnid[0]).name
        for number in range(model.nu)
        if int(model.actuator(number).trntype[0]) == int(mujoco.mjtTrn.mjTRN_JOINT)
    ]
    used = tuple(name for name in hinges if name in driven) if driven else tuple(hinges)
    return RobotSource(path, spec.modelname or path.stem, model, used, notes)


def _refused(path: Path, line: int, name: str, attributes: dict[str, str], what: str, hint: str) -> UsageError:
    called = attributes.get("name") or attributes.get("body1") or ""
    return UsageError(f"<{name}{f' {called!r}' if called else ''}>: {what}", source=f"{path}:{line}", hint=hint)


def _at(path: Path, elements: list[tuple[str, dict[str, str], int]], kind: str, name: str) -> str:
    line = next((line for tag, attributes, line in elements if tag == kind and attributes.get("name") == name), 0)
    return f"{path}:{line}" if line else str(path)


def _unusable(path: Path, elements: list[tuple[str, dict[str, str], int]], error: ValueError) -> UsageError:
    """Return MuJoCo's own complaint, with the line of the element that it names."""
    text = " ".join(str(error).split())
    named = {part for quoted in re.findall(r"'([^']+)'", text) for part in (quoted, Path(quoted).name)}
    values = ((value, at) for _, attributes, at in elements for value in attributes.values())
    line = next((at for value, at in values if named & {value, Path(value).name}), 0)
    hint = "copy the model's whole folder, meshes included" if "opening file" in text else None
    return UsageError(f"MuJoCo cannot use it: {text}", source=f"{path}:{line}" if line else str(path), hint=hint)
