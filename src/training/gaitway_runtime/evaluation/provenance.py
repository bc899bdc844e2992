"""Provenance of the evaluated policy: its checkpoint, and the run that made it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..policies.marker import made_by_run
from ..spec.result import EvaluatedCheckpoint
from .plots import CURVES

if TYPE_CHECKING:
    from ..fetch import Fetched
    from ..policies.checkpoint import Checkpoint
    from ..spec.job import Job
    from ..spec.run_context import RunContext
    from ..tracking.store_process import StoreProcess

Remembered = tuple[Mapping[str, str], Mapping[str, Sequence[tuple[float, float]]]]
"""Tags of a run, and its training curves by metric."""

PAYLOAD_TAG, COMMIT_TAG = "gaitway.payload_sha256", "gaitway.commit"
"""Tags by which a run says what code it ran."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Provenance:
    """A fetched checkpoint and what is remembered of its training."""

    fetched: Fetched
    checkpoint: Checkpoint
    """The fetched file, opened."""
    run_id: str | None = None
    """MLflow run that made it."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags of the run that made it; empty where there is none or it cannot be asked."""
    history: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    """Its training curves, ``(iteration, value)`` pairs by metric."""

    def evaluated(self) -> EvaluatedCheckpoint:
        """Return the checkpoint as the job's result names it."""
        return EvaluatedCheckpoint(uri=self.fetched.resolved_uri, sha256=self.fetched.sha256)

    def lines(self) -> dict[str, str]:
        """Return the lines of a report that say where the policy comes from."""
        known = {
            "checkpoint": self.fetched.resolved_uri,
            "checkpoint SHA-256": self.fetched.sha256,
            "training run": self.run_id,
            "payload SHA-256 of the training": self.tags.get(PAYLOAD_TAG),
            "commit of the training": self.tags.get(COMMIT_TAG),
            "training seed": self.tags.get("seed"),
            "trained in": self.tags.get("simulator"),
        }
        return {label: value for label, value in known.items() if value}


def fetch_with_provenance(
    uri: str, job: Job, context: RunContext, into: Path, store: StoreProcess | None = None
) -> Provenance:
    """Fetch a checkpoint and what the tracking server remembers of its training.

    Args:
        uri: The checkpoint's address.
        job: The job; its expected hash is checked.
        context: The run the job is part of; it knows the tracking server.
        into: Folder for the file.
        store: Process that has begun to import MLflow.

    Raises:
        GaitwayError: The checkpoint cannot be fetched or is none. A training run that cannot be asked is no error.
    """
    from ..policies.checkpoint import open_checkpoint
    from ..tracking.store_process import fetch_beside

    fetched = fetch_beside(store, uri, into, expected_sha256=job.checkpoint_sha256, context=context)
    log.info("checkpoint: %s%s", fetched.resolved_uri, f" ({fetched.note})" if fetched.note else "")
    # A file that was named by its path still knows which run made it.
    checkpoint = open_checkpoint(fetched.path, fetched.config_folders)
    run_id = fetched.run_id or made_by_run(checkpoint.entries)
    if run_id is None:
        return Provenance(fetched, checkpoint)
    return Provenance(fetched, checkpoint, run_id, *_remembered(run_id, context, store))


def _remembered(run_id: str, context: RunContext, store: StoreProcess | None) -> Remembered:
    """Return tags and training curves of a run: from the file of a store on this machine, else as MLflow tells them."""
    from ..spec.files import database_path
    from ..stores.local_history import read_history, read_tags
    from ..stores.tracking_server import tracking_uri_for
    from ..tracking.store_process import beside

    uri = tracking_uri_for(context)
    names = [name for _, alternatives in CURVES for name in alternatives]
    database = database_path(uri)
    tags = read_tags(database, run_id) if database else None
    history = read_history(database, run_id) if database else None
    if tags is not None and history is not None:
        return tags, {name: history[name] for name in names if name in history}
    return beside(store, _asked, uri, run_id, names)


def _asked(uri: str, run_id: str, names: Sequence[str]) -> Remembered:
    """Return what MLflow says of a run: its tags, and the metrics of some names."""
    from ..stores.mlflow_client import Failure, StoreFailure, attempt, open_client

    client = open_client(uri)
    try:
        tags = dict(attempt(lambda: client.get_run(run_id)).data.tags)
        histories = {name: attempt(partial(client.get_metric_history, run_id, name)) for name in names}
    except StoreFailure as failure:
        if failure.kind is Failure.UNKNOWN:  # a file that was trained elsewhere, such as a sample
            log.info("its training, MLflow run %s, is not in this store: the report has no curves of it", run_id)
        else:
            log.warning("nothing is known of the training run %s: %s", run_id, failure)
        return {}, {}
    return tags, {name: [(point.step, point.value) for point in points] for name, points in histories.items() if points}
