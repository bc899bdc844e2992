"""Going on where an earlier attempt at the same job was cut off: evicted, preempted, its node lost.

A platform that starts a job again gives all attempts one name in common, which is a tag of their MLflow runs; or it
opens the MLflow run itself, and all attempts share that one.
"""

from __future__ import annotations

import dataclasses
import logging
import os
from typing import Any

from ..errors import GaitwayError
from ..job import RunContext, TrainJob, experiment_name
from .client import one_line, open_client
from .registry import CHECKPOINT_SUFFIXES
from .server import tracking_uri_for

ATTEMPT_TAG = "gaitway.attempt_of"
"""Run tag that all attempts at one job share."""

_log = logging.getLogger(__name__)


def managed_run_id() -> str | None:
    """Return the MLflow run that the platform has opened for this job, if it did."""
    return os.environ.get("MLFLOW_RUN_ID") or os.environ.get("AZUREML_RUN_ID")


def resumed(job: TrainJob, context: RunContext) -> TrainJob:
    """Return a training that goes on from the newest checkpoint of an earlier attempt; the same job if there is none.

    A tracking server that does not answer is no reason not to train: the job then begins as it was asked to.
    """
    attempt, shared = context.tags.get(ATTEMPT_TAG), managed_run_id()
    if not attempt and not shared:
        return job
    from mlflow.exceptions import MlflowException

    try:
        client = open_client(tracking_uri_for(context))
        if shared:
            run_id = shared if _has_checkpoint(client, shared) else None
        else:
            run_id = _earlier_run(client, experiment_name(job.backend, job.task), str(attempt))
    except (GaitwayError, MlflowException, OSError) as error:
        _log.warning("earlier attempts cannot be looked for: %s", one_line(error))
        return job
    if run_id is None:
        return job
    _log.info("an earlier attempt at this job is MLflow run %s; going on from its newest checkpoint", run_id)
    uri = f"runs:/{run_id}/checkpoints"
    return dataclasses.replace(job, checkpoint_uri=uri, checkpoint_sha256=None, checkpoint_mode="resume")


def _earlier_run(client: Any, experiment: str, attempt: str) -> str | None:
    """Return the newest run of an attempt that has left a checkpoint."""
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return None
    quoted = attempt.replace("'", "")
    runs = client.search_runs(
        [found.experiment_id],
        filter_string=f"tags.`{ATTEMPT_TAG}` = '{quoted}'",
        order_by=["attributes.start_time DESC"],
        max_results=5,
    )
    return next((run.info.run_id for run in runs if _has_checkpoint(client, run.info.run_id)), None)


def _has_checkpoint(client: Any, run_id: str) -> bool:
    return any(item.path.endswith(CHECKPOINT_SUFFIXES) for item in client.list_artifacts(run_id, "checkpoints"))
