"""Frame of a training with a learning library, the same for every library and every kind of environment."""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import pkgutil
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from ..distributed.group import available_cpus
from ..policies.marker import MARKER_KEY
from ..simulators.base import KeepsState, Stateful, StateTree, TrainsNatively
from ..spec.checkpoint_files import sha256_of
from ..spec.job import TrainJob
from .base import Callbacks, LearnerTraining, Mark, TrainingOutcome, TrainingScale
from .checkpoints import SavedTraining, already_reached, check_learner, check_resumable
from .late_compiler import put_off
from .monitor import Monitor, TrainingStopped
from .state import StateUnusable, TrainingIdentity, check_fits, pack, random_state, set_random_state, subtree

if TYPE_CHECKING:
    from ..simulators.base import Env

log = logging.getLogger(__name__)

WITHOUT_STATE = (
    "the training continues from the checkpoint alone: weights, normalisers, optimiser, learning rate and iteration go "
    "on; worlds, commands, curriculum levels and random streams start anew"
)
"""Effect of a resume without a companion, for the log."""

TENSORBOARD = "tensorboard"
"""Folder of the event files that a learning library writes itself, in the job's output folder."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """One training of a library, ready to begin."""

    training: LearnerTraining
    monitor: Monitor
    marks: Mapping[str, Mark]
    first: int
    """The iteration to begin with, counted from zero."""
    total: int
    """Iterations to reach."""

    @property
    def job(self) -> TrainJob:
        """The job."""
        return self.training.job

    @property
    def env(self) -> Env:
        """The training environment."""
        return self.training.env

    @property
    def saved(self) -> SavedTraining | None:
        """Checkpoint to load first."""
        return self.training.start.saved

    @property
    def resumed(self) -> bool:
        """Whether to load everything in the checkpoint, or only weights and normalisers."""
        return self.training.start.mode == "resume"

    @property
    def save_interval(self) -> int:
        """Iterations between checkpoints; only the last one is saved where the job names none."""
        return self.job.save_interval or self.total

    def keep_state(self, learner: Stateful) -> bool:
        """Save a companion with every checkpoint from now on, and restore the one that the training resumes from.

        The last thing before the library's loop: nothing may draw a random number in between.

        Args:
            learner: What the library's objects hold beside the checkpoint.

        Returns:
            Whether a state was restored; the log says what of it, or why there is none.
        """
        env = self.env
        if not isinstance(env, KeepsState):
            return False
        parts: dict[str, Stateful] = {"learner": learner, "env": env}

        def state() -> StateTree:
            return {**{name: part.training_state() for name, part in parts.items()}, "random": random_state()}

        @functools.cache
        def identity() -> TrainingIdentity:
            return TrainingIdentity.of(self.training)

        restored = self.resumed and self._restore(parts, state, identity(), env.not_restored)
        self.monitor.keep_state(lambda: pack(state()), identity)
        return restored

    def _restore(
        self, parts: Mapping[str, Stateful], state: Callable[[], StateTree], here: TrainingIdentity, missing: str
    ) -> bool:
        """Restore the companion in every process, or in none."""
        start, rank = self.training.start, self.training.group.rank
        problem, name = start.no_state, start.state.path.name if start.state else ""
        saved: StateTree = {}
        if start.state and start.saved:
            try:
                start.state.check(here, sha256_of(start.saved.path))
                saved = start.state.ranks[rank.number]
                check_fits(saved, state())
            except StateUnusable as error:
                problem = f"{name} is not used: {error}"
        if self.training.group.agree(not saved):
            log.warning("%s; %s", problem or "another process cannot use its part of the companion", WITHOUT_STATE)
            return False
        for part, keeper in parts.items():
            keeper.load_training_state(subtree(saved, part))
        set_random_state(subtree(saved, "random"))
        others = start.state.other_libraries(here) if start.state else ""
        if missing:
            log.warning("restored %s; not restored: %s", name, missing)
        elif others:
            log.warning("restored %s; the last bits may differ: %s", name, others)
        else:
            log.info("restored %s: the training continues bit for bit", name)
        return True

    def steps(self) -> int:
        """Return the environment steps done so far, those before a resume included."""
        return self.env.env_steps


class LibraryRun(Protocol):
    """A library's part of one training: its configuration for a job and an environment, and its loop."""

    @property
    def config(self) -> object:
        """The library's configuration, a dataclass or a mapping, written to ``params/agent.yaml``."""
        ...

    @property
    def notes(self) -> Mapping[str, object]:
        """What else a reader of ``params/agent.yaml`` should know, as plain values."""
        ...

    @property
    def steps_per_iteration(self) -> int:
        """Environment steps of one iteration, over all worlds."""
        ...

    @property
    def threads(self) -> int | None:
        """Most threads for the networks; None leaves it to torch."""
        ...

    def check_start(self, saved: SavedTraining) -> None:
        """Check that a checkpoint of this library fits the networks.

        Raises:
            UsageError: It does not.
        """
        ...

    def learn(self, session: Session) -> None:
        """Load the checkpoint if there is one, attach the monitor, and run the library's loop.

        Raises:
            TrainingStopped: The training was asked to stop, and has saved.
        """
        ...

    def own_marks(self, iteration: int) -> dict[str, Mark]:
        """Return what a checkpoint of this iteration says of its policy."""
        ...

    def scale(self) -> TrainingScale | None:
        """Return the scale of the settings that the task itself brings; None where it brings none."""
        ...


@dataclass(frozen=True)
class LibraryLearner:
    """A learner made of a learning library; see :class:`.base.Learner`."""

    name: str
    """Name in the table of learners, and first word of its checkpoints' family."""
    optimizer_key: str
    """Entry of a checkpoint that holds the optimiser."""
    embedded: str
    """Class of a training on the embedded simulator, as ``module:Class``; imported when it is used."""
    native: str
    """Class of a training on an environment that brings its own settings, likewise."""
    prepare: str | None = None
    """Function that is called with the rank before anything of the library is imported, likewise."""

    def set_up(self, training: LearnerTraining) -> LibraryRun:
        """Configure the library for a training.

        Raises:
            UsageError: An override is unknown, or a value does not fit.
        """
        if self.prepare:
            pkgutil.resolve_name(self.prepare)(training.group.rank)
        place = self.native
        if not isinstance(training.env, TrainsNatively):
            place = self.embedded
            put_off()  # before the library, which imports torch's compiler for nothing
        run: LibraryRun = pkgutil.resolve_name(place)(training)
        return run

    def check(self, training: LearnerTraining) -> None:
        """See :meth:`.base.Learner.check`."""
        run = self.set_up(training)
        saved = training.start.saved
        if saved is None:
            return
        check_learner(saved, self.name)
        run.check_start(saved)
        if training.start.mode == "resume":
            check_resumable(saved, self.optimizer_key)

    def scale(self, training: LearnerTraining) -> TrainingScale | None:
        """See :meth:`.base.ReadsTaskScale.scale`."""
        return self.set_up(training).scale()

    def horizon(self, training: LearnerTraining) -> int:
        """See :meth:`.base.TellsHorizon.horizon`."""
        return self.set_up(training).steps_per_iteration // training.env.num_envs

    def train(self, training: LearnerTraining, callbacks: Callbacks, marks: Mapping[str, Mark]) -> TrainingOutcome:
        """See :meth:`.base.Learner.train`."""
        run, job, env = self.set_up(training), training.job, training.env
        _write_agent_yaml(job, run, training.output_dir)
        total, saved = job.max_iterations or 1, training.start.saved
        resumed = saved if training.start.mode == "resume" else None
        first = resumed.next_iteration if resumed else 0
        if resumed and first >= total:
            return already_reached(resumed, training.output_dir)
        seed_everything(job.seed + first, run.threads)
        before = resumed.env_steps if resumed else 0
        env.env_steps = before = first * run.steps_per_iteration if before is None else before
        monitor = Monitor(
            callbacks,
            training.output_dir / "checkpoints",
            first=first,
            total=total,
            group=training.group,
            started_from=saved.path if saved else None,
        )
        session = Session(training=training, monitor=monitor, marks=marks, first=first, total=total)
        began, stopped = time.monotonic(), False
        try:
            run.learn(session)
        except TrainingStopped:
            stopped = True
        path, iteration = monitor.newest()
        return TrainingOutcome(
            iterations=iteration + 1,
            steps=env.env_steps - before,
            seconds=time.monotonic() - began,
            final_checkpoint=path,
            final_iteration=iteration,
            stopped=stopped,
        )


def marked(run: LibraryRun, session: Session, iteration: int) -> dict[str, dict[str, Mark]]:
    """Return the entry of a checkpoint that says what its policy is and how far the training was."""
    return {MARKER_KEY: {**run.own_marks(iteration), **session.marks}}


def seed_everything(seed: int, threads: int | None = None) -> None:
    """Seed every generator that training draws from, and fix the thread count, on which results depend too.

    Args:
        seed: Any whole number that is not negative.
        threads: Most threads for the networks; never more than there are cores to run on. None leaves it to torch.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    if threads is not None:
        torch.set_num_threads(max(1, min(threads, available_cpus())))


def _write_agent_yaml(job: TrainJob, run: LibraryRun, output_dir: Path) -> None:
    """Write ``params/agent.yaml``: what is trained with, as plain YAML that any reader loads safely."""
    document = {
        "seed": job.seed,
        "max_iterations": job.max_iterations,
        "save_interval": job.save_interval,
        **run.notes,
        **_plain(run.config),
    }
    _write_yaml(document, output_dir / "params" / "agent.yaml")


def write_env_yaml(task_config: Mapping[str, object], output_dir: Path) -> None:
    """Write the configuration of a task that has its own, as Isaac Lab's scripts do."""
    _write_yaml(_plain(task_config), output_dir / "params" / "env.yaml")


def _write_yaml(document: Mapping[str, object], path: Path) -> None:
    import yaml

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def _plain(config: Any) -> dict[str, object]:
    """Return a configuration as a safe loader reads it: tuples as lists, functions and classes by their names."""
    values = dict(config) if isinstance(config, Mapping) else dataclasses.asdict(config)
    plain: dict[str, object] = json.loads(json.dumps(values, default=str))
    return plain
