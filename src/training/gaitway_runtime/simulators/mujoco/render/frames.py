"""Turn the recorded states of a film into pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

import mujoco
import numpy as np

from .camera import Camera, plan_cameras
from .gl import GLRenderer
from .ground import find_ground
from .overlay import Overlay
from .rays import RayRenderer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ....evaluation.film import Film


class Renderer(Protocol):
    """Something that draws states of a model."""

    def draw(self, qpos: NDArray[np.float64], camera: Camera) -> NDArray[np.uint8]:
        """Return the picture of a state, (height, width, 3)."""
        ...


RENDERERS: dict[str, Callable[[mujoco.MjModel, int, int], Renderer]] = {
    "egl": GLRenderer,
    "osmesa": GLRenderer,
    "rays": RayRenderer,
}
"""Renderers by backend, the one to try first first. The OpenGL ones need ``MUJOCO_GL`` to be set before the import."""


def pictures(film: Film, backend: str, *, model: mujoco.MjModel | None = None) -> Iterator[NDArray[np.uint8]]:
    """Yield the picture of each frame of a film, (height, width, 3).

    Args:
        film: What to show.
        backend: A name in :data:`RENDERERS`.
        model: The film's model; built from its task when omitted.

    Raises:
        Exception: The backend is not to be had here; OpenGL libraries raise several kinds.
    """
    if model is None:
        from ..models import build_model

        model = build_model(film.task, around=film.snapshots[:, :2])
    renderer = RENDERERS[backend](model, film.width, film.height)
    overlay = Overlay(film.title, film.width, film.height)
    roams = bool(model.njnt and model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE)
    root = int(model.jnt_qposadr[0]) if roams else 0
    ground = find_ground(model)
    cameras = plan_cameras(model, film.snapshots, film.step_dt, ground.height if ground else None)
    for index, camera in enumerate(cameras):
        state = film.snapshots[index]
        measured = {name: float(values[index]) for name, values in film.measurements.items()}
        pose = state[root : root + 7] if roams else None
        yield overlay.draw(renderer.draw(state, camera), index * film.step_dt, measured, camera, pose)
