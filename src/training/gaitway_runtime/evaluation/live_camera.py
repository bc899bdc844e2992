"""Camera of the live view that follows the robot: a plug-in of MuJoCo's viewer, imported where that is started."""

from __future__ import annotations

import mujoco
from mujoco.studio import messages, plugin, ux

DISTANCE, ELEVATION, AZIMUTH = 4.0, -20.0, 130.0
"""Where the camera begins [m, degrees, degrees]."""


class FollowingCamera(plugin.ViewerPlugin):  # type: ignore[misc]
    """Turns the viewer's camera to the robot whenever a model is loaded."""

    @messages.handler  # type: ignore[untyped-decorator]
    def on_model(self, event: messages.PostModelEvent) -> None:
        """Follow the first body of a model that has any: the viewer begins with an empty one."""
        if event.model.nbody < 2:
            return
        camera = self.viewer.camera
        camera.type, camera.trackbodyid = int(mujoco.mjtCamera.mjCAMERA_TRACKING), 1
        camera.distance, camera.elevation, camera.azimuth = DISTANCE, ELEVATION, AZIMUTH
        self.viewer.camera_index = ux.TRACKING_CAMERA_IDX
