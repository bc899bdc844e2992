"""Pictures by MuJoCo's own OpenGL renderer, on a GPU (EGL) or in software (EGL with Mesa, OSMesa)."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from .camera import FIELD_OF_VIEW, Camera


class GLRenderer:
    """Draws states of a model. ``MUJOCO_GL`` must have been set before MuJoCo was first imported.

    Args:
        model: The model; its visual settings are changed.
        width: Width of the picture [pixels].
        height: Height of the picture [pixels].

    Raises:
        Exception: No OpenGL context can be had; MuJoCo raises several kinds.
    """

    def __init__(self, model: mujoco.MjModel, width: int, height: int) -> None:
        model.vis.global_.offwidth = max(model.vis.global_.offwidth, width)
        model.vis.global_.offheight = max(model.vis.global_.offheight, height)
        model.vis.global_.fovy = FIELD_OF_VIEW
        # A mirror image doubles the work of a software renderer, for a sheen that nobody misses.
        model.mat_reflectance[:] = 0
        self._data = mujoco.MjData(model)
        self._model = model
        self._renderer = mujoco.Renderer(model, height, width)

    def draw(self, qpos: NDArray[np.float64], camera: Camera) -> NDArray[np.uint8]:
        """Return the picture of a state, (height, width, 3)."""
        self._data.qpos[:] = qpos
        mujoco.mj_forward(self._model, self._data)
        self._renderer.update_scene(self._data, _free_camera(camera))
        picture: NDArray[np.uint8] = self._renderer.render()
        return picture


def _free_camera(camera: Camera) -> mujoco.MjvCamera:
    forward = camera.axes()[0]
    free = mujoco.MjvCamera()
    free.lookat[:] = camera.target
    free.distance = float(np.linalg.norm(camera.offset))
    free.azimuth = float(np.degrees(np.arctan2(forward[1], forward[0])))
    free.elevation = float(np.degrees(np.arcsin(forward[2])))
    return free
