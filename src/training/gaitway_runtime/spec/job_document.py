"""``job.json``: a job with the context of its run, as a document; the job that a container's variables describe.

Both are checked as a whole, as is the job that a client has put together.

Standard library only: containers read it with Python 3.10 to 3.12.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import UsageError, shown
from .job import JOB_KINDS, Job, TrainJob, normalize_checkpoint_mode
from .run_context import AzureContext, RunContext
from .settings import check_value, settings_of, values_from_environment

SCHEMA_VERSION = 1
"""Version of the ``job.json`` document; raised when a reader of the old one would misread the new one."""


def to_document(job: Job, context: RunContext) -> dict[str, object]:
    """Return the ``job.json`` document of a job."""
    return {
        "schema": SCHEMA_VERSION,
        "kind": job.kind,
        "job": dataclasses.asdict(job),
        "context": dataclasses.asdict(context),
    }


def from_document(document: object, source: str = "job.json") -> tuple[Job, RunContext]:
    """Read a job back from its document.

    Raises:
        UsageError: The document is of another schema, kind or shape.
    """
    if not isinstance(document, Mapping):
        raise UsageError("the job is not an object with schema, kind and job", source=source)
    _check_texts(document, source)
    schema, kind = document.get("schema"), document.get("kind")
    if schema != SCHEMA_VERSION:
        raise UsageError(f"schema {shown(schema)} is not readable here", source=source, allowed=str(SCHEMA_VERSION))
    if not isinstance(kind, str) or kind not in JOB_KINDS:
        raise UsageError(f"unknown job kind {shown(kind)}", source=source, allowed=", ".join(JOB_KINDS))
    job = _build(JOB_KINDS[kind], document.get("job", {}), source)
    return validate(job, source), _context(document.get("context", {}), source)


def load(path: Path) -> tuple[Job, RunContext]:
    """Read ``job.json``.

    Raises:
        UsageError: The file is missing, not JSON, or not a job.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the job file cannot be read: {error.strerror}", source=str(path)) from None
    except (ValueError, RecursionError):
        raise UsageError("the job file is not JSON", source=str(path)) from None
    return from_document(document, str(path))


def from_environment(environ: Mapping[str, str]) -> Job:
    """Build a job from a container's environment, where a template has put a user's values.

    ``JOB_KIND`` names the kind (default ``train``); each field is read from its own variable. Empty values
    and ``none`` stand for "not set".

    Raises:
        UsageError: A variable's text does not fit its field.
    """
    kind = environ.get("JOB_KIND") or TrainJob.kind
    if kind not in JOB_KINDS:
        raise UsageError(f"unknown job kind '{kind}'", source="env JOB_KIND", allowed=", ".join(JOB_KINDS))
    cls = JOB_KINDS[kind]
    return validate(cls(**values_from_environment(cls, environ)), "environment")


def validate(job: Job, source: str = "job") -> Job:
    """Check every field of a job against its limits and the fields against each other.

    Raises:
        UsageError: A value is out of its limits, or a checkpoint mode and a checkpoint do not go together.
    """
    for field, _ in settings_of(type(job)):
        check_value(type(job), field.name, getattr(job, field.name), f"{source}: {field.name}")
    if not job.task.strip():
        raise UsageError("task is empty", source=f"{source}: task", hint="gaitway tasks")
    if isinstance(job, TrainJob):
        _validate_checkpoint_mode(job, source)
    return job


def _validate_checkpoint_mode(job: TrainJob, source: str) -> None:
    mode = normalize_checkpoint_mode(job.checkpoint_mode)
    if mode == "from-scratch" and job.checkpoint_uri:
        raise UsageError(
            "a checkpoint is given but the mode is from-scratch, which would ignore it",
            source=f"{source}: checkpoint_uri",
            hint="add --checkpoint-mode resume (continue) or warm-start (weights only)",
        )
    if mode != "from-scratch" and not job.checkpoint_uri:
        raise UsageError(
            f"checkpoint mode {mode} needs a checkpoint",
            source=f"{source}: checkpoint_mode",
            hint="add --checkpoint-uri URI; gaitway checkpoints lists them",
        )
    if job.register_checkpoint and job.skip_register_checkpoint:
        raise UsageError(
            "a model name is given and registration is skipped",
            source=f"{source}: register_checkpoint",
            hint="drop --register-checkpoint or --skip-register-checkpoint",
        )


def _build(cls: type[Any], values: object, source: str) -> Any:
    if not isinstance(values, Mapping):
        raise UsageError(f"this is not an object with fields of {cls.__name__}: {shown(values)}", source=source)
    known = {field.name for field in dataclasses.fields(cls)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise UsageError(
            f"unknown field '{unknown[0]}' in {cls.__name__}", source=source, allowed=", ".join(sorted(known))
        )
    return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def _context(values: object, source: str) -> RunContext:
    if not isinstance(values, Mapping):
        raise UsageError(f"the run's context is not an object: {shown(values)}", source=source)
    azure: AzureContext = _build(AzureContext, values.get("azure", {}), source)
    for field, _ in settings_of(AzureContext):
        check_value(AzureContext, field.name, getattr(azure, field.name), f"{source}: context.azure.{field.name}")
    context: RunContext = _build(RunContext, {**values, "azure": azure}, source)
    if not isinstance(context.tags, Mapping):
        raise UsageError(f"the run's tags are not an object: {shown(context.tags)}", source=source)
    texts = {name: getattr(context, name) for name in ("run", "run_id", "platform", "output_dir")}
    texts |= {f"tags.{name}": tag for name, tag in context.tags.items()}
    if context.tracking_uri is not None:
        texts["tracking_uri"] = context.tracking_uri
    for name, value in texts.items():
        if not isinstance(value, str):
            raise UsageError(f"'context.{name}' is not a text: {shown(value)}", source=source)
    return context


_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
"""A NUL character and halves of surrogate pairs, which no file and no system call takes."""


def _check_texts(document: object, source: str) -> None:
    """Refuse a document with a text, or a name, that cannot be written or handed to the system."""
    rest = [document]
    while rest:
        value = rest.pop()
        if isinstance(value, Mapping):
            rest += [*value, *value.values()]
        elif isinstance(value, list | tuple):
            rest += value
        elif isinstance(value, str) and _NO_TEXT.search(value):
            raise UsageError(f"a text holds what is no character: {value[:40]!a}", source=source)
