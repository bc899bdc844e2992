"""Checkpoints that an MLflow server or store knows of: of runs on platforms, of other people's runs, of models."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from typing import Any, TypeVar

from gaitway_runtime.job import RunContext, experiment_name, model_name_for
from gaitway_runtime.tracking.attempts import ATTEMPT_TAG
from gaitway_runtime.tracking.credentials import public_form
from gaitway_runtime.tracking.fetch.asking import TrackingServer
from gaitway_runtime.tracking.fetch.base import Limits
from gaitway_runtime.tracking.fetch.picking import is_checkpoint, iteration_of

from .known import Checkpoint

BACKENDS = ("rsl_rl", "skrl")
MOST_RUNS = 50
"""Runs of a task that are looked at, newest first."""
REWARD = "Train/mean_reward"

_LIMITS = Limits(attempts=3)
"""Someone is waiting at a terminal."""

T = TypeVar("T")


class TrackedRuns:
    """What a tracking server knows of checkpoints. Every method raises a GaitwayError if it cannot be asked.

    Args:
        context: Says which server.
    """

    def __init__(self, context: RunContext) -> None:
        self._server = TrackingServer.of(context, _LIMITS)
        self._client = self._server.client

    def of_run(
        self, name: str, experiment: str, *, run_id: str | None = None, platform_id: str = ""
    ) -> list[Checkpoint]:
        """Return the checkpoints of the run that gaitway called ``name``.

        Args:
            name: Its name in the ledger.
            experiment: Where it is tracked.
            run_id: MLflow's id of it, where the run has told.
            platform_id: What its platform calls it, where it has told the tracking server.
        """
        if run_id:
            return self._of_one(self._ask(self._client.get_run, run_id))
        attempts = self._search([experiment], f"tags.`{ATTEMPT_TAG}` = '{platform_id}'") if platform_id else []
        return self._of_runs(attempts or self._search([experiment], f"tags.`gaitway.run` = '{name}'"))

    def of_task(self, task: str) -> list[Checkpoint]:
        """Return the checkpoints of the newest runs of a task, and its registered models."""
        runs = self._search([experiment_name(backend, task) for backend in BACKENDS], "")
        return [*self._of_runs(runs), *self._of_model(model_name_for(task), task)]

    def _search(self, experiments: Iterable[str], condition: str) -> list[Any]:
        found = [self._ask(self._client.get_experiment_by_name, name) for name in experiments]
        ids = [experiment.experiment_id for experiment in found if experiment]
        newest_first = ["attributes.start_time DESC"]
        return list(self._ask(self._client.search_runs, ids, condition, 1, MOST_RUNS, newest_first)) if ids else []

    def _of_runs(self, runs: Iterable[Any]) -> list[Checkpoint]:
        return [checkpoint for run in runs for checkpoint in self._of_one(run)]

    def _of_one(self, run: Any) -> list[Checkpoint]:
        paths = [item.path for item in self._ask(self._client.list_artifacts, run.info.run_id, "checkpoints")]
        numbers = {path: iteration_of(path) for path in paths if is_checkpoint(path.rpartition("/")[2])}
        rewards = self._rewards(run) if numbers else {}
        return [
            Checkpoint(
                uri=f"runs:/{run.info.run_id}/{path}",
                run=run.data.tags.get("gaitway.run") or run.info.run_name,
                task=run.data.tags.get("task", ""),
                iteration=number,
                created=_time(run.info.start_time),
                platform=run.data.tags.get("gaitway.platform", ""),
                reward=_at_or_before(rewards, number),
            )
            for path, number in numbers.items()
        ]

    def _rewards(self, run: Any) -> dict[int, float]:
        if REWARD not in run.data.metrics:
            return {}
        return {
            point.step: point.value for point in self._ask(self._client.get_metric_history, run.info.run_id, REWARD)
        }

    def _of_model(self, name: str, task: str) -> list[Checkpoint]:
        found = self._ask(self._client.search_model_versions, f"name='{name}'")
        return [
            Checkpoint(
                uri=f"models:/{name}/{version.version}",
                run=version.tags.get("gaitway.run", ""),
                task=version.tags.get("task", task),
                iteration=int(version.tags["iteration"]) if version.tags.get("iteration", "").isdigit() else None,
                created=_time(version.creation_timestamp),
                platform="registry",
                model=f"models:/{name}/{version.version}",
            )
            for version in found
        ]

    def _ask(self, question: Callable[..., T], *details: Any) -> T:
        return self._server.ask(lambda: question(*details), public_form(self._server.uri))


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).isoformat(timespec="seconds")


def _at_or_before(rewards: dict[int, float], iteration: int | None) -> float | None:
    steps = [step for step in rewards if iteration is not None and step <= iteration]
    return rewards[max(steps)] if steps else None
