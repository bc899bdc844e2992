"""Tracker without a server: metrics, parameters and tags in files of the output folder.

For a container whose only MLflow store would be a database that ends with it. The files travel with the outputs; the
user's side reads them from there.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path

from ..spec.files import METRICS_FILE
from ..spec.job import Job, experiment_name
from ..spec.result import write_json
from ..spec.run_context import RunContext
from .base import ModelVersion
from .registry import check_model_name

RUN_FILE = "run.json"
"""Parameters, tags, status and registered model of the run."""


class FileTracker:
    """A run in files; see :class:`~gaitway_runtime.tracking.base.Tracker`.

    Args:
        job: What is being done.
        context: The run it is part of.
        folder: The job's output folder. Metrics of an earlier attempt may lie there; each step stands in them once.
    """

    def __init__(self, job: Job, context: RunContext, folder: Path) -> None:
        self._experiment = experiment_name(job.backend, job.task)
        self._folder = folder
        self._run_id = context.run_id
        self._document: dict[str, object] = {
            "run": context.run,
            "run_id": context.run_id,
            "experiment": self._experiment,
            "kind": job.kind,
            "task": job.task,
            "status": "RUNNING",
            "params": {},
            "tags": {**context.tags},
        }
        self._started = False
        self._write()

    @property
    def run_id(self) -> str:
        """Nothing: no MLflow server knows the run."""
        return ""

    @property
    def experiment(self) -> str:
        """Name that the run's experiment would have on a server."""
        return self._experiment

    @property
    def url(self) -> str:
        """Nothing: there is no page to look at."""
        return ""

    @property
    def superseded(self) -> None:
        """Nothing: who keeps the files decides which attempt's they are."""

    def settle(self) -> None:
        """Do nothing: there is nobody to wait for."""

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Write the metrics of a step."""
        if not self._started:
            self._started = True
            self._forget_from(step)
        values = {name: float(value) if math.isfinite(value) else None for name, value in metrics.items()}
        line = json.dumps({"step": int(step), "time": round(time.time(), 3), "metrics": values})
        with (self._folder / METRICS_FILE).open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set run tags."""
        self._update("tags", tags)

    def log_params(self, params: Mapping[str, str]) -> None:
        """Set run parameters."""
        self._update("params", params)

    def publish(self, path: Path, artifact_path: str) -> str:
        """Do nothing: the file is in the outputs already; an address that another machine could read there is none."""
        return ""

    def publish_checkpoint(self, path: Path, iteration: int, *, final: bool = False) -> str:
        """Do nothing, as :meth:`publish`."""
        return ""

    def publish_companion(self, path: Path) -> None:
        """Leave the companion where it is."""

    def register_model(self, name: str, artifact_path: str, tags: Mapping[str, str]) -> ModelVersion:
        """Write down that the folder ``artifact_path`` of the outputs is a model; its version is the run's id.

        Raises:
            UsageError: The name is not valid.
        """
        version = ModelVersion(check_model_name(name), self._run_id[:12] or "1")
        self._document["registered_model"] = {"name": name, "version": version.version, "path": artifact_path} | {
            "tags": dict(tags)
        }
        self._write()
        return version

    def published(self, address: str) -> str | None:
        """Return None: nothing can be fetched from a server."""
        return None

    def close(self, status: str) -> None:
        """End the run as ``FINISHED``, ``FAILED`` or ``KILLED``; only the first call counts."""
        if self._document["status"] == "RUNNING":
            self._document["status"] = status
            self._write()

    def _forget_from(self, step: int) -> None:
        """Drop the steps that an earlier attempt had done beyond its last checkpoint: they are done again."""
        path = self._folder / METRICS_FILE
        if not path.is_file():
            return
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(line for line in lines if _step_of(line) < step), encoding="utf-8")

    def _update(self, key: str, values: Mapping[str, str]) -> None:
        known = self._document[key]
        assert isinstance(known, dict)
        known |= {name: str(value) for name, value in values.items()}
        self._write()

    def _write(self) -> None:
        write_json(self._document, self._folder / RUN_FILE)


def _step_of(line: str) -> float:
    """Return the step of a line; infinity for one that was cut off when its attempt was."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, TypeError, KeyError):
        return math.inf
