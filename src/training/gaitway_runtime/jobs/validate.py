"""The job ``validate``: play a policy's episodes and judge them by its task's gate."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Sequence

from ..evaluation import plots
from ..evaluation.gate import CONFIDENCE, successes
from ..evaluation.report import Played, Report
from ..evaluation.sweep import Point, run_sweep, sweep_table
from ..evaluation.validation import EPISODES_FILE, Validation, evaluate, explain
from ..evaluation.video import Filming
from ..simulators import base as simulators
from ..spec.errors import GateFailed, UsageError
from ..spec.job import EMBEDDED, Job, ValidateJob, model_name_for
from ..spec.result import GateVerdict, Result, write_json
from ..spec.run_context import RunContext
from ..tracking.base import ModelVersion
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

log = logging.getLogger(__name__)

VALIDATION_FILE = "metrics/validation.json"
SWEEP_FILE = "metrics/sweep.json"
VIDEO_STEPS = 200
"""Steps of the first environment that are filmed."""


def run(job: Job, context: RunContext, workspace: Workspace) -> Result:
    """See :meth:`.base.JobModule.run`."""
    assert isinstance(job, ValidateJob)
    if job.sweep and job.simulator not in EMBEDDED:
        raise UsageError(
            "the sweep varies commands, pushes, friction and mass of the embedded simulator",
            source="--sweep",
            hint="--simulator mujoco",
        )
    # More environments than episodes would play for nothing.
    worlds = min(job.num_envs, job.eval_episodes)
    with contextlib.ExitStack() as stack:
        scene = stack.enter_context(open_scene(job, context, workspace, reference(job), worlds))
        workspace.progress.phase("validate")
        on_step = step_reporter(workspace)
        validation = evaluate(
            scene.env,
            scene.subject,
            episodes=job.eval_episodes,
            seed=job.seed,
            success_threshold=job.success_threshold,
            snapshots=VIDEO_STEPS,
            on_step=on_step,
        )
        filming = stack.enter_context(contextlib.closing(start_filming(scene, "checkpoint", validation.rollout)))
        log.info("%s", headline(validation))
        if not validation.verdict.passed:
            workspace.progress.phase("look for the cause")
            validation = explain(validation, scene.env, scene.subject, on_step=on_step)
        points = _sweep(scene) if job.sweep else ()
        write_json(validation.document(), workspace.output_dir / VALIDATION_FILE)
        write_json(validation.episodes(), workspace.output_dir / EPISODES_FILE)
        return _conclude(scene, validation, filming, points)


def reference(job: ValidateJob) -> str:
    """Return the address of what is validated: the checkpoint that was named, else the registered model."""
    return job.checkpoint_uri or f"models:/{job.model_name or model_name_for(job.task)}/{job.model_version}"


def _sweep(scene: EvaluationScene) -> tuple[Point, ...]:
    """Measure how far the policy carries, and keep the numbers in a file of their own."""
    scene.workspace.progress.phase("sweep")
    module = simulators.load(scene.job.simulator)
    points = run_sweep(module, scene.job, scene.subject, on_step=step_reporter(scene.workspace))
    if not points:
        log.warning("there is nothing to vary for this robot: it takes no commands and stays where it is")
    for line in sweep_table(points):
        log.info("%s", line)
    write_json([point.document() for point in points], scene.folder / SWEEP_FILE)
    return points


def _conclude(scene: EvaluationScene, validation: Validation, filming: Filming, points: Sequence[Point]) -> Result:
    """Report, track and mark what was validated."""
    verdict = validation.verdict
    scene.workspace.progress.phase("report")
    with tracked(scene, failed=not verdict.passed) as tracker:
        log_numbers(tracker, validation.document())
        tracker.set_tags(validation.tags())
        finish_report(lambda: _report(scene, validation, filming, points), scene.folder)
        artifacts = publish_outputs(tracker, scene.folder)
        version = _mark(scene, {**validation.tags(), "validation.run_id": tracker.run_id})
    error = None if verdict.passed else gate_failed(validation)
    return Result(
        kind=scene.job.kind,
        task=scene.job.task,
        status="failed" if error else "succeeded",
        exit_code=error.exit_code if error else 0,
        error=error.as_dict() if error else None,
        experiment=tracker.experiment,
        mlflow_run_id=tracker.run_id or None,
        registered_model={"name": version.name, "version": version.version} if version else None,
        metrics=validation.document(),
        passed=verdict.passed,
        artifacts=artifacts,
        simulator=scene.job.simulator,
        evaluated_checkpoint=scene.provenance.evaluated(),
    )


def headline(validation: Validation) -> str:
    """Return the verdict in a sentence or two."""
    verdict = validation.verdict
    if verdict.success_rate is None:
        return "No episode could be judged: the simulation diverged in every one."
    counted = (
        f"{verdict.successes} of {verdict.episodes} episodes succeeded, {verdict.success_threshold:.0%} are required "
        f"(rate {verdict.confidence_low:.0%} to {verdict.confidence_high:.0%} with {CONFIDENCE:.0%} confidence)."
    )
    if verdict.passed:
        return f"{counted} Every bound of the gate is met."
    missed = [check.bound for check in verdict.checks if not check.passed]
    if missed:
        return f"{counted} Not met: {', '.join(missed)}."
    enough = verdict.success_rate >= verdict.success_threshold
    return f"{counted} {'; '.join(verdict.reasons)}." if enough else counted


def gate_failed(validation: Validation) -> GateFailed:
    """Return the error of a gate that was not passed: the reasons, the criterion, the likely causes."""
    causes = [finding.cause for finding in validation.findings]
    return GateFailed(
        f"the policy did not pass its gate: {'; '.join(validation.verdict.reasons)}",
        source=VALIDATION_FILE,
        allowed=f"an episode is a success when {validation.verdict.criterion}",
        hint=f"likely cause: {'. '.join(causes)}" if causes else None,
    )


def _mark(scene: EvaluationScene, tags: dict[str, str]) -> ModelVersion | None:
    """Put the verdict on the registered version that was validated, if it was one.

    Raises:
        PlatformError: The registry refused or is away: the model is then not marked, whatever the verdict.
    """
    from ..stores.tracking_server import tracking_uri_for
    from ..tracking.registry import tag_version
    from ..tracking.store_process import beside

    found = re.match(r"models:/([^/]+)/(\d+)", scene.provenance.fetched.resolved_uri)
    if not found:
        return None
    version = ModelVersion(found[1], found[2])
    beside(scene.workspace.store, tag_version, tracking_uri_for(scene.context), version, tags)
    log.info("marked model %s version %s: %s", version.name, version.version, tags["verdict"])
    return version


def _report(scene: EvaluationScene, validation: Validation, filming: Filming, points: Sequence[Point]) -> Report:
    folder, rollout = scene.folder / "plots", validation.rollout
    try:  # while the film is drawn
        drawn = (
            plots.episode_returns(rollout.episodes, folder, successes(scene.env.task, rollout.episodes)),
            plots.traces(rollout, folder),
            plots.reward_terms(rollout.reward_terms, folder),
            *(plots.sweep(points, folder, name) for name in plots.SWEEPS),
            plots.training_curves(scene.provenance.history, folder),
        )
    finally:  # it is there also where there is nothing to draw plots with
        video = finish_filming(filming)
    return Report(
        title="Validation",
        task=scene.job.task,
        run=scene.context.run,
        created=now(),
        gate=GateVerdict.MET if validation.verdict.passed else GateVerdict.NOT_MET,
        headline=headline(validation),
        played=(Played(format="checkpoint", metrics=validation.metrics, video=video),),
        verdict=validation.verdict,
        findings=validation.findings,
        plots=tuple(plot for plot in drawn if plot),
        contract=scene.subject.home,
        provenance=scene.provenance_lines(),
    )
