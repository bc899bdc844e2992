"""Trainings that are killed at random instants and resumed end as one that was not: weights, metrics, MLflow run."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import time
from multiprocessing import forkserver
from pathlib import Path

import pytest
from gaitway_runtime.learners import state as states
from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.stores.tracking_server import ensure_store

from tests.fakes import whole_job
from tests.fakes.whole_job import CARTPOLE, ROUGH, Course, Whole, short_job

KILLS = 10
"""Kills of each task with each learner: 20 of a task."""
DEATHS = 4
"""Most kills of one training before it is left alone until its end."""
ROOT = Path(__file__).parents[3]
FORKED = multiprocessing.get_context("forkserver")


@pytest.fixture(scope="module", autouse=True)
def _server_that_has_imported_everything() -> None:
    FORKED.set_forkserver_preload(["tests.fakes.whole_job_server"])
    with pytest.MonkeyPatch.context() as patch:
        # The server itself does not look where pytest does.
        patch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT / "src" / "training"), str(ROOT / "src"), str(ROOT))))
        patch.setenv("OMP_WAIT_POLICY", "PASSIVE")
        patch.setenv("OMP_NUM_THREADS", "1")
        forkserver.ensure_running()
        first = FORKED.Process(target=int)  # comes back once everything is imported: trainings are timed
        first.start()
        first.join()


def train(course: Course, kill_after: float | None = None) -> bool:
    """Begin the next attempt; return whether it came to its end before it was killed."""
    process = FORKED.Process(target=whole_job.run, args=(course.next_attempt(),))
    process.start()
    process.join(kill_after)
    if process.exitcode is None:
        process.kill()
    process.join()
    assert process.exitcode in (0, -9), course.log()
    return process.exitcode == 0


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["rsl_rl", "skrl"])
@pytest.mark.parametrize("task", [CARTPOLE, ROUGH])
def test_a_training_killed_at_random_instants_ends_as_one_that_was_not(task: str, backend: str, home: Path) -> None:
    job, uri = short_job(task, backend), ensure_store(home)
    whole, began = Course(home, uri, job, "whole"), time.monotonic()
    assert train(whole)
    duration, wanted = time.monotonic() - began, Whole.of(whole)
    dice, kills = random.Random(f"{task} {backend}"), 0
    for number in itertools.count():
        killed, deaths = Course(home, uri, job, f"killed{number}"), 0
        while not train(killed, dice.uniform(0.0, duration) if kills < KILLS and deaths < DEATHS else None):
            kills, deaths = kills + 1, deaths + 1
        assert killed.problems(wanted) == []
        if kills == KILLS:
            return


def test_the_state_of_512_rough_worlds_is_small(home: Path) -> None:
    job = TrainJob(
        task=ROUGH,
        num_envs=512,
        seed=5,
        max_iterations=1,
        skip_register_checkpoint=True,
        overrides=("agent.num_steps_per_env=2", "agent.torch_threads=1"),
    )
    course = Course(home, ensure_store(home), job)
    assert train(course)
    newest = course.newest()
    assert newest is not None
    companion = states.companion_beside(newest)
    assert companion is not None
    assert companion.stat().st_size < 40e6
