"""The tasks of the embedded simulator, by Isaac Lab's names."""

from __future__ import annotations

from ....catalog import embedded
from .ant import ANT
from .cartpole import CARTPOLE
from .cfg import Task
from .velocity import FLAT, FLAT_PLAY, ROUGH, ROUGH_PLAY

TASKS: dict[str, Task] = {task.name: task for task in (CARTPOLE, ANT, FLAT, FLAT_PLAY, ROUGH, ROUGH_PLAY)}
"""Tasks by name, ``-Play`` variants included."""


def find_task(name: str) -> Task:
    """Return a task by any of its names.

    Raises:
        UsageError: The embedded simulator has none of that name; the error names the nearest.
    """
    known = TASKS.get(name)
    return known or TASKS[_canonical(name)]


def _canonical(name: str) -> str:
    info = embedded(name)
    play = info.name.replace("-v0", "-Play-v0")
    return play if "-Play" in name and play in TASKS else info.name
