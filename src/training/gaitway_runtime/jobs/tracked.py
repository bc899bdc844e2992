"""The tracked run around a job's work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Interrupted
from ..job import Job, RunContext
from ..tracking import mlflow_tracker

if TYPE_CHECKING:
    from ..tracking.base import Tracker


@contextlib.contextmanager
def tracked_run(job: Job, context: RunContext, output_dir: Path, *, run_id: str | None = None) -> Iterator[Tracker]:
    """Open the job's MLflow run and say so in the log; what is raised inside closes it as what it was.

    Args:
        job: The job.
        context: The run it is part of.
        output_dir: The job's output folder.
        run_id: MLflow run to continue.
    """
    tracker = mlflow_tracker.open_tracker(job, context, run_id=run_id, output_dir=output_dir)
    mlflow_tracker.announce(tracker)
    try:
        yield tracker
    except (Interrupted, KeyboardInterrupt):
        tracker.close("KILLED")
        raise
    except BaseException:
        tracker.close("FAILED")
        raise
