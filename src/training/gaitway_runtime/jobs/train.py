"""The job ``train``: learn a task, publish checkpoints as they are completed, register the final model."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import catalog, team
from ..job import Job, RunContext, TrainJob, model_name_for, normalize_checkpoint_mode
from ..learners import base as learners
from ..result import Result, write_json
from ..simulators import base as simulators
from .base import Workspace
from .finishing import Trained, finish
from .together import common_start, follow, of_rank, should_stop
from .tracked import tracked_run

if TYPE_CHECKING:
    from ..simulators.base import Env
    from ..tracking.base import Tracker

log = logging.getLogger(__name__)

DEFAULT_SCALE = catalog.LocalScale(num_envs=256, max_iterations=150, save_interval=50, why="")
"""For tasks that the catalog does not list: those that a user's own module registers."""


def run(job: Job, context: RunContext, workspace: Workspace) -> Result:
    """See :meth:`.base.JobModule.run`."""
    assert isinstance(job, TrainJob)
    simulator = simulators.choose(job.simulator)
    job = of_rank(earlier_attempt(job, context) if workspace.rank.first else job, workspace)
    model_name = registered_name(job)
    workspace.progress.phase("starting")
    with (
        contextlib.closing(
            simulators.load(simulator).open_env(job, num_envs=job.num_envs, training=True, seed=job.seed)
        ) as env,
        # After the simulator: some have to be started before anything of torch is imported.
        team.joined(),
    ):
        learner = learners.load(job.backend, native=isinstance(env, simulators.TrainsNatively))
        job = with_scale(job, env)
        origin = fetch_origin(job, context, workspace) if workspace.rank.first else None
        start = common_start(origin.start if origin else None, workspace)
        learner.check(job, env, start)
        workspace.stop.check()
        if origin is None:
            return follow(job, learner, env, start, workspace)
        with tracked_run(job, context, workspace.output_dir, run_id=origin.run_id) as tracker:
            contract_sha256 = describe(tracker, job, workspace, env, origin)
            hooks = TrainHooks(tracker, workspace)
            workspace.progress.phase("train")
            outcome = learner.train(job, env, start, workspace.output_dir, hooks, {"run_id": tracker.run_id})
            team.leave()
            trained = Trained(
                job=job,
                workspace=workspace,
                tracker=tracker,
                outcome=outcome,
                metrics=hooks.metrics,
                uris=hooks.uris,
                simulator=simulator,
                contract_sha256=contract_sha256,
            )
            return finish(trained, model_name)


def with_scale(job: TrainJob, env: Env) -> TrainJob:
    """Return the job with the iterations and the save interval that its task has where the user named none.

    Isaac Lab's tasks bring their own; those of the embedded simulator have them in the catalog.
    """
    if isinstance(env, simulators.TrainsNatively):
        scale: simulators.Native | catalog.LocalScale = env.native(job.backend)
    else:
        info = catalog.find(job.task)
        scale = info.local if info else DEFAULT_SCALE
    return dataclasses.replace(
        job,
        max_iterations=job.max_iterations or scale.max_iterations,
        save_interval=job.save_interval or scale.save_interval,
    )


def earlier_attempt(job: TrainJob, context: RunContext) -> TrainJob:
    """Return a job that goes on from an earlier attempt at it, where the platform has started it again."""
    from ..tracking.attempts import resumed

    # A platform that keeps checkpoints itself has already named the newest.
    restored = job.checkpoint_uri is not None and Path(job.checkpoint_uri).is_file()
    return job if restored else resumed(job, context)


def registered_name(job: TrainJob) -> str | None:
    """Return the name to register the final model under, or None where it shall not be registered.

    Raises:
        UsageError: The name is not valid; said before hours of training, not after.
    """
    from ..tracking.registry import check_model_name

    if job.skip_register_checkpoint:
        return None
    return check_model_name(job.register_checkpoint or model_name_for(job.task))


@dataclass(frozen=True)
class Origin:
    """Where a training starts from."""

    start: learners.Start
    uri: str | None = None
    """The checkpoint's address, as concrete as it can be said."""
    run_id: str | None = None
    """MLflow run to continue."""


def fetch_origin(job: TrainJob, context: RunContext, workspace: Workspace) -> Origin:
    """Fetch the checkpoint that the job starts from, if any.

    Raises:
        GaitwayError: It cannot be fetched, is not what was expected, or is not a checkpoint.
    """
    mode = normalize_checkpoint_mode(job.checkpoint_mode)
    if job.checkpoint_uri is None:
        return Origin(learners.Start(mode=mode))
    from ..learners.checkpoints import read_start
    from ..tracking.fetch import fetch

    workspace.progress.phase("fetching the checkpoint")
    fetched = fetch(
        job.checkpoint_uri,
        workspace.output_dir / "start",
        expected_sha256=job.checkpoint_sha256,
        context=context,
    )
    saved = read_start(fetched.path)
    run_id = (fetched.run_id or saved.run_id) if mode == "resume" else None
    note = f": {fetched.note}" if fetched.note else ""
    log.info("%s from %s (iteration %s)%s", mode, fetched.resolved_uri, saved.iteration, note)
    return Origin(learners.Start(mode=mode, checkpoint=fetched.path), fetched.resolved_uri, run_id)


def describe(tracker: Tracker, job: TrainJob, workspace: Workspace, env: Env, origin: Origin) -> str:
    """Write on the run what is being done and with what; return the SHA-256 of the policy contract."""
    from ..evaluation.metrics import versions

    contract = env.contract.to_json(indent=None)
    digest = hashlib.sha256(contract.encode()).hexdigest()
    write_json(json.loads(contract), workspace.output_dir / "params" / "contract.json")
    tags = {
        "seed": job.seed,
        "simulator": env.contract.simulator,
        "num_envs": job.num_envs,
        "processes": workspace.rank.world,
        "checkpoint_mode": origin.start.mode,
        "gaitway.contract_sha256": digest,
        **({"gaitway.started_from": origin.uri} if origin.uri else {}),
        **{f"gaitway.version.{name}": version for name, version in versions().items()},
    }
    tracker.set_tags({name: str(value) for name, value in tags.items()})
    if origin.run_id is None:
        # A parameter cannot change: a continued run keeps those it began with.
        tracker.log_params({name: str(value) for name, value in dataclasses.asdict(job).items() if value is not None})
    return digest


class TrainHooks:
    """Carries what the learner tells to the tracker and to the progress display."""

    def __init__(self, tracker: Tracker, workspace: Workspace) -> None:
        self.metrics: Mapping[str, float] = {}
        """Those of the last iteration."""
        self.uris: dict[int, str] = {}
        """Address of each published checkpoint, by iteration."""
        self._tracker = tracker
        self._workspace = workspace

    def on_iteration(self, iteration: int, total: int, steps: int, metrics: Mapping[str, float]) -> None:
        """See :meth:`.Hooks.on_iteration`."""
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
        """See :meth:`.Hooks.on_checkpoint`."""
        self.uris[iteration] = self._tracker.publish_checkpoint(path, iteration)

    def should_stop(self) -> bool:
        """See :meth:`.Hooks.should_stop`."""
        return should_stop(self._workspace)
