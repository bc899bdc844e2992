"""Checkpoints that an MLflow server or store knows of: of runs on platforms, of other people's runs, of models."""

from __future__ import annotations

import functools
from collections.abc import Callable, Container, Iterable, Sequence
from datetime import datetime, timezone
from typing import Any, TypeVar

from gaitway_runtime.fetch.models import is_archived
from gaitway_runtime.spec.checkpoint_files import is_checkpoint, iteration_of
from gaitway_runtime.spec.job import experiment_name, model_name_for
from gaitway_runtime.spec.learners import LEARNERS
from gaitway_runtime.spec.run_context import RunContext
from gaitway_runtime.spec.secrets import public_form
from gaitway_runtime.stores.artifacts import ArtifactFolder
from gaitway_runtime.stores.streams import StreamLimits
from gaitway_runtime.stores.tracking_server import TrackingServer
from gaitway_runtime.tracking.attempts import ATTEMPT_TAG, RUN_ID_TAG, runs_wherever

from .checkpoint import ListedCheckpoint

MOST_RUNS = 50
"""Runs of a task that are looked at, newest first."""
JOB_NAME_IS_RUN_ID = frozenset({"azureml"})
"""Platforms that give a job's MLflow run the job's own name as its id."""
REWARD = "Train/mean_reward"

_LIMITS = StreamLimits(attempts=3)
"""Someone is waiting at a terminal."""

T = TypeVar("T")


class TrackedRuns:
    """Checkpoints that a tracking server knows of. Every method raises a GaitwayError if it cannot be asked.

    Args:
        context: Says which server.
    """

    def __init__(self, context: RunContext) -> None:
        self._server = TrackingServer.of(context, _LIMITS)
        self._client = self._server.client

    def runs_of(
        self,
        name: str,
        experiment: str,
        *,
        run_id: str | None = None,
        platform: str = "",
        attempts: Sequence[str] = (),
    ) -> list[Any]:
        """Return MLflow's runs of one run of this folder's ledger, and of no other.

        A run's name is unique in one folder only; others who use the server may have runs of the same name.

        Args:
            name: Its name in the ledger.
            experiment: Experiment that it is tracked in.
            run_id: MLflow's id of it, where the run's result names it.
            platform: The platform that it runs on.
            attempts: Ids that mark the attempts at it; the last one is the platform's id.
        """
        ids = [id for id in attempts if id]
        if platform in JOB_NAME_IS_RUN_ID and ids:
            # The job's own run, and those of a pipeline's stages or of jobs before a restart, which share the run id.
            run_id, conditions = ids[-1], [f"tags.`{RUN_ID_TAG}` = '{id}'" for id in ids[:1]]
        elif run_id:
            conditions = []
        else:
            conditions = [f"tags.`{tag}` = '{id}'" for id in ids for tag in (RUN_ID_TAG, ATTEMPT_TAG)]
        found = {run.info.run_id: run for run in (self._run(run_id) if run_id else [])}
        if not ids and not run_id:  # of an older release, which knew runs by their names alone
            return self._search([experiment], f"tags.`gaitway.run` = '{name}'")
        for condition in conditions:
            more = runs_wherever(self._server, experiment, condition, most=MOST_RUNS)
            found |= {run.info.run_id: run for run in more}
        return list(found.values())

    def checkpoints_of(self, runs: Iterable[Any], known: Container[str] = ()) -> list[ListedCheckpoint]:
        """Return the checkpoints of some of MLflow's runs.

        Args:
            runs: The runs.
            known: Addresses to leave out; what costs most, a run's rewards, is asked for the others alone.
        """
        return [checkpoint for run in runs for checkpoint in self._of_one(run, known)]

    def of_task(self, task: str, known: Container[str] = ()) -> list[ListedCheckpoint]:
        """Return the checkpoints of the newest runs of a task, and its registered models.

        Args:
            task: The task.
            known: Addresses to leave out, as in :meth:`checkpoints_of`.
        """
        runs = self._search([experiment_name(backend, task) for backend in LEARNERS], "")
        return [*self.checkpoints_of(runs, known), *self._of_model(model_name_for(task), task)]

    def _run(self, run_id: str) -> list[Any]:
        """Return the run of an id, or nothing while there is none."""
        question = functools.partial(self._client.get_run, run_id)
        found = self._server.ask(question, public_form(self._server.uri), missing=lambda: None)
        return [] if found is None else [found]

    def _search(self, experiments: Iterable[str], condition: str) -> list[Any]:
        found = [self._ask(self._client.get_experiment_by_name, name) for name in experiments]
        ids = [experiment.experiment_id for experiment in found if experiment]
        newest_first = ["attributes.start_time DESC"]
        return list(self._ask(self._client.search_runs, ids, condition, 1, MOST_RUNS, newest_first)) if ids else []

    def _of_one(self, run: Any, known: Container[str]) -> list[ListedCheckpoint]:
        # The artifact repository and not the client, whose listing needs an interface that Azure ML does not have.
        address = f"runs:/{run.info.run_id}"
        folder = ArtifactFolder(run.info.artifact_uri, "", self._server, address)
        files = [entry for entry in folder.entries("checkpoints") if not entry.is_dir and is_checkpoint(entry.name)]
        numbers = {file.path: iteration_of(file.path) for file in files if f"{address}/{file.path}" not in known}
        rewards = self._rewards(run) if numbers else {}
        return [
            ListedCheckpoint(
                uri=f"{address}/{path}",
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

    def _of_model(self, name: str, task: str) -> list[ListedCheckpoint]:
        found = self._ask(self._client.search_model_versions, f"name='{name}'")
        return [
            ListedCheckpoint(
                uri=f"models:/{name}/{version.version}",
                run=version.tags.get("gaitway.run", ""),
                task=version.tags.get("task", task),
                iteration=int(version.tags["iteration"]) if version.tags.get("iteration", "").isdigit() else None,
                created=_time(version.creation_timestamp),
                platform="registry",
                model=f"models:/{name}/{version.version}",
            )
            for version in found
            if not is_archived(version)
        ]

    def _ask(self, question: Callable[..., T], *details: Any) -> T:
        return self._server.ask(lambda: question(*details), public_form(self._server.uri))


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).isoformat(timespec="seconds")


def _at_or_before(rewards: dict[int, float], iteration: int | None) -> float | None:
    steps = [step for step in rewards if iteration is not None and step <= iteration]
    return rewards[max(steps)] if steps else None
