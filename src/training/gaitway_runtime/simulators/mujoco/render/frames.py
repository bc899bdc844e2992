"""Turn the recorded states of a film into pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
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


RAYS = "rays"
"""Backend that needs nothing but a processor."""

RENDERERS: dict[str, Callable[[mujoco.MjModel, int, int], Renderer]] = {
    "egl": GLRenderer,
    "osmesa": GLRenderer,
    RAYS: RayRenderer,
}
"""Renderers by backend, the one to try first first. The OpenGL ones need ``MUJOCO_GL`` to be set before the import."""


def pictures(
    film: Film, backend: str, *, threads: int = 1, model: mujoco.MjModel | None = None
) -> Iterator[NDArray[np.uint8]]:
    """Yield the picture of each frame of a film, (height, width, 3).

    Args:
        film: What to show.
        backend: A name in :data:`RENDERERS`.
        threads: Frames that are drawn at the same time, where the backend can; they are the same for any number.
        model: The film's model; built from its task when omitted.

    Raises:
        Exception: The backend is not to be had here; OpenGL libraries raise several kinds.
    """
    if model is None:
        from ..models import build_model

        model = build_model(film.task, around=film.snapshots[:, :2])
    renderers = [RENDERERS[backend](model, film.width, film.height) for _ in range(threads if backend == RAYS else 1)]
    overlay = Overlay(film.title, film.width, film.height)
    roams = bool(model.njnt and model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE)
    root = int(model.jnt_qposadr[0]) if roams else 0
    ground = find_ground(model)
    cameras = plan_cameras(model, film.snapshots, film.step_dt, ground.height if ground else None)
    drawn = _drawn(renderers, list(zip(film.snapshots, cameras, strict=True)))
    for index, (picture, state, camera) in enumerate(zip(drawn, film.snapshots, cameras, strict=True)):
        measured = {name: float(values[index]) for name, values in film.measurements.items()}
        pose = state[root : root + 7] if roams else None
        yield overlay.draw(picture, index * film.step_dt, measured, camera, pose)


def _drawn(
    renderers: Sequence[Renderer], frames: Sequence[tuple[NDArray[np.float64], Camera]]
) -> Iterator[NDArray[np.uint8]]:
    """Yield the pictures of states and cameras in order, each renderer at work on one of them."""
    if len(renderers) == 1:  # OpenGL's context belongs to this thread
        yield from (renderers[0].draw(*frame) for frame in frames)
        return
    with ThreadPoolExecutor(len(renderers)) as pool:
        ahead = [pool.submit(renderer.draw, *frame) for renderer, frame in zip(renderers, frames, strict=False)]
        for number in range(len(frames)):
            slot = number % len(renderers)
            picture = ahead[slot].result()
            if number + len(renderers) < len(frames):
                ahead[slot] = pool.submit(renderers[slot].draw, *frames[number + len(renderers)])
            yield picture
