"""Films of Isaac Lab: the recorded states, replayed with the embedded simulator's model of the same robot.

Isaac Lab's own pictures need a GPU and Isaac Sim; what happened does not change by being drawn elsewhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ...spec import catalog
from ..mujoco import availability

if TYPE_CHECKING:
    import mujoco
    from numpy.typing import NDArray

    from ...evaluation.film import Film

ROOT = 7
"""Leading entries of a recorded state: position [m] and quaternion (w, x, y, z) of the robot's root."""


def pictures(film: Film, backend: str, *, threads: int = 1) -> Iterator[NDArray[np.uint8]]:
    """Yield the picture of each frame of a film, (height, width, 3).

    Args:
        film: What to show; each state is the root's pose, then ``film.joint_names``.
        backend: See :func:`gaitway_runtime.simulators.mujoco.render.frames.pictures`.
        threads: See there.

    Raises:
        ValueError: The embedded simulator is not here, has no such robot or ground, or its joints have other names.
    """
    info = catalog.find(film.task)
    if info is None or info.local is None:
        raise ValueError(f"the embedded simulator has no model of {film.task} to draw it with")
    if "Rough" in info.name:
        raise ValueError("Isaac Lab's rough ground is its own: it cannot be drawn")
    drawing = availability()
    if not drawing.present:
        raise ValueError(f"the embedded simulator, which draws it, is not here ({drawing.reason})")
    from ..mujoco.models import build_model
    from ..mujoco.render.frames import pictures as drawn

    model = build_model(info.name, around=film.snapshots[:, :2])
    states = positions(model, film)
    yield from drawn(dataclasses.replace(film, task=info.name, snapshots=states), backend, threads=threads, model=model)


def positions(model: mujoco.MjModel, film: Film) -> NDArray[np.float64]:
    """Return the recorded states as the model's ``qpos``, (T, nq)."""
    import mujoco

    states = np.tile(model.qpos0, (len(film.snapshots), 1))
    for column, name in enumerate(film.joint_names, start=ROOT):
        number = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, name)
        if number < 0:
            raise ValueError(f"the embedded simulator's robot has no joint {name}")
        states[:, model.jnt_qposadr[number]] = film.snapshots[:, column]
    if model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE:
        states[:, :ROOT] = film.snapshots[:, :ROOT]
    return states
