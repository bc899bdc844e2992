"""URDF as MuJoCo reads it: meshes found, what only looks left out, inertia that no body has mended."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np

from ....spec.errors import UsageError
from .elements import Element, place_of
from .meshes import points_in
from .urdf_tree import check_tree

_MESHES = (".stl", ".obj", ".msh")
"""Formats that MuJoCo reads."""
_NUMBERS = {"inertia", "mass", "limit"}
"""Elements all of whose attributes are numbers."""
_VECTORS = {"xyz", "rpy", "scale"}
_NOTHING = 1e-6
"""Mass below which a link weighs nothing [kg]."""


def urdf_text(path: Path, elements: tuple[Element, ...]) -> tuple[str, tuple[str, ...]]:
    """Return a URDF that MuJoCo can compile, and what was left out of it.

    Args:
        path: The user's file.
        elements: Its elements.

    Raises:
        UsageError: It is no finished URDF, or a mesh of it is missing.
    """
    for element in elements:
        _check(element)
    check_tree(elements)
    try:
        tree = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise UsageError(f"it is not XML: {error}", source=f"{path}:{error.position[0]}") from None
    _drop_footprint(tree)
    notes = (*_use_meshes(tree, path, elements), *_mend_inertia(tree, path, elements))
    for link in tree.findall("link"):
        for visual in link.findall("visual"):
            link.remove(visual)
    for collision in tree.iter("collision"):
        collision.attrib.pop("name", None)  # nobody asks for it; MuJoCo prints a line for two of one name
    for other in (*tree.findall("mujoco"), *tree.findall("gazebo"), *tree.findall("transmission")):
        tree.remove(other)
    options = ElementTree.SubElement(ElementTree.SubElement(tree, "mujoco"), "compiler")
    options.attrib |= {
        "strippath": "false",
        "fusestatic": "true",
        "balanceinertia": "true",
        "discardvisual": "true",
        "inertiafromgeom": "false",
    }
    return ElementTree.tostring(tree, encoding="unicode"), notes


def _drop_footprint(tree: ElementTree.Element) -> None:
    """Take the trunk as the base where the root is a mark on the ground beneath it, such as ``base_footprint``.

    That is a link without mass and shape whose only joint is fixed and shifts without turning.
    """
    while True:
        joints = tree.findall("joint")
        hung = {_named(joint, "child") for joint in joints}
        root = next(link for link in tree.findall("link") if link.get("name") not in hung)
        below = [joint for joint in joints if _named(joint, "parent") == root.get("name")]
        if list(root) or len(below) != 1 or below[0].get("type") != "fixed":
            return
        origin = below[0].find("origin")
        if origin is None or not _only_shifts(origin):
            return
        tree.remove(below[0])
        tree.remove(root)


def _only_shifts(origin: ElementTree.Element) -> bool:
    shift, turn = (np.array((origin.get(key) or "0").split(), float) for key in ("xyz", "rpy"))
    return bool(np.any(shift != 0.0) and np.all(turn == 0.0))


def _named(joint: ElementTree.Element, role: str) -> str | None:
    link = joint.find(role)
    return None if link is None else link.get("link")


def _check(element: Element) -> None:
    """Refuse what xacro has not expanded, and what should be numbers and is not."""
    values = element.attributes
    if element.name.startswith("xacro:") or any("${" in value or "$(" in value for value in values.values()):
        raise UsageError(
            f"<{element.name}> is xacro's: it is not yet a URDF",
            source=element.place,
            hint="expand it first: xacro FILE > robot.urdf",
        )
    for key, value in values.items():
        if key not in _VECTORS and element.name not in _NUMBERS:
            continue
        try:
            finite = bool(np.isfinite([float(part) for part in value.split()]).all())
        except ValueError:
            finite = False
        if not finite:
            raise UsageError(
                f"<{element.name}> has {key}={value!r}", source=element.place, allowed="numbers, a space between two"
            )
    if element.name == "mass" and float(values.get("value", 0.0)) < 0.0:
        raise UsageError(f"a mass is negative: {values['value']}", source=element.place)
    if element.name == "limit" and float(values.get("lower", 0.0)) > float(values.get("upper", 0.0)):
        raise UsageError(
            f"the lower limit is above the upper: {values.get('lower', 0)}, {values.get('upper', 0)}",
            source=element.place,
        )


def _use_meshes(tree: ElementTree.Element, path: Path, elements: tuple[Element, ...]) -> tuple[str, ...]:
    """Point the collision meshes of a URDF to their files; leave out those that cannot be read."""
    named = [one for one in elements if one.name == "mesh" and "filename" in one.attributes]
    places = {one.attributes["filename"]: one.place for one in reversed(named)}  # the first of each
    notes = []
    for link in tree.findall("link"):
        for collision in link.findall("collision"):
            mesh = collision.find("geometry/mesh")
            if mesh is None:
                continue
            name = mesh.get("filename", "")
            found = mesh_file(name, path)
            if found is None:
                raise UsageError(
                    f"the mesh of link '{link.get('name')}' is missing: {name}",
                    source=places.get(name) or place_of(elements, "link", link.get("name", "")) or str(path),
                    hint="copy the description's whole folder, meshes included",
                )
            if found.suffix.lower() in _MESHES or points_in(found) is not None:
                mesh.set("filename", str(found))
            else:
                link.remove(collision)
                notes.append(f"collision mesh {found.name} of {link.get('name')} is left out: its file cannot be read")
    return tuple(notes)


def _mend_inertia(tree: ElementTree.Element, path: Path, elements: tuple[Element, ...]) -> tuple[str, ...]:
    """Mend inertia that MuJoCo refuses and that no body can have; return what was mended.

    A link that weighs nothing loses its inertia. One without moments that is welded to another is a point. Products
    that no body can have are left out.

    Raises:
        UsageError: A link that moves has mass without inertia.
    """
    notes = []
    moved = {_named(joint, "child") for joint in tree.findall("joint") if joint.get("type") != "fixed"}
    for link in tree.findall("link"):
        inertial = link.find("inertial")
        inertia = link.find("inertial/inertia")
        if inertial is None or inertia is None:
            continue
        weight = link.find("inertial/mass")
        mass = float(weight.get("value", 0.0)) if weight is not None else 0.0
        xx, yy, zz, xy, xz, yz = (float(inertia.get(f"i{pair}", 0.0)) for pair in ("xx", "yy", "zz", "xy", "xz", "yz"))
        whole = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        if 0.0 <= mass < _NOTHING:
            link.remove(inertial)
        elif mass > 0.0 and np.abs(whole).max() < 1e-6 * mass:
            if link.get("name") in moved:
                raise UsageError(
                    f"link '{link.get('name')}' has mass but no inertia",
                    source=place_of(elements, "link", link.get("name", "")) or str(path),
                    hint="give it the inertia of a body of its size",
                )
            point = repr(1e-6 * mass)
            inertia.attrib |= {"ixx": point, "iyy": point, "izz": point, "ixy": "0", "ixz": "0", "iyz": "0"}
            notes.append(f"{link.get('name')} has mass without inertia: it counts as a point")
        elif min(xx, yy, zz) > 0.0 and np.linalg.eigvalsh(whole)[0] <= 0.0:
            inertia.attrib |= {"ixy": "0", "ixz": "0", "iyz": "0"}
            notes.append(f"products of inertia of {link.get('name')} are left out: no body has such")
    return tuple(notes)


def mesh_file(named: str, path: Path) -> Path | None:
    """Return the file of a mesh: ``package://NAME/...`` lies in a folder NAME beside or above the description."""
    package, bare = "://" in named and not named.startswith("file:"), re.sub(r"^(package|file|model)://", "", named)
    bare = bare.lstrip("/") if package else bare
    folders = [path.parent, *path.parent.parents]
    tails = [bare, *(["/".join(bare.split("/")[1:])] if "/" in bare else [])]
    candidates = [Path(bare), *(folder / tail for folder in folders[:4] for tail in tails)]
    return next((candidate.resolve() for candidate in candidates if candidate.is_file()), None)
