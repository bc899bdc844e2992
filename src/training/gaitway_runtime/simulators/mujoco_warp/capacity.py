"""Room for contacts and constraints, which MuJoCo-Warp wants set aside; what exceeds it, it would drop."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np

_GEOM = mujoco.mjtGeom
_PER_PAIR = {
    (_GEOM.mjGEOM_PLANE, _GEOM.mjGEOM_SPHERE): 1,
    (_GEOM.mjGEOM_PLANE, _GEOM.mjGEOM_CAPSULE): 2,
    (_GEOM.mjGEOM_PLANE, _GEOM.mjGEOM_ELLIPSOID): 1,
    (_GEOM.mjGEOM_PLANE, _GEOM.mjGEOM_CYLINDER): 4,
    (_GEOM.mjGEOM_PLANE, _GEOM.mjGEOM_BOX): 4,
    (_GEOM.mjGEOM_SPHERE, _GEOM.mjGEOM_SPHERE): 1,
    (_GEOM.mjGEOM_SPHERE, _GEOM.mjGEOM_CAPSULE): 1,
    (_GEOM.mjGEOM_SPHERE, _GEOM.mjGEOM_CYLINDER): 1,
    (_GEOM.mjGEOM_SPHERE, _GEOM.mjGEOM_BOX): 1,
    (_GEOM.mjGEOM_CAPSULE, _GEOM.mjGEOM_CAPSULE): 2,
    (_GEOM.mjGEOM_CAPSULE, _GEOM.mjGEOM_BOX): 2,
}
"""Most contacts of two geoms, by their types in MuJoCo's order."""
_MOST_OF_A_PAIR = 8
"""Of two geoms of other types: those of two boxes."""
_MOST_OF_A_WORLD = 96
"""Contacts that no robot here has at a time, also where many geoms could touch each other or a height field."""


@dataclass(frozen=True)
class Capacity:
    """Room of one world."""

    contacts: int
    rows: int
    """Rows of the constraints' Jacobian."""


def capacity_of(model: mujoco.MjModel) -> Capacity:
    """Return the room that a world of the model needs: all that can touch does, every limit and drag is active."""
    pairs = list(_pairs(model))
    contacts = min(sum(_most(model, *pair) for pair in pairs), _MOST_OF_A_WORLD)
    dimension = max((int(max(model.geom_condim[a], model.geom_condim[b])) for a, b in pairs), default=1)
    pyramidal = model.opt.cone == mujoco.mjtCone.mjCONE_PYRAMIDAL
    per_contact = 2 * (dimension - 1) if pyramidal and dimension > 1 else dimension
    # Both ends of a range count, and dry friction may be given to any joint later; an equality takes at most six rows.
    rows = contacts * per_contact + 2 * int(np.count_nonzero(model.jnt_limited)) + model.nv + 6 * model.neq
    return Capacity(contacts, int(rows))


def _pairs(model: mujoco.MjModel) -> Iterator[tuple[int, int]]:
    """Yield the pairs of geoms that may touch, by MuJoCo's rules: bits, bodies, excludes."""
    excluded = set(model.exclude_signature.tolist())
    for first, second in itertools.combinations(range(model.ngeom), 2):
        bits = model.geom_contype[first] & model.geom_conaffinity[second]
        bits |= model.geom_contype[second] & model.geom_conaffinity[first]
        a, b = (int(model.geom_bodyid[geom]) for geom in (first, second))
        signature = (min(a, b) << 16) + max(a, b)
        if bits and signature not in excluded and not _belong_together(model, a, b):
            yield first, second


def _belong_together(model: mujoco.MjModel, first: int, second: int) -> bool:
    """Whether two bodies never touch: they do not move against each other, or one is the other's parent."""
    one, other = int(model.body_weldid[first]), int(model.body_weldid[second])
    if one == other:
        return True
    if 0 in (one, other):  # the world is nobody's parent here
        return False
    above = [int(model.body_weldid[model.body_parentid[body]]) for body in (one, other)]
    return other == above[0] or one == above[1]


def _most(model: mujoco.MjModel, first: int, second: int) -> int:
    """Return the most contacts of two geoms."""
    low, high = sorted((int(model.geom_type[first]), int(model.geom_type[second])))
    if low == _GEOM.mjGEOM_HFIELD:
        return int(mujoco.mjMAXCONPAIR)
    return _PER_PAIR.get((_GEOM(low), _GEOM(high)), _MOST_OF_A_PAIR)
