"""The job ``train``: trains a task, publishes checkpoints as they are completed, registers the final model."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..distributed.group import Rank, join
from ..learners import base as learners
from ..learners.base import LearnerTraining, Mark, TrainingStart
from ..process.machine import free_memory
from ..simulators import base as simulators
from ..spec import catalog
from ..spec.checkpoint_files import companion_of
from ..spec.job import Job, TrainJob, model_name_for, normalize_checkpoint_mode
from ..spec.result import Result, versions, write_json
from ..spec.run_context import RunContext
from ..stores.streams import MissingFile, UnreadableFile
from .base import (
    Workspace,
    common_start,
    fetch_checkpoint,
    settle,
    should_stop,
    tracked_run,
    train_beside_rank_zero,
    with_rank_seed,
)
from .finishing import Trained, finish

if TYPE_CHECKING:
    from ..fetch import Fetched
    from ..learners.base import Learner
    from ..tracking.base import Tracker
    from .interim import InterimEvaluations

LARGEST_ENVIRONMENT = 1 << 20
"""More than an environment of any task here takes [bytes]: with so much for each nobody needs to count."""
TRAINING_OVER_SAMPLES = 7
"""Memory of a training over that of what an iteration collects: 4.5 to 7.1 (``benchmarks/scaling.py``)."""
SHARE_OF_MEMORY = 0.9
"""Part of the free memory that a training may take."""

log = logging.getLogger(__name__)


def run(job: Job, context: RunContext, workspace: Workspace) -> Result:
    """See :meth:`.base.JobModule.run`."""
    assert isinstance(job, TrainJob)
    rank, asked = workspace.rank, job
    job = with_rank_seed(earlier_attempt(job, context) if rank.first else job, rank)
    model_name = registered_name(job)
    workspace.progress.phase("starting")
    job = with_room(job, rank, workspace.output_dir)
    with (
        contextlib.closing(
            simulators.load(job.simulator).open_env(job, num_envs=job.num_envs, training=True, seed=job.seed)
        ) as env,
        # After the simulator: some have to be started before anything of torch is imported.
        join(rank) as group,
    ):
        learner = learners.load(job.backend)
        training = LearnerTraining(job=job, env=env, output_dir=workspace.output_dir, group=group)
        training = with_scale(training, learner)
        start = first_start(training.job, asked, context, workspace) if rank.first else None
        training = dataclasses.replace(training, start=common_start(start, group, workspace.output_dir / "start"))
        learner.check(training)
        workspace.stop.check()
        if not rank.first:
            return train_beside_rank_zero(training, learner, workspace)
        with tracked_run(
            job,
            context,
            workspace.output_dir,
            run_id=training.start.run_id,
            store=workspace.store,
            wait=workspace.store is None,
        ) as tracker:
            return finish(_train(training, learner, tracker, workspace), model_name)


def _train(training: LearnerTraining, learner: Learner, tracker: Tracker, workspace: Workspace) -> Trained:
    """Train on rank 0, which tracks and publishes."""
    contract_sha256 = describe(tracker, training, workspace)
    _publish_start(training.start, tracker)
    workspace.progress.phase("train")
    marks = RunMarks(tracker, settled=workspace.store is None)
    with contextlib.closing(TrackingCallbacks(training, tracker, workspace, marks)) as callbacks:
        outcome = learner.train(training, callbacks, marks)
    marks.settle()
    training.group.leave()
    return Trained(
        job=training.job,
        workspace=workspace,
        tracker=tracker,
        outcome=outcome,
        metrics=callbacks.metrics,
        evaluation=callbacks.evaluation,
        uris=callbacks.uris,
        contract_sha256=contract_sha256,
    )


def _publish_start(start: TrainingStart, tracker: Tracker) -> None:
    """Publish the checkpoint that a run continues from: its attempt may have been killed before it could."""
    saved = start.saved
    if saved is None or saved.iteration is None or start.run_id is None or start.uri != str(saved.path):
        return  # no run is continued, or the checkpoint was fetched from where it is published
    if companion_of(saved.path.name):
        tracker.publish_checkpoint(saved.path, saved.iteration)


def with_scale(training: LearnerTraining, learner: Learner) -> LearnerTraining:
    """Return the training with the iterations and the save interval of its task where the user named none.

    Isaac Lab's tasks bring their own; those of the embedded simulator have them in the catalog.
    """
    job, scale = training.job, None
    if isinstance(learner, learners.ReadsTaskScale):
        scale = learner.scale(training)
    if scale is None:
        info = catalog.find(job.task)
        local = info.local if info else catalog.DEFAULT_SCALE
        scale = learners.TrainingScale(local.max_iterations, local.save_interval)
    job = dataclasses.replace(
        job,
        max_iterations=job.max_iterations or scale.max_iterations,
        save_interval=job.save_interval or scale.save_interval,
    )
    return dataclasses.replace(training, job=job)


def earlier_attempt(job: TrainJob, context: RunContext) -> TrainJob:
    """Return a job that continues from an earlier attempt at it, where the platform has started it again."""
    from ..tracking.attempts import resumed

    # A platform that keeps checkpoints itself has already named the newest.
    restored = job.checkpoint_uri is not None and Path(job.checkpoint_uri).is_file()
    return job if restored else resumed(job, context)


def registered_name(job: TrainJob) -> str | None:
    """Return the name to register the final model under, or None where it is not to be registered.

    Raises:
        UsageError: The name is not valid; said before hours of training, not after.
    """
    from ..tracking.registry import check_model_name

    if job.skip_register_checkpoint:
        return None
    return check_model_name(job.register_checkpoint or model_name_for(job.task))


def first_start(job: TrainJob, asked: TrainJob, context: RunContext, workspace: Workspace) -> TrainingStart:
    """Fetch and open what the job starts from.

    Args:
        job: The job, which continues from an earlier attempt where there was one.
        asked: The job as it was asked for: it begins so where nothing that the earlier attempt has left can be read,
            as the first checkpoint of a node that was taken away while it wrote it.
        context: The run.
        workspace: Gets the files.

    Raises:
        GaitwayError: See :func:`fetch_start`.
    """
    try:
        return fetch_start(job, context, workspace)
    except (UnreadableFile, MissingFile) as error:
        if job.checkpoint_uri == asked.checkpoint_uri:
            raise
        log.warning("no checkpoint of the earlier attempt can be read (%s): the job begins anew", error.message)
        return fetch_start(asked, context, workspace)


def fetch_start(job: TrainJob, context: RunContext, workspace: Workspace) -> TrainingStart:
    """Fetch and open the checkpoint that the job starts from, if any.

    Raises:
        GaitwayError: It cannot be fetched, is not what was expected, or is not a checkpoint.
    """
    mode = normalize_checkpoint_mode(job.checkpoint_mode)
    if job.checkpoint_uri is None:
        return TrainingStart(mode=mode)
    from ..learners.checkpoints import open_saved

    workspace.progress.phase("fetching the checkpoint")
    fetched = fetch_checkpoint(job.checkpoint_uri, job, context, workspace)
    saved = open_saved(fetched.path)
    run_id = (fetched.run_id or saved.run_id) if mode == "resume" else None
    note = f": {fetched.note}" if fetched.note else ""
    log.info("%s from %s (iteration %s)%s", mode, fetched.resolved_uri, saved.iteration, note)
    start = TrainingStart(mode=mode, saved=saved, uri=fetched.resolved_uri, run_id=run_id)
    return _with_state(start, fetched, job, context, workspace) if mode == "resume" else start


def _with_state(
    start: TrainingStart, fetched: Fetched, job: TrainJob, context: RunContext, workspace: Workspace
) -> TrainingStart:
    """Return a start with its checkpoint's companion, or with the reason why there is none."""
    from ..fetch.companions import fetch_companion
    from ..learners.state import StateUnusable, open_state
    from ..tracking.store_process import beside, for_address

    asked = for_address(workspace.store, fetched.resolved_uri)
    path = beside(asked, fetch_companion, fetched, job.checkpoint_uri, fetched.path.parent, context)
    if path is None:
        return dataclasses.replace(start, no_state=f"{fetched.path.name} has no companion")
    try:
        return dataclasses.replace(start, state=open_state(path))
    except StateUnusable as error:
        return dataclasses.replace(start, no_state=f"{path.name} is not used: {error}")


def describe(tracker: Tracker, training: LearnerTraining, workspace: Workspace) -> str:
    """Write tags and parameters of the training on its run; return the SHA-256 of the policy contract."""
    job, env, start = training.job, training.env, training.start
    contract = env.contract.to_json(indent=None)
    digest = hashlib.sha256(contract.encode()).hexdigest()
    write_json(json.loads(contract), workspace.output_dir / "params" / "contract.json")
    tags = {
        "seed": job.seed,
        "simulator": env.contract.simulator,
        **({"gaitway.started_from": start.uri} if start.uri else {}),
        **{f"gaitway.version.{name}": version for name, version in versions().items()},
    }
    tracker.set_tags({name: str(value) for name, value in tags.items()})
    if start.run_id is None:
        # A parameter cannot change: a continued run keeps those it began with.
        values = {**dataclasses.asdict(job), "processes": workspace.rank.world}
        tracker.log_params({name: str(value) for name, value in values.items() if value is not None})
    return digest


class RunMarks(Mapping[str, Mark]):
    """Marks of a run's checkpoints: MLflow's id of it, which the first one waits for.

    Args:
        tracker: Tracker of the run.
        settled: Whether the run's opening has been waited for already.
    """

    def __init__(self, tracker: Tracker, *, settled: bool) -> None:
        self._tracker, self._settled = tracker, settled

    def settle(self) -> None:
        """Wait until the run is open; only the first call does anything.

        Raises:
            ConfigError: The tracking server refuses this job.
        """
        if not self._settled:
            self._settled = True
            settle(self._tracker)

    def __getitem__(self, name: str) -> Mark:
        """Return a mark."""
        if name != "run_id":
            raise KeyError(name)
        self.settle()
        return self._tracker.run_id

    def __iter__(self) -> Iterator[str]:
        return iter(("run_id",))

    def __len__(self) -> int:
        return 1


class TrackingCallbacks:
    """Callbacks that log to the tracker and to the progress display; see :class:`..learners.base.Callbacks`."""

    def __init__(self, training: LearnerTraining, tracker: Tracker, workspace: Workspace, marks: RunMarks) -> None:
        self.metrics: Mapping[str, float] = {}
        """Those of the last iteration."""
        self.uris: dict[int, str] = {}
        """Address of each published checkpoint, by iteration."""
        self._tracker = tracker
        self._marks = marks
        self._workspace = workspace
        self._job = training.job
        self._group = training.group
        self._interim: InterimEvaluations | None = None

    def on_policy(self, iteration: int, write: Callable[[Path], None]) -> None:
        """See :meth:`.LooksAtPolicy.on_policy`."""
        if self._interim is None:
            from .interim import (
                InterimEvaluations,  # all of the evaluation, which the first iteration need not wait for
            )

            self._interim = InterimEvaluations(self._job, self._workspace, self._tracker)
        self._interim.look(iteration, write)

    @property
    def evaluation(self) -> Mapping[str, float]:
        """What the newest interim evaluation measured; empty where there was none."""
        return self._interim.newest if self._interim else {}

    def close(self) -> None:
        """End the interim evaluations."""
        if self._interim:
            self._interim.close()

    def on_iteration(self, iteration: int, total: int, steps: int, metrics: Mapping[str, float]) -> None:
        """See :meth:`.Callbacks.on_iteration`."""
        self.metrics = {**self.metrics, **metrics}
        self._tracker.log_metrics(metrics, iteration)
        self._workspace.progress.report(
            iteration + 1,
            total,
            steps=steps * self._workspace.rank.world,
            reward=metrics.get("Train/mean_reward", math.nan),
            episode_length=metrics.get("Train/mean_episode_length", math.nan),
        )

    def on_checkpoint(self, path: Path, iteration: int) -> None:
        """See :meth:`.Callbacks.on_checkpoint`."""
        from ..learners.state import companion_beside

        self._marks.settle()  # what is published has an address then
        companion = companion_beside(path)
        if companion is not None:
            # First: a checkpoint that is in the store has its companion there, whenever this process is killed.
            self._tracker.publish_companion(companion)
        self.uris[iteration] = self._tracker.publish_checkpoint(path, iteration)

    def should_stop(self) -> bool:
        """See :meth:`.Callbacks.should_stop`."""
        if self._tracker.superseded:
            self._workspace.stop.request(self._tracker.superseded.message)
        return should_stop(self._workspace, self._group)


def with_room(job: TrainJob, rank: Rank, output_dir: Path) -> TrainJob:
    """Return the job with fewer environments where memory does not hold as many as it asks for, and say so.

    The kernel promises more than there is, and kills without a word who takes it.
    """
    if job.simulator != "mujoco" or rank.several:
        return job
    free = int(SHARE_OF_MEMORY * free_memory())
    if not free or job.num_envs * LARGEST_ENVIRONMENT <= free:  # none is told where there is no /proc
        return job
    each = _size_of_one(job, output_dir)
    fits = max(1, free // each) if each else job.num_envs
    if fits >= job.num_envs:
        return job
    log.warning(
        "memory holds about %d of the %d environments that are asked for (%.1f GiB are free, each takes about %d KiB): "
        "training with %d",
        *(fits, job.num_envs, free / SHARE_OF_MEMORY / 2**30, each >> 10, fits),
    )
    return dataclasses.replace(job, num_envs=fits)


def _size_of_one(job: TrainJob, output_dir: Path) -> int:
    """Return about what one environment and its samples take [bytes]; 0 where the learner does not tell."""
    one = dataclasses.replace(job, num_envs=1)
    with contextlib.closing(
        simulators.load(job.simulator).open_env(one, num_envs=1, training=True, seed=job.seed)
    ) as env:
        learner = learners.load(job.backend)
        if not isinstance(learner, learners.TellsHorizon):
            return 0
        steps = learner.horizon(LearnerTraining(job=one, env=env, output_dir=output_dir))
        # Of each step observations, actions, what drew them, and eight numbers such as reward, value and advantage.
        numbers = sum(env.observation_sizes.values()) + 3 * env.num_actions + 8
        return 4 * steps * numbers * TRAINING_OVER_SAMPLES
