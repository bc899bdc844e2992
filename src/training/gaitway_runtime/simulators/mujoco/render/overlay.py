"""Overlay of a picture: arrows for the commanded and the measured velocity, and a few numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ...base import EPISODE_OVER
from .camera import Camera

if TYPE_CHECKING:
    from numpy.typing import NDArray

COMMAND, MEASURED = (52, 199, 120), (64, 156, 255)
"""Green for what was asked, blue for what was done, as Isaac Lab draws them."""
_INK, _QUIET, _PANEL = (255, 255, 255), (188, 197, 208), (14, 18, 24, 150)
_ARROW_SCALE = 0.55
"""Length of an arrow per speed [m per m/s]."""
_SHAFT, _HEAD, _HEAD_LENGTH = 0.035, 0.1, 0.18
"""Half widths and length of an arrow's parts [m]."""
_SHARPNESS = 3
"""Arrows are drawn this much larger and shrunk, so that their edges are smooth."""


@dataclass(frozen=True)
class Row:
    """One line of numbers: its label, the measurements it needs, how each is printed, and its colour mark."""

    label: str
    names: tuple[str, ...]
    formats: tuple[str, ...]
    mark: tuple[int, int, int] | None = None


ROWS = (
    Row("command", ("command_vx", "command_vy", "command_wz"), ("{:+.2f}", "{:+.2f} m/s", "{:+.2f} rad/s"), COMMAND),
    Row("measured", ("vel_x", "vel_y", "vel_yaw"), ("{:+.2f}", "{:+.2f} m/s", "{:+.2f} rad/s"), MEASURED),
    Row("speed", ("forward_speed",), ("{:+.2f} m/s",)),
    Row("cart", ("cart_position",), ("{:+.2f} m",)),
    Row("pole", ("pole_angle",), ("{:+.2f} rad",)),
)
"""Lines by what a task measures; those whose measurements are not there are left out."""


class Overlay:
    """Draws over the frames of one film.

    Args:
        title: Shown in the corner.
        width: Width of the picture [pixels].
        height: Height of the picture [pixels].
    """

    def __init__(self, title: str, width: int, height: int) -> None:
        self._title, self._width, self._height = title, width, height
        self._unit = max(0.5, height / 480)
        self._font = ImageFont.load_default(13 * self._unit)

    def draw(
        self,
        picture: NDArray[np.uint8],
        time: float,
        measured: Mapping[str, float],
        camera: Camera,
        pose: NDArray[np.float64] | None,
    ) -> NDArray[np.uint8]:
        """Return the picture with everything drawn over it.

        Args:
            picture: (height, width, 3).
            time: Time since the film began [s].
            measured: This frame's measurements by name.
            camera: What the picture was taken with.
            pose: Position [m] and orientation (wxyz) of a roaming robot, (7,); None for one that stays.
        """
        image = Image.fromarray(picture)
        if pose is not None and "command_vx" in measured:
            self._arrow(image, camera, pose, (measured["command_vx"], measured["command_vy"]), 0.36, COMMAND)
            self._arrow(image, camera, pose, (measured["vel_x"], measured["vel_y"]), 0.33, MEASURED)
        self._panel(image, time, measured)
        if measured.get(EPISODE_OVER):
            self._banner(image, "the episode is over")
        return np.asarray(image)

    def _arrow(
        self,
        image: Image.Image,
        camera: Camera,
        pose: NDArray[np.float64],
        velocity: tuple[float, float],
        above: float,
        colour: tuple[int, int, int],
    ) -> None:
        """Draw a velocity in the robot's heading frame [m/s] as a flat arrow over the robot."""
        speed = float(np.hypot(*velocity))
        if not np.isfinite(speed) or speed < 0.03:
            return
        w, x, y, z = pose[3:7]
        heading = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)) + np.arctan2(velocity[1], velocity[0])
        along, across = _outline(speed * _ARROW_SCALE)
        sine, cosine = np.sin(heading), np.cos(heading)
        over = np.full_like(along, above)
        points = pose[:3] + np.stack([along * cosine - across * sine, along * sine + across * cosine, over], axis=-1)
        pixels, depth = camera.project(points, self._width, self._height)
        if (depth < 0.1).any():
            return
        left, top = np.maximum(np.floor(pixels.min(axis=0)) - 2, 0).astype(int)
        right, bottom = np.minimum(np.ceil(pixels.max(axis=0)) + 2, (self._width, self._height)).astype(int)
        if right <= left or bottom <= top:
            return
        mask = Image.new("L", ((right - left) * _SHARPNESS, (bottom - top) * _SHARPNESS))
        outline = [tuple(point) for point in (pixels - (left, top)) * _SHARPNESS]
        ImageDraw.Draw(mask).polygon(outline, fill=235)
        mask = mask.resize((right - left, bottom - top), Image.Resampling.BOX)
        image.paste(colour, (int(left), int(top)), mask)

    def _banner(self, image: Image.Image, text: str) -> None:
        """Write a line across the foot of the picture."""
        draw, size = ImageDraw.Draw(image, "RGBA"), 30 * self._unit
        draw.rectangle((0, self._height - size, self._width, self._height), fill=_PANEL)
        middle = (self._width / 2, self._height - size / 2)
        draw.text(middle, text, font=self._font, fill=_INK, anchor="mm")

    def _panel(self, image: Image.Image, time: float, measured: Mapping[str, float]) -> None:
        rows = [row for row in ROWS if all(name in measured for name in row.names)]
        unit, line = self._unit, 18 * self._unit
        columns = [10 * unit, 24 * unit, 96 * unit, 148 * unit, 226 * unit]
        height = line * (len(rows) + 1) + 14 * unit
        # At the top: a browser's controls cover the bottom.
        top = 12 * unit
        draw = ImageDraw.Draw(image, "RGBA")
        left = 12 * unit
        draw.rounded_rectangle((left, top, left + 312 * unit, top + height), 8 * unit, fill=_PANEL)
        y = top + 7 * unit
        draw.text((left + columns[0], y), self._title, font=self._font, fill=_INK)
        draw.text((left + 302 * unit, y), f"{time:.2f} s", font=self._font, fill=_INK, anchor="ra")
        for row in rows:
            y += line
            if row.mark:
                draw.ellipse((left + 10 * unit, y + 4 * unit, left + 18 * unit, y + 12 * unit), fill=row.mark)
            draw.text((left + columns[1], y), row.label, font=self._font, fill=_QUIET)
            for name, text, x in zip(row.names, row.formats, columns[2:], strict=False):
                draw.text((left + x, y), text.format(measured[name]), font=self._font, fill=_INK)


def _outline(length: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners of an arrow: how far along it and across it they are [m]. A short one is nothing but its head."""
    neck = max(0.0, length - _HEAD_LENGTH)
    head = _HEAD * min(1.0, length / _HEAD_LENGTH)
    shaft = min(_SHAFT, head)
    return (
        np.array([0.0, neck, neck, length, neck, neck, 0.0]),
        np.array([-shaft, -shaft, -head, 0.0, head, shaft, shaft]),
    )
