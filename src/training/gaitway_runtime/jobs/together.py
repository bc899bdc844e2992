"""What training is to the processes beside the first: the same start, the same iterations, nothing to tell."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .. import team
from ..errors import Interrupted
from ..job import TrainJob
from ..learners.base import Start
from ..result import Result
from .base import Workspace

if TYPE_CHECKING:
    from ..learners.base import LearnerModule
    from ..simulators.base import Env


def of_rank(job: TrainJob, workspace: Workspace) -> TrainJob:
    """Return the job as this process does it: with a seed of its own, so that no two see the same episodes."""
    return dataclasses.replace(job, seed=job.seed + workspace.rank.number)


def common_start(start: Start | None, workspace: Workspace) -> Start:
    """Return the first process's start to all, with a copy of the very file.

    Args:
        start: Where the first process starts from; None in the others.
        workspace: Gets the copy.
    """
    checkpoint = start.checkpoint if start else None
    mine = {"mode": start.mode, "name": checkpoint.name if checkpoint else ""} if start else {}
    told = json.loads(team.share(json.dumps(mine).encode()))
    content = team.share(checkpoint.read_bytes() if checkpoint else b"")
    if start is not None:
        return start
    if not told["name"]:
        return Start(mode=told["mode"])
    copy = workspace.output_dir / "start" / told["name"]
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(content)
    return Start(mode=told["mode"], checkpoint=copy)


def should_stop(workspace: Workspace) -> bool:
    """Return whether any process was asked to stop: all then stop at the same iteration."""
    agreed = team.agree(workspace.stop.requested)
    if agreed:
        workspace.stop.request("another process was asked to")
    # Not what is requested by now: a signal after the question would stop this process alone.
    return agreed


def follow(job: TrainJob, learner: LearnerModule, env: Env, start: Start, workspace: Workspace) -> Result:
    """Train with the first process, which alone tells of it.

    Raises:
        Interrupted: All were asked to stop: a platform that starts one of them again shall start them all.
    """
    outcome = learner.train(job, env, start, workspace.output_dir, _SilentHooks(workspace), {})
    team.leave()
    if outcome.stopped:
        # Some launchers end the first process, which still saves, as soon as another one reports a stop.
        team.await_first()
        raise Interrupted(f"the training was stopped ({workspace.stop.reason})")
    return Result(kind=job.kind, task=job.task, status="succeeded")


class _SilentHooks:
    """See :class:`.Hooks`."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def on_iteration(self, iteration: int, total: int, steps: int, metrics: Mapping[str, float]) -> None:
        """See :meth:`.Hooks.on_iteration`."""

    def on_checkpoint(self, path: Path, iteration: int) -> None:
        """See :meth:`.Hooks.on_checkpoint`."""

    def should_stop(self) -> bool:
        """See :meth:`.Hooks.should_stop`."""
        return should_stop(self._workspace)
