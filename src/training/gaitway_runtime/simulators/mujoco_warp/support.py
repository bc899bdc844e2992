"""What of the embedded simulator's tasks MuJoCo-Warp cannot step here."""

from __future__ import annotations

from ...spec.errors import UsageError
from ...tasks.environment import EnvCfg


def check_task(task: EnvCfg) -> None:
    """Check that MuJoCo-Warp steps a task as MuJoCo does.

    Of a foot's contacts with a height field MuJoCo-Warp keeps two or three where MuJoCo keeps up to seven, and one
    physics step then differs by 0.1 rad/s and more.

    Raises:
        UsageError: It does not; nothing of a task is left out.
    """
    if task.terrain:
        raise UsageError(
            "on rough ground MuJoCo-Warp keeps other contacts than MuJoCo, so it steps no task there",
            source="--simulator mujoco-warp",
            allowed="tasks on flat ground",
            hint="--simulator mujoco",
        )
