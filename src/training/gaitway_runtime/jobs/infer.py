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

from ..evaluation import plots
from ..evaluation.diagnosis import diagnose
from ..evaluation.gate import Assessment, assess, worst
from ..evaluation.metrics import RolloutMetrics, inference_time, summarize
from ..evaluation.report import Played, Report, format_title
from ..evaluation.rollout import run_steps
from ..evaluation.video import Filming
from ..policies.export import export_policy
from ..policies.parity import measure
from ..policies.sessions import open_session
from ..spec.errors import GaitwayError, GateFailed, Interrupted, JobFailed, UsageError
from ..spec.export_formats import formats_of
from ..spec.job import InferJob, Job
from ..spec.registry import ForeignError, call_foreign
from ..spec.result import GateVerdict, Result, write_json
from ..spec.run_context import RunContext
from .base import Workspace
from .evaluating import (
    EvaluationScene,
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


@dataclass(frozen=True, kw_only=True)
class FormatOutcome:
    """Result of one format; what is missing follows from ``error``."""

    format: str
    rollout: Rollout | None = None
    metrics: RolloutMetrics | None = None
    filming: Filming | None = None
    gate: Assessment | None = None
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
        outcomes = [_attempt(scene, job, name, films) for name in formats_of(job.format)]
        return _conclude(scene, outcomes)


def _attempt(scene: EvaluationScene, job: InferJob, name: str, stack: contextlib.ExitStack) -> FormatOutcome:
    """Take one format to its end; what goes wrong with it stays with it."""
    try:
        # Exporters and runtimes raise anything; the other format is done all the same.
        return call_foreign(lambda: _play(scene, job, name, stack))
    except ForeignError as error:
        failure = _failure_of(error)
    log.error("%s: %s", format_title(name), failure.message)
    return FormatOutcome(format=name, error=failure)


def _failure_of(error: ForeignError) -> GaitwayError:
    """Return what one format met as an error of ours.

    Raises:
        Interrupted: The job was asked to stop.
    """
    if isinstance(error.cause, Interrupted):
        raise error.cause
    if isinstance(error.cause, GaitwayError):
        return error.cause
    traceback.print_exception(error.cause)
    return JobFailed(str(error))


def _play(scene: EvaluationScene, job: InferJob, name: str, stack: contextlib.ExitStack) -> FormatOutcome:
    """Export one format, play it, start its video, compare it with the checkpoint."""
    progress, subject, fetched = scene.workspace.progress, scene.subject, scene.provenance.fetched
    progress.phase(f"export {name}")
    source = {
        "checkpoint": fetched.resolved_uri,
        "checkpoint_sha256": fetched.sha256,
        "run_id": scene.provenance.run_id,
    }
    files = export_policy(subject.policy, subject.home, scene.folder / "exported", (name,), source=source)
    session = open_session(files[name])
    progress.phase(f"play {name}")
    rollout = run_steps(
        scene.env,
        subject.actor(session),
        max(job.max_steps, scene.env.max_episode_length) if job.gate else job.max_steps,
        seed=job.seed,
        snapshots=job.video_length,
        # The formats compute the same: their films show different worlds.
        filmed=formats_of(job.format).index(name),
        on_step=step_reporter(scene.workspace),
    )
    filming = None
    if job.video_length:
        filming = start_filming(scene, name, rollout)
        stack.callback(filming.close)
    parity = measure(subject.policy, {name: session}, subject.observed(rollout.recording.observations))
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
    gate = assess(scene.env.task, rollout, metrics)
    return FormatOutcome(format=name, rollout=rollout, metrics=metrics, filming=filming, gate=gate, error=error)


def _conclude(scene: EvaluationScene, outcomes: Sequence[FormatOutcome]) -> Result:
    """Track, report and return what the formats came to."""
    failure = _failure(outcomes)
    gate = worst([outcome.gate for outcome in outcomes if outcome.gate])
    refused = _refused(scene, gate) if failure is None else None
    scene.workspace.progress.phase("report")
    with tracked(scene, failed=bool(failure or refused)) as tracker:
        for outcome in outcomes:
            if outcome.metrics:
                log_numbers(tracker, outcome.metrics.document(), f"{outcome.format}/")
        tracker.set_tags({"exports_equal": str(failure is None).lower(), "gate": gate.verdict.value})
        finish_report(lambda: _report(scene, outcomes, failure, gate), scene.folder)
        artifacts = publish_outputs(tracker, scene.folder)
    error = failure or refused
    return Result(
        kind=scene.job.kind,
        task=scene.job.task,
        status="failed" if error else "succeeded",
        exit_code=error.exit_code if error else 0,
        error=error.as_dict() if error else None,
        experiment=tracker.experiment,
        mlflow_run_id=tracker.run_id or None,
        metrics={
            outcome.format: outcome.metrics.document() if outcome.metrics else {"error": str(outcome.error)}
            for outcome in outcomes
        },
        passed=failure is None and gate.verdict is not GateVerdict.NOT_MET,
        exports_equal=failure is None,
        gate=gate.verdict.value,
        artifacts=artifacts,
        simulator=scene.job.simulator,
        evaluated_checkpoint=scene.provenance.evaluated(),
    )


def _refused(scene: EvaluationScene, gate: Assessment) -> GateFailed | None:
    """Return the error of a gate that was asked for and is not met, or cannot be judged."""
    assert isinstance(scene.job, InferJob)
    if not scene.job.gate or gate.verdict is GateVerdict.MET:
        return None
    word = "is not met" if gate.verdict is GateVerdict.NOT_MET else "cannot be judged"
    return GateFailed(f"the policy's gate {word}: {'; '.join(gate.reasons)}", source="--gate")


def _failure(outcomes: Sequence[FormatOutcome]) -> GaitwayError | None:
    """Return one error for all formats that failed."""
    broken = [outcome for outcome in outcomes if outcome.error]
    if not broken:
        return None
    if len(broken) == len(outcomes) == 1 and broken[0].error:
        return broken[0].error
    message = "; ".join(f"{format_title(outcome.format)}: {outcome.error}" for outcome in broken)
    whole = [format_title(outcome.format) for outcome in outcomes if not outcome.error]
    return JobFailed(message, hint=f"{', '.join(whole)} is whole" if whole else None)


def _report(
    scene: EvaluationScene, outcomes: Sequence[FormatOutcome], failure: GaitwayError | None, gate: Assessment
) -> Report:
    rollout = next((outcome.rollout for outcome in outcomes if outcome.rollout), None)
    try:
        figures = _figures(scene, rollout)  # while the films are drawn
    finally:  # they are there also where there is nothing to draw plots with
        videos = [finish_filming(outcome.filming) if outcome.filming else None for outcome in outcomes]
    titles = [format_title(outcome.format) for outcome in outcomes]
    whole = f"{' and '.join(titles)} compute{'s' * (len(titles) == 1)} what the checkpoint does"
    return Report(
        title="Inference",
        task=scene.job.task,
        run=scene.context.run,
        created=now(),
        exports_equal=failure is None,
        gate=gate.verdict,
        headline=f"{failure.message if failure else whole}. {_gate_sentence(gate)}",
        played=tuple(
            Played(
                format=outcome.format,
                metrics=outcome.metrics,
                video=video,
                error=outcome.error.message if outcome.error else None,
            )
            for outcome, video in zip(outcomes, videos, strict=True)
        ),
        findings=diagnose(rollout, scene.subject) if rollout else (),
        plots=figures,
        contract=scene.subject.home,
        provenance=scene.provenance_lines(),
    )


def _gate_sentence(gate: Assessment) -> str:
    title = "The gate is not judged" if gate.verdict is GateVerdict.NOT_JUDGED else gate.verdict.value.capitalize()
    return f"{title}: {'; '.join(gate.reasons)}." if gate.reasons else f"{title}."


def _figures(scene: EvaluationScene, rollout: Rollout | None) -> tuple[plots.Plot, ...]:
    folder = scene.folder / "plots"
    drawn = [plots.training_curves(scene.provenance.history, folder)]
    if rollout is not None:
        drawn = [plots.traces(rollout, folder), plots.reward_terms(rollout.reward_terms, folder), *drawn]
    return tuple(plot for plot in drawn if plot)
