"""The job ``infer``: export a checkpoint, prove the exports equal to it, play each in simulation.

One broken format does not hide the other: each goes its own way to its end, then the job fails with what failed.
"""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import GaitwayError, Interrupted, JobFailed, UsageError
from ..evaluation import plots
from ..evaluation.diagnosis import diagnose
from ..evaluation.metrics import Metrics, inference_time, summarize
from ..evaluation.report import FORMAT_TITLES, Played, Report
from ..evaluation.rollout import run_steps
from ..evaluation.video import Filming
from ..job import InferJob, Job, RunContext
from ..policies.export import export_policy
from ..policies.parity import measure
from ..policies.sessions import open_session
from ..result import Result, write_json
from .base import Workspace
from .evaluating import (
    Scene,
    finish_filming,
    finish_report,
    log_numbers,
    now,
    open_scene,
    publish_outputs,
    start_filming,
    step_reporter,
    tracked,
)

if TYPE_CHECKING:
    from ..evaluation.rollout import Rollout

log = logging.getLogger(__name__)

FORMATS: dict[str, tuple[str, ...]] = {"onnx": ("onnx",), "jit": ("jit",), "both": ("onnx", "jit")}
"""Export formats by ``--format``."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one format did; what is missing follows from ``error``."""

    format: str
    rollout: Rollout | None = None
    metrics: Metrics | None = None
    filming: Filming | None = None
    error: GaitwayError | None = None


def run(job: Job, context: RunContext, workspace: Workspace) -> Result:
    """See :meth:`.base.JobModule.run`."""
    assert isinstance(job, InferJob)
    if job.checkpoint_uri is None:
        raise UsageError("infer needs a checkpoint", source="--checkpoint-uri", hint="gaitway checkpoints")
    with (
        open_scene(job, context, workspace, job.checkpoint_uri, job.num_envs) as scene,
        contextlib.ExitStack() as films,
    ):
        outcomes = [_attempt(scene, job, name, films) for name in FORMATS[job.format]]
        return _conclude(scene, outcomes)


def _attempt(scene: Scene, job: InferJob, name: str, stack: contextlib.ExitStack) -> Outcome:
    """Take one format to its end; what goes wrong with it stays with it."""
    try:
        return _play(scene, job, name, stack)
    except (Interrupted, KeyboardInterrupt):
        raise
    except GaitwayError as error:
        failure: GaitwayError = error
    except Exception as error:  # noqa: BLE001 - exporters and runtimes raise anything; the other format shall go on
        traceback.print_exc()
        failure = JobFailed(f"{type(error).__name__}: {error}")
    log.error("%s: %s", FORMAT_TITLES[name], failure.message)
    return Outcome(format=name, error=failure)


def _play(scene: Scene, job: InferJob, name: str, stack: contextlib.ExitStack) -> Outcome:
    """Export one format, play it, start its video, compare it with the checkpoint."""
    progress, subject, fetched = scene.workspace.progress, scene.subject, scene.origin.fetched
    progress.phase(f"export {name}")
    source = {"checkpoint": fetched.resolved_uri, "checkpoint_sha256": fetched.sha256, "run_id": scene.origin.run_id}
    files = export_policy(subject.policy, subject.home, scene.folder / "exported", (name,), source=source)
    session = open_session(files[name])
    progress.phase(f"play {name}")
    rollout = run_steps(
        scene.env,
        subject.actor(session),
        job.max_steps,
        seed=job.seed,
        snapshots=job.video_length,
        on_step=step_reporter(scene.workspace),
    )
    filming = None
    if job.video_length:
        filming = start_filming(scene, name, rollout)
        stack.callback(filming.close)
    parity = measure(subject.policy, {name: session}, subject.observed(rollout.watch.observations))
    metrics = summarize(
        rollout,
        format=name,
        simulator=scene.env.contract.simulator,
        inference=inference_time(
            rollout.act_seconds, batch=job.num_envs, provider=session.provider, threads=session.threads
        ),
        parity=parity.as_dict(),
    )
    write_json(metrics.document(), scene.folder / "metrics" / f"{name}_metrics.json")
    error = None
    try:
        parity.require()
    except JobFailed as disagreement:
        error = disagreement
    return Outcome(format=name, rollout=rollout, metrics=metrics, filming=filming, error=error)


def _conclude(scene: Scene, outcomes: Sequence[Outcome]) -> Result:
    """Track, report and return what the formats came to."""
    failure = _failure(outcomes)
    scene.workspace.progress.phase("report")
    with tracked(scene, failed=failure is not None) as tracker:
        for outcome in outcomes:
            if outcome.metrics:
                log_numbers(tracker, outcome.metrics.document(), f"{outcome.format}/")
        finish_report(lambda: _report(scene, outcomes, failure), scene.folder)
        artifacts = publish_outputs(tracker, scene.folder)
    return Result(
        kind=scene.job.kind,
        task=scene.job.task,
        status="failed" if failure else "succeeded",
        exit_code=failure.exit_code if failure else 0,
        error=failure.as_dict() if failure else None,
        experiment=tracker.experiment,
        mlflow_run_id=tracker.run_id or None,
        metrics={
            outcome.format: outcome.metrics.document() if outcome.metrics else {"error": str(outcome.error)}
            for outcome in outcomes
        },
        passed=failure is None,
        artifacts=artifacts,
        simulator=scene.simulator,
    )


def _failure(outcomes: Sequence[Outcome]) -> GaitwayError | None:
    """Return one error for all formats that failed."""
    broken = [outcome for outcome in outcomes if outcome.error]
    if not broken:
        return None
    if len(broken) == len(outcomes) == 1 and broken[0].error:
        return broken[0].error
    message = "; ".join(f"{FORMAT_TITLES[outcome.format]}: {outcome.error}" for outcome in broken)
    whole = [FORMAT_TITLES[outcome.format] for outcome in outcomes if not outcome.error]
    return JobFailed(message, hint=f"{', '.join(whole)} is whole" if whole else None)


def _report(scene: Scene, outcomes: Sequence[Outcome], failure: GaitwayError | None) -> Report:
    rollout = next((outcome.rollout for outcome in outcomes if outcome.rollout), None)
    titles = [FORMAT_TITLES[outcome.format] for outcome in outcomes]
    whole = f"{' and '.join(titles)} compute{'s' * (len(titles) == 1)} what the checkpoint does"
    return Report(
        title="Inference",
        task=scene.job.task,
        run=scene.context.run,
        created=now(),
        passed=failure is None,
        headline=failure.message if failure else f"{whole}, measured on observations of this rollout.",
        played=tuple(
            Played(
                format=outcome.format,
                metrics=outcome.metrics,
                video=finish_filming(outcome.filming) if outcome.filming else None,
                error=outcome.error.message if outcome.error else None,
            )
            for outcome in outcomes
        ),
        findings=diagnose(rollout, scene.subject) if rollout else (),
        plots=_figures(scene, rollout),
        contract=scene.subject.home,
        provenance=scene.provenance(),
    )


def _figures(scene: Scene, rollout: Rollout | None) -> tuple[plots.Plot, ...]:
    folder = scene.folder / "plots"
    drawn = [plots.training_curves(scene.origin.history, folder)]
    if rollout is not None:
        drawn = [plots.traces(rollout, folder), plots.reward_terms(rollout.reward_terms, folder), *drawn]
    return tuple(plot for plot in drawn if plot)
