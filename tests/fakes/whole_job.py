"""A training that is killed and resumed as a user resumes it: whole jobs, one run folder each, one MLflow store.

The jobs are forked from a process that has imported everything, so that one starts within a fraction of a second.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import mlflow.tracking  # noqa: F401
from gaitway_runtime import __main__ as runtime
from gaitway_runtime.jobs import train as _train  # noqa: F401
from gaitway_runtime.learners.rsl_rl import embedded as _rsl_rl  # noqa: F401
from gaitway_runtime.learners.skrl import embedded as _skrl  # noqa: F401
from gaitway_runtime.learners.state import companion_beside
from gaitway_runtime.simulators.mujoco import env as _env  # noqa: F401
from gaitway_runtime.spec.checkpoint_files import damage_of
from gaitway_runtime.spec.files import RUN_NOTE
from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.spec.job_document import to_document
from gaitway_runtime.spec.result import RESULT_FILE, write_json
from gaitway_runtime.spec.run_context import RunContext
from gaitway_runtime.stores.mlflow_client import open_client
from gaitway_runtime.stores.tracking_server import ensure_store
from gaitway_runtime.tasks.terrain import rough_terrain
from gaitway_runtime.tracking import mlflow_tracker
from gaitway_runtime.tracking.delivery import REJECTED, Patience
from gaitway_runtime.tracking.journal import journals_below

from .weights import digest

rough_terrain()  # the same ground for every process: made once


def warm_up() -> None:
    """Do what each process would do the same: MLflow's first look at a store takes longer than these trainings."""
    from mlflow.store.db import utils

    utils._get_latest_schema_revision = functools.cache(utils._get_latest_schema_revision)
    with tempfile.TemporaryDirectory() as folder:
        open_client(ensure_store(Path(folder))).search_experiments(max_results=1)


def short_job(task: str, backend: str = "rsl_rl") -> TrainJob:
    """Return a training of a few seconds; episodes begin at a random age, so that ends and commands fall into it."""
    learning = {"rsl_rl": "algorithm.num_learning_epochs", "skrl": "learning_epochs"}[backend]
    return TrainJob(
        task=task,
        num_envs=16,
        seed=5,
        max_iterations=ITERATIONS[task],
        save_interval=1,
        backend=backend,
        skip_register_checkpoint=True,
        evaluation_share=0.0,  # when it takes place depends on the time
        overrides=("agent.torch_threads=1", f"agent.{learning}=2"),
    )


CARTPOLE, ROUGH = "Isaac-Cartpole-v0", "Isaac-Velocity-Rough-Anymal-C-v0"
ITERATIONS = {CARTPOLE: 8, ROUGH: 4}

QUICK = Patience(start=20.0, flush=0.05, first_delay=0.02, longest_delay=0.2, at_end=30.0, when_stopped=5.0)
"""Much is sent in a second, so that kills meet every part of the sending."""

VARIABLES = {"start": "CHAOS_START_S", "at_end": "CHAOS_AT_END_S"}
"""Environment variables that change it, by field."""

MEASURED = ("Perf/", "Stats / ", "(ms)", "time")
"""Metrics that are times."""


def run(job_file: Path, patience: Patience = QUICK, *, own_log: bool = True) -> NoReturn:
    """Run a job in this process, its output in the log beside it unless ``own_log`` is off."""
    if own_log:
        log = os.open(job_file.with_name("log.txt"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
    named = {name: os.environ.get(variable) for name, variable in VARIABLES.items()}
    patience = dataclasses.replace(patience, **{name: float(text) for name, text in named.items() if text})
    mlflow_tracker.Patience = functools.partial(dataclasses.replace, patience)  # type: ignore[misc, assignment]
    sys.exit(runtime.main(["--job", str(job_file)]))


@dataclass
class Course:
    """A training with all its resumes."""

    home: Path
    uri: str
    job: TrainJob
    name: str = "walker"
    context: Mapping[str, Any] = field(default_factory=dict)
    """Fields of each attempt's context beside its name and its store."""
    attempts: list[Path] = field(default_factory=list)
    """Run folders, in order."""

    def next_attempt(self) -> Path:
        """Write the job that continues from the newest checkpoint, if there is one, and return its file."""
        newest = self.newest()
        folder = self.home / "runs" / f"{self.name}-{len(self.attempts)}"
        folder.mkdir(parents=True)
        job = self.job
        if newest is not None:
            job = dataclasses.replace(job, checkpoint_uri=str(newest), checkpoint_mode="resume")
        values = {"run": folder.name, "tracking_uri": self.uri, **self.context}
        write_json(to_document(job, RunContext(**values)), folder / "job.json")
        self.attempts.append(folder)
        return folder / "job.json"

    def checkpoints(self) -> dict[int, Path]:
        found = [path for run in self.attempts for path in (run / "outputs" / "checkpoints").glob("model_*.pt")]
        return {int(path.stem.split("_")[1]): path for path in found}

    def newest(self) -> Path | None:
        found = self.checkpoints()
        return found[max(found)] if found else None

    def result(self) -> dict[str, Any]:
        """Return the last attempt's result; an empty one where it has none."""
        try:
            found: dict[str, Any] = json.loads((self.attempts[-1] / "outputs" / RESULT_FILE).read_text())
        except OSError:
            return {}
        return found

    def log(self) -> str:
        """Return what all attempts have printed; one that was killed at once has no log yet."""
        logs = [run / "log.txt" for run in self.attempts]
        return "\n".join(log.read_text(errors="replace") for log in logs if log.exists())

    def run_ids(self) -> list[str]:
        """Return MLflow's ids of the runs that the attempts have written into."""
        notes = [run / "outputs" / RUN_NOTE for run in self.attempts]
        return [json.loads(note.read_text())["run_id"] for note in notes if note.exists()]

    def metrics(self, run_id: str) -> dict[str, list[tuple[int, float]]]:
        """Return every point of every metric that is not a time, by its name."""
        client = open_client(self.uri)
        names = [name for name in client.get_run(run_id).data.metrics if not any(word in name for word in MEASURED)]
        return {name: [(p.step, p.value) for p in client.get_metric_history(run_id, name)] for name in names}

    def problems(self, whole: Whole) -> list[str]:
        """Return what a user of this training would have lost or seen twice, beside one that was never killed."""
        newest, result = self.newest(), self.result()
        if newest is None or result.get("status") != "succeeded":
            return [f"the last attempt ended as {result.get('status')}: {result.get('error')}"]
        last = self.run_ids()[-1]
        found = [] if digest(newest) == whole.digest else ["the final weights are others"]
        found += [f"{path.name}: {damage}" for path in self.checkpoints().values() if (damage := damage_of(path))]
        found += [f"{path.name} has no companion" for path in (newest,) if companion_beside(path) is None]
        found += points_that_differ(self.metrics(last), whole.metrics)
        client = open_client(self.uri)
        run = client.get_run(last)
        runs = client.search_runs([run.info.experiment_id], f"tags.`gaitway.run` LIKE '{self.name}-%'")
        ends = {one.info.run_id: one.info.status for one in runs}
        found += [f"its MLflow run is {ends.get(last)}"] * (ends.pop(last, "") != "FINISHED")
        # Killed before the first checkpoint: there was nothing to continue, so it was a run of its own.
        found += [f"an earlier MLflow run is {status}" for status in ends.values() if status != "KILLED"]
        found += ["another MLflow run has checkpoints"] * any(client.list_artifacts(id, "checkpoints") for id in ends)
        folders = ("checkpoints", "checkpoints/final")
        published = {item.path.rpartition("/")[2] for name in folders for item in client.list_artifacts(last, name)}
        found += [f"{path.name} is not published" for path in self.checkpoints().values() if path.name not in published]
        found += [f"{path} is left" for path in journals_below(self.home / "runs") if self.name in str(path)]
        found += [f"{path} is there" for path in self.home.glob(f"runs/{self.name}-*/outputs/{REJECTED}")]
        return found + (["the log has a traceback"] if "Traceback" in self.log() else [])


@dataclass(frozen=True)
class Whole:
    """A training that was not killed."""

    digest: str
    metrics: dict[str, list[tuple[int, float]]]

    @classmethod
    def of(cls, course: Course) -> Whole:
        newest = course.newest()
        assert newest is not None and course.result().get("status") == "succeeded", course.log()
        return cls(digest(newest), course.metrics(course.run_ids()[-1]))


def points_that_differ(
    found: dict[str, list[tuple[int, float]]], whole: dict[str, list[tuple[int, float]]]
) -> list[str]:
    """Return the metrics whose points are not exactly those of the training that was not killed."""
    missing = [f"{name} is missing" for name in whole if name not in found]
    differing = [name for name in found if sorted(found[name]) != sorted(whole.get(name, []))]
    return missing + [f"{name}: {_difference(found[name], whole.get(name, []))}" for name in differing]


def _difference(found: list[tuple[int, float]], whole: list[tuple[int, float]]) -> str:
    steps, wanted = [step for step, _ in found], [step for step, _ in whole]
    doubled = sorted({step for step in steps if steps.count(step) > 1})
    parts = [("missing", sorted(set(wanted) - set(steps))), ("twice", doubled)]
    return "; ".join(f"{what} {list_}" for what, list_ in parts if list_) or "other values"
