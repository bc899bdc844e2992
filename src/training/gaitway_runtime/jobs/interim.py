"""Interim evaluations: the numbers that a policy will be judged by, and a film of it, while it trains."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..distributed.group import available_cpus
from ..evaluation.course import course, recorded_curve
from ..evaluation.film import film_of
from ..evaluation.subject import read_subject
from ..evaluation.validation import Validation, evaluate
from ..evaluation.video import Filming, available_backends
from ..learners.state import random_state, set_random_state
from ..simulators import base as simulators
from ..spec.job import EMBEDDED, TrainJob
from ..spec.registry import ForeignError, call_foreign
from ..tracking.base import Tracker
from .base import Workspace

if TYPE_CHECKING:
    from ..evaluation.rollout import Recording
    from ..simulators.base import Env

log = logging.getLogger(__name__)

EPISODES = 16
EXPECTED_S = 2e-3
"""Time of a control step of all episodes together before any was measured [s]; measured of the walking robots."""
FILM_FOLDER = "videos/training"
FILM_SIZE = (320, 240)
FILM_S = 4.0
"""Simulated time that a film shows [s]."""
FILM_RATE = 12.5
"""Most frames a second."""
FILM_EXPECTED_S = 4.0
"""Processor time of a film before one was measured [s]."""
PREFIX = "Evaluation/"
"""What stands before the judged metrics' own names among the tracked ones."""


class TimeShare:
    """A share of the time since the training began, and what has been taken of it.

    Args:
        share: Largest share; 0 for nothing.
        expected: What the first taking is expected to cost [s].
        clock: Source of time [s].
    """

    def __init__(self, share: float, expected: float, clock: Callable[[], float]) -> None:
        self._share, self._expected, self._clock = share, expected, clock
        self._began = clock()
        self.taken = 0.0
        """Time taken so far [s]."""

    def allows(self) -> bool:
        """Whether as much as the last time can be taken without exceeding the share."""
        return self.taken + self._expected <= self._share * (self._clock() - self._began)

    def take(self, seconds: float) -> None:
        """Note what was taken [s]."""
        self.taken += seconds
        self._expected = seconds


class InterimEvaluations:
    """Evaluations of a policy while it trains, as the gate will evaluate it, over a few episodes.

    They leave the training as it is: environment and random streams are of their own, and the global generators are
    put back. An evaluation that cannot be made is said once and is then left out.

    Args:
        job: The training.
        workspace: Where films and reports go.
        tracker: Gets the metrics.
        clock: Source of time [s].
    """

    def __init__(
        self, job: TrainJob, workspace: Workspace, tracker: Tracker, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._job, self._workspace, self._tracker, self._clock = job, workspace, tracker, clock
        self._curve = recorded_curve(job)
        self._time: TimeShare | None = None
        # Films are drawn by a process that gives way; they take of the processor time of all cores.
        cores = available_cpus()
        self._film_time = TimeShare(job.evaluation_share * cores if job.films else 0.0, FILM_EXPECTED_S, clock)
        self._env: Env | None = None
        self._filming: Filming | None = None
        self._off = job.simulator not in EMBEDDED or not job.evaluation_share
        self.newest: dict[str, float] = {}
        """What the newest evaluation measured, by the names that the gate uses."""

    def look(self, iteration: int, write: Callable[[Path], None]) -> None:
        """Evaluate the policy as it is now, if the time allows it.

        Args:
            iteration: The last iteration that was done.
            write: Writes the policy's checkpoint to the path it is given.
        """
        if self._off:
            return
        self._collect_film()
        share = self._time or self._begin()
        if not share.allows():
            return
        began = self._clock()
        try:
            validation = call_foreign(lambda: self._evaluate(write))
        except ForeignError as error:
            if not self._workspace.stop.requested:
                log.warning("the policy is not evaluated while it trains: %s", error)
                self._off = True
            return
        share.take(self._clock() - began)
        self._report(iteration, validation)
        if self._job.films and self._filming is None and self._film_time.allows():
            self._film(iteration, validation.rollout.recording, validation.rollout.step_dt)

    def close(self) -> None:
        """Give up the film that is being drawn, and free the environment."""
        if self._filming is not None:
            self._filming.close()
        if self._env is not None:
            self._env.close()
        self._filming, self._env, self._off = None, None, True

    def _begin(self) -> TimeShare:
        """Start to count time: with the first iteration done, not with the start of the process."""
        from ..spec import catalog

        info = catalog.find(self._job.task)
        steps = info.control_hz * info.episode_length_s if info else 1000.0
        self._time = TimeShare(self._job.evaluation_share, EXPECTED_S * steps, self._clock)
        return self._time

    def _evaluate(self, write: Callable[[Path], None]) -> Validation:
        job = self._job
        checkpoint = self._workspace.output_dir / "checkpoints" / "evaluated.pt.partial"  # no reader takes it for one
        with _same_random_streams():
            try:
                write(checkpoint)
                if self._env is None:
                    module = simulators.load(job.simulator)
                    self._env = module.open_env(job, num_envs=EPISODES, training=False, seed=job.seed)
                subject = read_subject(checkpoint, self._env.contract)
            finally:
                checkpoint.unlink(missing_ok=True)
            frames = round(FILM_S / self._env.step_dt) if job.films else 0
            return evaluate(
                self._env,
                subject,
                episodes=EPISODES,
                seed=job.seed,
                snapshots=frames,
                on_step=lambda done, total: self._workspace.stop.check(),
            )

    def _report(self, iteration: int, validation: Validation) -> None:
        metrics = validation.metrics
        known = {
            "mean_reward": metrics.mean_reward,
            "mean_episode_length": metrics.mean_episode_length,
            "survival_rate": metrics.survival_rate,
            "success_rate": validation.verdict.success_rate,
            **metrics.measurements,
        }
        self.newest = {
            "iteration": iteration + 1.0,
            **{name: value for name, value in known.items() if value is not None},
        }
        self._tracker.log_metrics(
            {PREFIX + name: value for name, value in self.newest.items() if name != "iteration"}, iteration
        )
        reward = self.newest.get("mean_reward")
        words = course(self._curve, iteration, reward) if reward is not None else ""
        self._workspace.progress.judged(self.newest, words)

    def _film(self, iteration: int, recording: Recording, step_dt: float) -> None:
        every = max(1, round(1 / (FILM_RATE * step_dt)))
        film = film_of(
            recording,
            every=every,
            task=self._job.task,
            simulator=self._job.simulator,
            title=f"iteration {iteration + 1}",
            step_dt=step_dt,
            imports=self._job.imports,
            width=FILM_SIZE[0],
            height=FILM_SIZE[1],
        )
        self._filming = Filming(
            film,
            self._workspace.output_dir / FILM_FOLDER,
            available_backends()[:1],
            name=f"iteration_{iteration + 1:06}.mp4",
            gives_way=True,
        )

    def _collect_film(self) -> None:
        """Publish the film that has been drawn, if it has."""
        filming = self._filming
        if filming is None or not filming.done:
            return
        self._filming = None
        video = filming.result()
        if video.path is None:
            log.warning("there are no films of the training: %s", video.reason)
            self._job = dataclasses.replace(self._job, films=False)
            return
        self._film_time.take(video.cpu_s)
        self._tracker.publish(video.path, FILM_FOLDER)


@contextlib.contextmanager
def _same_random_streams() -> Iterator[None]:
    """Put the global random generators back to where they were."""
    before = random_state()
    try:
        yield
    finally:
        set_random_state(before)
