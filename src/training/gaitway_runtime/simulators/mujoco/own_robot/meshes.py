"""Meshes in formats that MuJoCo does not read: points of a COLLADA file and of an STL written as text."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np

from ....tasks.arrays import Array

_UP = {
    "X_UP": np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
    "Y_UP": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]),
    "Z_UP": np.eye(3),
}
"""Turns of COLLADA's upward axes to z."""


def points_in(path: Path) -> Array | None:
    """Return the points of a mesh [m], (n, 3); None for a file that MuJoCo reads itself or that holds none.

    Args:
        path: The mesh's file.
    """
    try:
        if path.suffix.lower() == ".dae":
            return _filled(_collada(path))
        if path.suffix.lower() == ".stl" and _is_text(path):
            return _filled(_text_stl(path))
    except (OSError, ValueError, ElementTree.ParseError):
        return None
    return None


def _filled(points: Array) -> Array | None:
    """Return points that span a body, else None."""
    whole = len(points) >= 4 and np.linalg.matrix_rank(points - points[0], tol=1e-9) == 3
    return points if whole else None


def _is_text(path: Path) -> bool:
    """Return whether an STL is written as text: a binary one may begin with ``solid``, too."""
    with path.open("rb") as file:
        head = file.read(1024)
    return head.lstrip().startswith(b"solid") and b"facet" in head and b"\0" not in head


def _text_stl(path: Path) -> Array:
    number = r"([-+.\deE]+)"
    found = re.findall(rf"vertex\s+{number}\s+{number}\s+{number}", path.read_text("utf-8", "replace"))
    return np.unique(np.array(found, float).reshape(-1, 3), axis=0)


def _collada(path: Path) -> Array:
    """Return the points of a COLLADA file's geometries where its scene puts them, z up, in metres."""
    root = ElementTree.parse(path).getroot()
    for element in root.iter():
        element.tag = str(element.tag).rpartition("}")[2]
    unit = root.find("asset/unit")
    scale = float(unit.get("meter", 1.0)) if unit is not None else 1.0
    turn = _UP.get((root.findtext("asset/up_axis") or "Y_UP").strip(), np.eye(3))
    shapes = {f"#{one.get('id')}": _positions(one) for one in root.iter("geometry")}
    placed = [points for scene in root.iter("visual_scene") for points in _placed(scene, np.eye(4), shapes)]
    points = np.vstack(placed or list(shapes.values()) or [np.zeros((0, 3))])
    return np.unique(scale * points @ turn.T, axis=0)


def _positions(geometry: ElementTree.Element) -> Array:
    """Return a geometry's points: the sources that its ``vertices`` name."""
    named = {one.get("source", "")[1:] for one in geometry.iterfind("mesh/vertices/input[@semantic='POSITION']")}
    texts = [one.findtext("float_array") or "" for one in geometry.iter("source") if one.get("id") in named]
    return np.array(" ".join(texts).split(), float).reshape(-1, 3)


def _placed(node: ElementTree.Element, at: Array, shapes: dict[str, Array]) -> list[Array]:
    """Return the points of a node and of those below it, in its scene."""
    found: list[Array] = []
    for child in node:
        at = at @ _transform(child)
        if child.tag == "instance_geometry" and child.get("url", "") in shapes:
            found.append(shapes[child.get("url", "")] @ at[:3, :3].T + at[:3, 3])
        elif child.tag == "node":
            found += _placed(child, at, shapes)
    return found


def _transform(element: ElementTree.Element) -> Array:
    """Return the 4 by 4 matrix of one of a node's own transformations; that of nothing for anything else."""
    matrix = np.eye(4)
    if element.tag not in ("matrix", "translate", "rotate", "scale"):
        return matrix
    values = np.array((element.text or "").split(), float)
    if element.tag == "matrix":
        return values.reshape(4, 4)
    if element.tag == "translate":
        matrix[:3, 3] = values
    elif element.tag == "scale":
        matrix[:3, :3] = np.diag(values)
    else:
        axis, angle = values[:3] / np.linalg.norm(values[:3]), np.deg2rad(values[3])
        cross = np.cross(np.eye(3), axis)
        matrix[:3, :3] = np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * cross @ cross
    return matrix
