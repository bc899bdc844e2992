"""The job ``register``: a checkpoint becomes a registered model, with its verdict and its exports."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..spec.checkpoint_files import iteration_of, sha256_of
from ..spec.errors import GateFailed, JobFailed, UsageError
from ..spec.job import Job, RegisterJob, model_name_for
from ..spec.result import CheckpointRef, Result
from ..spec.run_context import RunContext
from ..spec.types import JsonObject
from ..tracking.registry import check_model_name
from .base import Workspace, fetch_checkpoint, tracked_run
from .validate import VALIDATION_FILE

log = logging.getLogger(__name__)

MODEL = "model"
"""Folder of the outputs with everything that belongs to the registered model."""

EXPORTS = "exported"


def run(job: Job, context: RunContext, workspace: Workspace) -> Result:
    """See :meth:`.base.JobModule.run`."""
    from ..learners.checkpoints import open_saved

    assert isinstance(job, RegisterJob)
    if job.checkpoint_uri is None:
        raise UsageError("register needs a checkpoint", source="checkpoint_uri")
    name = check_model_name(job.register_checkpoint or model_name_for(job.task))
    verdict = verdict_tags(Path(job.verdict_from)) if job.verdict_from else {}
    workspace.progress.phase("register")
    fetched = fetch_checkpoint(job.checkpoint_uri, job, context, workspace)
    iteration = iteration_of(fetched.path.name) or 0
    trained_in = open_saved(fetched.path).run_id
    # Not one folder for all: a run that is continued registers several models.
    folder = workspace.output_dir / MODEL / str(iteration)
    made = tuple(_collect(folder, fetched.path, Path(job.exports_from) if job.exports_from else None))
    tags = {
        "task": job.task,
        "framework": job.backend,
        "iteration": str(iteration),
        "gaitway.sha256": fetched.sha256,
        **({"gaitway.training_run": trained_in} if trained_in else {}),
        **verdict,
    }
    with tracked_run(job, context, workspace.output_dir, run_id=trained_in, store=workspace.store) as tracker:
        artifact_path = f"{MODEL}/{iteration}"
        uri = tracker.publish(folder, artifact_path)
        version = tracker.register_model(name, artifact_path, tags)
        log.info("registered model: name=%s version=%s", version.name, version.version)
        tracker.close("FINISHED")
    model = folder / fetched.path.name
    return Result(
        kind=job.kind,
        task=job.task,
        status="succeeded",
        experiment=tracker.experiment,
        mlflow_run_id=tracker.run_id or None,
        final_checkpoint=CheckpointRef(
            uri=f"{uri}/{model.name}" if uri else None,
            path=model.relative_to(workspace.output_dir).as_posix(),
            iteration=iteration,
            sha256=sha256_of(model),
        ),
        registered_model=dataclasses.asdict(version),
        artifacts=tuple(path.relative_to(workspace.output_dir).as_posix() for path in made),
    )


def verdict_tags(outputs: Path) -> dict[str, str]:
    """Return the tags that a validation's verdict puts on a registered model.

    Args:
        outputs: Output folder of the validation.

    Raises:
        JobFailed: The folder holds no verdict.
        GateFailed: The gate was not met.
    """
    path = outputs / VALIDATION_FILE
    try:
        document: JsonObject = json.loads(path.read_text(encoding="utf-8"))
        passed = document["passed"] is True
    except (OSError, ValueError, KeyError, TypeError):
        raise JobFailed("the validation has left no verdict, so nothing is registered", source=str(path)) from None
    if not passed:
        raise GateFailed("the policy did not pass its gate, so it is not registered", source=str(path))
    numbers = {key: value for key, value in document.items() if isinstance(value, int | float) and key != "schema"}
    shown = {f"validation.{key}": f"{value:.6g}" for key, value in numbers.items() if not isinstance(value, bool)}
    return {"validated": "true", "verdict": "passed", **shown}


def _collect(folder: Path, checkpoint: Path, exports: Path | None) -> Iterator[Path]:
    """Copy the checkpoint, the training configuration and the exports into a folder, and yield the copies."""
    shutil.rmtree(folder, ignore_errors=True)
    sources: Mapping[Path, Path] = {
        checkpoint: Path(checkpoint.name),
        **_files(checkpoint.parent / "params", Path()),
        **_files(checkpoint.parent.parent / "params", Path()),
        **(_files(exports / EXPORTS, Path(EXPORTS)) if exports else {}),
    }
    for source, name in sources.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        yield target


def _files(folder: Path, below: Path) -> dict[Path, Path]:
    if not folder.is_dir():
        return {}
    return {path: below / path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()}
