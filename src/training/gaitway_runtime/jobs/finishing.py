"""End of a training: the final checkpoint, the gate, the registered model, the result."""

from __future__ import annotations

import dataclasses
import logging
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from ..learners.base import TrainingOutcome
from ..spec.errors import GaitwayError, Interrupted
from ..spec.job import TrainJob
from ..spec.result import CheckpointRef, Result, write_json
from ..spec.settings import words_of
from ..tracking.base import ModelVersion, Tracker
from .base import Workspace

log = logging.getLogger(__name__)

RESUMED = frozenset(
    ("task", "max_iterations", "checkpoint_mode", "checkpoint_uri", "checkpoint_sha256", "num_envs", "seed")
)
"""Settings that the command which continues a training names, or sets otherwise."""

NOT_VALIDATED: Mapping[str, str] = {"validated": "false", "verdict": "pending"}
"""Tags of a registered model that was not validated."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A training that has ended, stopped or not."""

    job: TrainJob
    workspace: Workspace
    tracker: Tracker
    outcome: TrainingOutcome
    metrics: Mapping[str, float]
    """Those of the last iteration."""
    evaluation: Mapping[str, float]
    """What the newest interim evaluation measured, and after how many iterations; empty where there was none."""
    uris: Mapping[int, str]
    """Addresses of the published checkpoints, by iteration."""
    contract_sha256: str


def finish(trained: Trained, model_name: str | None) -> Result:
    """Publish, judge and register what was trained, and end the tracked run.

    Args:
        trained: The training.
        model_name: Name to register the model under; None to leave that out.
    """
    if trained.tracker.superseded:
        return _superseded(trained, trained.tracker.superseded)
    if trained.outcome.stopped:
        return _interrupted(trained)
    result, verdict = _publish(trained), NOT_VALIDATED
    if trained.job.gate:
        result, verdict = _validate(trained, result)
    if model_name and result.passed is not False:
        result = _register(trained, result, model_name, verdict)
    trained.tracker.close("FINISHED")
    return _as_published(trained.tracker, result)


def _publish(trained: Trained) -> Result:
    """Publish the final checkpoint and the parameters that a reader needs beside it."""
    tracker, outcome = trained.tracker, trained.outcome
    if outcome.steps == 0:
        log.info("nothing left to do: %d iterations are done already", outcome.iterations)
    uri = tracker.publish_checkpoint(outcome.final_checkpoint, outcome.final_iteration, final=True)
    tracker.publish(trained.workspace.output_dir / "params", "params")
    log.info("Found final model: %s", outcome.final_checkpoint)
    return _result(trained, uri)


def _validate(trained: Trained, result: Result) -> tuple[Result, Mapping[str, str]]:
    """Let the task's gate judge the final checkpoint; return the result with the verdict, and the verdict as tags."""
    from ..evaluation.validation import EPISODES_FILE, validate_checkpoint
    from .evaluating import step_reporter
    from .validate import VALIDATION_FILE, gate_failed

    workspace, tracker = trained.workspace, trained.tracker
    workspace.progress.phase("validate")
    validation = validate_checkpoint(trained.job, trained.outcome.final_checkpoint, on_step=step_reporter(workspace))
    write_json(validation.document(), workspace.output_dir / VALIDATION_FILE)
    write_json(validation.episodes(), workspace.output_dir / EPISODES_FILE)
    tracker.publish(workspace.output_dir / "metrics", "metrics")
    tracker.set_tags(validation.tags())
    judged = dataclasses.replace(
        result,
        passed=validation.verdict.passed,
        metrics=validation.document(),
        artifacts=(*result.artifacts, VALIDATION_FILE),
    )
    if validation.verdict.passed:
        return judged, validation.tags()
    return _failed(judged, gate_failed(validation)), validation.tags()


def _register(trained: Trained, result: Result, name: str, verdict: Mapping[str, str]) -> Result:
    """Register the model; a registry that is away fails a job whose user asked for the registration by name."""
    trained.workspace.progress.phase("register")
    try:
        version = _registered_version(trained, result, name, verdict)
    except GaitwayError as error:
        if trained.job.register_checkpoint:
            return _failed(result, error)
        log.warning("the model is not registered: %s", error.message)
        return result
    log.info("registered model: name=%s version=%s", version.name, version.version)
    return dataclasses.replace(result, registered_model=dataclasses.asdict(version))


def _failed(result: Result, error: GaitwayError) -> Result:
    return dataclasses.replace(result, status="failed", exit_code=error.exit_code, error=error.as_dict())


def _interrupted(trained: Trained) -> Result:
    """End the run as interrupted: everything done so far is saved and published."""
    outcome, job = trained.outcome, trained.job
    reason = trained.workspace.stop.reason
    trained.tracker.publish(trained.workspace.output_dir / "params", "params")
    trained.tracker.set_tags({"gaitway.interrupted": reason})
    trained.tracker.close("KILLED")
    result = _as_published(trained.tracker, _result(trained, trained.uris.get(outcome.final_iteration)))
    uri = result.final_checkpoint.uri if result.final_checkpoint else None
    error = Interrupted(
        f"the training was stopped ({reason}) after {outcome.iterations} of {job.max_iterations} iterations; "
        f"{outcome.final_checkpoint.name} is saved",
        hint=_resume_command(job, uri or str(outcome.final_checkpoint)),
    )
    return dataclasses.replace(result, status="cancelled", exit_code=error.exit_code, error=error.as_dict())


def _superseded(trained: Trained, error: GaitwayError) -> Result:
    """End as an attempt whose run goes on elsewhere: nothing is published, judged or registered any more."""
    trained.tracker.close("KILLED")
    result = _result(trained, trained.uris.get(trained.outcome.final_iteration))
    return _failed(_as_published(trained.tracker, result), error)


def _resume_command(job: TrainJob, uri: str) -> str:
    """Return the command that continues a training, with all that was asked of it."""
    words = ["gaitway", "train", "--task", job.task, "--max-iterations", str(job.max_iterations)]
    words += ["--checkpoint-mode", "resume", "--checkpoint-uri", uri]
    words += ["--num-envs", str(job.num_envs), "--seed", str(job.seed)]
    return shlex.join([*words, *words_of(job, without=RESUMED)])


def _as_published(tracker: Tracker, result: Result) -> Result:
    """Return the result with an address of the final checkpoint only where it can be fetched from now."""
    final = result.final_checkpoint
    if final is None or not final.uri:
        return result
    address = tracker.published(final.uri)
    return dataclasses.replace(
        result,
        published=address is not None,
        mlflow_run_id=tracker.run_id or None,
        final_checkpoint=dataclasses.replace(final, uri=address),
    )


def _result(trained: Trained, uri: str | None) -> Result:
    from ..spec.checkpoint_files import sha256_of

    outcome, tracker = trained.outcome, trained.tracker
    folder = trained.workspace.output_dir
    names = {"mean_reward": "Train/mean_reward", "mean_episode_length": "Train/mean_episode_length"}
    made = (outcome.final_checkpoint, folder / "params" / "agent.yaml", folder / "params" / "contract.json")
    return Result(
        kind=trained.job.kind,
        task=trained.job.task,
        status="succeeded",
        experiment=tracker.experiment,
        mlflow_run_id=tracker.run_id or None,
        iterations=outcome.iterations,
        steps=outcome.steps * trained.workspace.rank.world,
        final_checkpoint=CheckpointRef(
            uri=uri or None,
            path=str(outcome.final_checkpoint),
            iteration=outcome.final_iteration,
            sha256=sha256_of(outcome.final_checkpoint),
        ),
        metrics={
            **{name: trained.metrics[tag] for name, tag in names.items() if tag in trained.metrics},
            **({"evaluation": dict(trained.evaluation)} if trained.evaluation else {}),
        },
        artifacts=tuple(str(path.relative_to(folder)) for path in made if path.exists()),
        simulator=trained.job.simulator,
    )


def _registered_version(trained: Trained, result: Result, name: str, verdict: Mapping[str, str]) -> ModelVersion:
    """Register a folder that holds the final checkpoint alone, with what a reader needs beside it.

    Not ``checkpoints/final``: a run that was resumed has the final checkpoints of its earlier ends there too.
    """
    outcome, tracker = trained.outcome, trained.tracker
    artifact_path = f"model/{outcome.final_iteration}"
    tracker.publish(outcome.final_checkpoint, artifact_path)
    tracker.publish(trained.workspace.output_dir / "params", artifact_path)
    assert result.final_checkpoint is not None
    tags = {
        "task": trained.job.task,
        "framework": trained.job.backend,
        **verdict,
        "iteration": str(outcome.final_iteration),
        "gaitway.sha256": result.final_checkpoint.sha256,
        "gaitway.contract_sha256": trained.contract_sha256,
    }
    return tracker.register_model(name, artifact_path, tags)
