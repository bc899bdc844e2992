"""A tracker that writes down what it is told, in a file that outlives the process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gaitway_runtime.spec.errors import GaitwayError
from gaitway_runtime.spec.job import Job
from gaitway_runtime.spec.run_context import RunContext
from gaitway_runtime.tracking.base import ModelVersion

FILE = "tracked.jsonl"


class RecordingTracker:
    """See :class:`gaitway_runtime.tracking.base.Tracker`.

    Args:
        folder: The job's output folder; ``tracked.jsonl`` lies beside it.
        run_id: Run to continue; a new one when None.
        registry: What the registry answers when it refuses.
    """

    def __init__(self, folder: Path, run_id: str | None = None, registry: GaitwayError | None = None) -> None:
        self.run_id = run_id or f"new-{folder.parent.name}"
        self.experiment = "isaaclab-rsl-rl-fake"
        self.superseded: GaitwayError | None = None
        self.url = f"http://127.0.0.1:5000/#/runs/{self.run_id}"
        self._file = folder.parent / FILE
        self._registry = registry
        self._add("open", self.run_id)

    def settle(self) -> None:
        """There is nobody to wait for."""

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        self._add("metrics", step, dict(metrics))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        self._add("tags", dict(tags))

    def log_params(self, params: Mapping[str, str]) -> None:
        self._add("params", dict(params))

    def publish(self, path: Path, artifact_path: str) -> str:
        assert path.exists()
        self._add("publish", path.name, artifact_path)
        return f"runs:/{self.run_id}/{artifact_path}/{path.name}"

    def publish_checkpoint(self, path: Path, iteration: int, *, final: bool = False) -> str:
        folder = "checkpoints/final" if final else "checkpoints"
        self._add("checkpoint", path.name, iteration, folder)
        return f"runs:/{self.run_id}/{folder}/{path.name}"

    def publish_companion(self, path: Path) -> None:
        assert path.exists()
        self._add("companion", path.name)

    def register_model(self, name: str, artifact_path: str, tags: Mapping[str, str]) -> ModelVersion:
        if self._registry:
            raise self._registry
        self._add("register", name, artifact_path, dict(tags))
        return ModelVersion(name, "1")

    def published(self, address: str) -> str | None:
        return address

    def close(self, status: str) -> None:
        self._add("close", status)

    def _add(self, what: str, *values: Any) -> None:
        with self._file.open("a") as stream:
            stream.write(json.dumps([what, *values]) + "\n")


def open_tracker(
    job: Job, context: RunContext, *, run_id: str | None = None, output_dir: Path | None = None, **_: object
) -> RecordingTracker:
    """Stand in for :func:`gaitway_runtime.tracking.mlflow_tracker.open_tracker`."""
    return RecordingTracker(output_dir or Path(context.output_dir), run_id)


def told(folder: Path, what: str) -> list[Any]:
    """Return what a tracker beside ``folder/outputs`` was told of one kind, in order."""
    records = [json.loads(line) for line in (folder / FILE).read_text().splitlines()]
    return [values if len(values) > 1 else values[0] for kind, *values in records if kind == what]
