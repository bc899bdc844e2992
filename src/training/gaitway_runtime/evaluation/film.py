"""Content of a video, as one file that a separate process can read."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..simulators.base import EPISODE_OVER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .rollout import Recording

HELD_S = 0.6
"""Time that the last state of an episode is shown before the next begins [s]."""

DRAWERS: dict[str, str] = {
    "mujoco": "gaitway_runtime.simulators.mujoco.render.frames",
    "mujoco-warp": "gaitway_runtime.simulators.mujoco.render.frames",
    "isaaclab": "gaitway_runtime.simulators.isaaclab.replay",
}
"""Modules that draw, by simulator. Each offers ``pictures(film, backend, threads=1)``."""


@dataclass(frozen=True, kw_only=True)
class Film:
    """The recorded states of one world. T is the number of frames."""

    task: str
    simulator: str
    """Name of the simulator that draws it."""
    title: str
    snapshots: NDArray[np.float64]
    """State of each frame, (T, nq)."""
    measurements: Mapping[str, NDArray[np.float32]]
    """What the task measured at each frame, (T,) by name."""
    step_dt: float
    """Time between two frames [s]."""
    width: int = 640
    height: int = 480
    imports: tuple[str, ...] = ()
    """Modules that register the task when imported."""
    joint_names: tuple[str, ...] = ()
    """The joints whose positions a state ends with, where another simulator's model is to be moved by them."""

    @property
    def frames_per_second(self) -> float:
        """Rate at which the film shows what happened as fast as it happened."""
        return 1 / self.step_dt

    def save(self, path: Path) -> None:
        """Write the film to an ``.npz`` file."""
        names = [field.name for field in dataclasses.fields(self)]
        meta = {name: getattr(self, name) for name in names if name not in ("snapshots", "measurements")}
        arrays: dict[str, Any] = {f"measurement/{name}": values for name, values in self.measurements.items()}
        np.savez(path, **arrays, snapshots=self.snapshots, meta=np.array(json.dumps(meta)))


def load_film(path: Path) -> Film:
    """Read a film back from its file."""
    with np.load(path, allow_pickle=False) as archive:
        meta = json.loads(str(archive["meta"]))
        meta |= {name: tuple(meta.get(name, ())) for name in ("imports", "joint_names")}
        prefix = "measurement/"
        measured = {name.removeprefix(prefix): archive[name] for name in archive.files if name.startswith(prefix)}
        return Film(snapshots=archive["snapshots"], measurements=measured, **meta)


def film_of(recording: Recording, *, step_dt: float, every: int = 1, **meta: Any) -> Film:
    """Return the film of a rollout's filmed world. Where an episode ends, its last state stays for a moment.

    Args:
        recording: Step-by-step record; its snapshots are the frames.
        step_dt: Time between two control steps [s].
        every: Control steps from frame to frame.
        meta: The other fields of :class:`Film`.
    """
    frames, world = len(recording.snapshots), recording.filmed
    over = recording.done[:frames, world]
    shown = sorted({*range(0, frames, every), *np.flatnonzero(over).tolist()})
    held = round(HELD_S / (step_dt * every))
    order = [step for step in shown for _ in range(1 + held * bool(over[step]))]
    measured = {name: values[order, world] for name, values in recording.measurements.items()}
    measured[EPISODE_OVER] = over[order].astype(np.float32)
    return Film(snapshots=recording.snapshots[order], measurements=measured, step_dt=step_dt * every, **meta)
