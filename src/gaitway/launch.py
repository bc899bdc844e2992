"""From what was asked to a run: resolve, choose the payload, render, plan; then, and only then, submit.

The command line and the Python API share this path. :func:`prepare` looks and changes nothing, so that a dry run
is the first half of a real one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from gaitway_runtime import catalog
from gaitway_runtime.fields import settings_of
from gaitway_runtime.job import (
    AzureContext,
    InferJob,
    Job,
    RunContext,
    TrainJob,
    experiment_name,
    model_name_for,
    to_document,
    validate,
)
from gaitway_runtime.result import write_json
from gaitway_runtime.simulators.base import choose
from gaitway_runtime.tracking.store import is_remote, store_uri

from .commands import command
from .errors import PlatformError, UsageError, nearest
from .interpreters import installed
from .ledger import Ledger, RunRecord, read_document
from .options import RunOptions
from .payload.manifest import Payload
from .payload.manifest import to_document as payload_document
from .payload.select import select
from .planning import Plan, Previous, make_plan
from .planning import to_document as plan_document
from .platforms.base import Platform, Request, Submission, check_secrets, load, present
from .settings.fields import Declared, Sources, declared
from .settings.resolve import Settings, resolve, terraform_folder
from .settings.values import document as settings_document

NAMED_DIRTY = 20
"""Changed files that a run's tag names one by one; ``payload.json`` has them all."""


@dataclass(frozen=True)
class Asked:
    """What was asked: a kind of job, and only those settings that someone named, by key."""

    job: type[Job]
    values: Mapping[str, Any]
    forwarded: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """A submission that is ready to go, with everything that can be looked at before it goes."""

    platform: Platform
    submission: Submission
    request: Request
    plan: Plan
    stem: str
    """What the run's name is derived from."""


def prepare(asked: Asked, environ: Mapping[str, str]) -> Prepared:
    """Work out everything about a submission. Reads files and git; writes nothing, contacts nobody.

    Raises:
        GaitwayError: Something in it cannot be right; the error says what and where it came from.
    """
    chosen = resolve([RunOptions], asked.values, environ=environ, terraform_dir=None)["platform"].value
    platform = load(chosen)
    forwarded = platform.forwarded_settings(asked.job, asked.forwarded)
    asked = dataclasses.replace(asked, values={**asked.values, **forwarded})
    notes = _unused_settings(asked, platform)
    settings = _resolved(asked, platform, environ)
    ledger = Ledger.at_home(environ)
    notes += _find_checkpoint(asked.job, settings, ledger, platform.limits.remote)
    job, more = _job(asked.job, settings)
    training_path = settings["training_path"]
    named = training_path.origin.layer != "default"
    payload = select(training_path.value, (*settings["with_paths"].value, *more), named=named)
    stem = settings["run_name"].value or _stem(job)
    name = ledger.free_name(stem, settings["run_name"].value)
    submission = Submission(
        run=name,
        job=job,
        context=_context(name, platform, settings, payload, environ, ledger.home),
        settings=settings,
        payload=payload,
        forwarded=asked.forwarded,
    )
    check_secrets(platform, submission)
    request = platform.render(submission)
    plan = make_plan(submission, request, _previous(ledger, job, stem), notes)
    return Prepared(platform, submission, request, plan, stem)


def launch(prepared: Prepared, environ: Mapping[str, str]) -> RunRecord:
    """Submit what was prepared and return its record. A submission that fails leaves nothing behind.

    Raises:
        GaitwayError: The platform refused, or the run's folder cannot be made.
    """
    ledger = Ledger.at_home(environ)
    run_dir = ledger.reserve(prepared.stem, prepared.submission.settings["run_name"].value)
    prepared = _renamed(prepared, run_dir.name)
    platform, record = prepared.platform, _record(prepared)
    try:
        _write_down(prepared, run_dir)
        ledger.write(record)
        ref = platform.submit(prepared.submission, prepared.request, run_dir)
    except KeyboardInterrupt:
        # The record stays: nobody knows how far a remote submission got. Here it can be undone.
        if not platform.limits.remote:
            platform.cancel(record.ref, run_dir)
        raise
    except OSError as error:
        ledger.discard(run_dir.name)
        raise PlatformError(f"the run cannot be written down: {error.strerror}", source=str(run_dir)) from error
    except Exception:
        ledger.discard(run_dir.name)
        raise
    record = dataclasses.replace(record, id=ref.id, url=ref.url)
    ledger.write(record)
    return record


def _record(prepared: Prepared) -> RunRecord:
    """Return the record of a run that is about to be submitted."""
    submission = prepared.submission
    typed = command(submission.job.kind, settings_document(submission.settings))
    return RunRecord(
        name=submission.run,
        platform=prepared.platform.name,
        kind=submission.job.kind,
        task=submission.job.task,
        created=datetime.now(timezone.utc).isoformat(),
        command=(*typed, "--", *submission.forwarded) if submission.forwarded else tuple(typed),
        experiment=experiment_name(submission.job.backend, submission.job.task),
        payload_sha256=submission.payload.sha256,
    )


def _write_down(prepared: Prepared, run_dir: Path) -> None:
    """Write what was asked, and all that was known of it, into the run's folder."""
    submission = prepared.submission
    write_json(to_document(submission.job, submission.context), run_dir / "job.json")
    write_json(plan_document(prepared.plan), run_dir / "plan.json")
    write_json(payload_document(submission.payload), run_dir / "payload.json")
    write_json(settings_document(submission.settings), run_dir / "settings.json")


def all_settings(job: type[Job]) -> dict[str, Declared]:
    """Return every setting that can be named for a kind of job, whatever platform it is for."""
    found = declared([job, AzureContext, RunOptions, Sources])
    for name in present():
        found = {**declared([load(name).options]), **found}
    return found


def _unused_settings(asked: Asked, platform: Platform) -> tuple[str, ...]:
    """Return a note for each named setting that is another platform's.

    Raises:
        UsageError: A name is no setting at all.
    """
    known = all_settings(asked.job)
    here = declared([asked.job, AzureContext, RunOptions, Sources, platform.options])
    notes = []
    for key in asked.values:
        if key not in known:
            close = nearest(key, known)
            raise UsageError(
                f"{asked.job.kind} has no setting '{key}'", hint=f"did you mean {close}?" if close else "gaitway config"
            )
        if key not in here:
            notes.append(f"{known[key].info.flags[0]} means nothing on {platform.name}")
    return tuple(notes)


def _resolved(asked: Asked, platform: Platform, environ: Mapping[str, str]) -> Settings:
    """Resolve every setting, with the laptop's scale where it takes the place of the cluster's."""
    classes = [asked.job, AzureContext, RunOptions, platform.options]
    terraform = terraform_folder(asked.values, environ) if platform.limits.remote else None
    settings = resolve(classes, asked.values, environ=environ, terraform_dir=terraform)
    if not platform.limits.remote and _simulator(settings) == "mujoco":
        _scale_down(asked.job, settings)
    return settings


def _simulator(settings: Settings) -> str:
    """Return the simulator that a job will use here, installed or not: a plan needs none."""
    name: str = settings["simulator"].value
    python = settings["python"].value if "python" in settings else None
    if name != "auto":
        return name
    if python is None:
        return choose("auto")
    return "isaaclab" if installed(python, ["isaaclab"]) else "mujoco"


def _find_checkpoint(job: type[Job], settings: Settings, ledger: Ledger, remote: bool) -> tuple[str, ...]:
    """Put an address that the job can read in place of ``RUN@best`` and the like; return a note on what it stands for.

    Raises:
        UsageError: There is no such run, checkpoint or file, or none is named and the job is nothing without one.
    """
    named = settings["checkpoint_uri"]
    if named.value is None:
        if job is InferJob:
            hint = "gaitway checkpoints lists them"
            raise UsageError("infer needs a checkpoint", source="--checkpoint-uri", hint=hint)
        return ()
    from .checkpoints import references  # knows every kind of address, which most plans do without

    address = references.resolve(named.value, ledger, remote=remote)
    settings["checkpoint_uri"] = dataclasses.replace(named, value=address)
    return (f"checkpoint {named.value} is {address}",) if address != named.value else ()


def _scale_down(job: type[Job], settings: Settings) -> None:
    """Give the embedded simulator's tasks the scale at which they learn on two cores, where the user named none.

    Raises:
        UsageError: The embedded simulator has no such task, and nothing of the user's may bring it.
    """
    task = settings["task"]
    if catalog.find(task.value) is None and (settings["imports"].value or settings["contract"].value):
        return
    info = catalog.embedded(task.value, task.origin.detail or "--task, by default")
    if job is TrainJob:
        settings["num_envs"] = settings["num_envs"].with_default(info.local.num_envs, info.local.why)
        for key in ("max_iterations", "save_interval"):
            settings[key] = settings[key].with_default(getattr(info.local, key), "the recipe for two CPU cores")


def _job(cls: type[Job], settings: Settings) -> tuple[Job, tuple[str, ...]]:
    """Return the job, and files of the user's that it names and that have to travel with it."""
    job = validate(cls(**{field.name: settings[field.name].value for field, _ in settings_of(cls)}), "settings")
    if job.contract is None:
        return job, ()
    path = Path(job.contract)
    if not path.is_file():
        raise UsageError(f"there is no contract file {path}", source="--contract")
    return dataclasses.replace(job, contract=path.name), (job.contract,)


def _stem(job: Job) -> str:
    """Return what a run is named after: its task, and its kind unless it trains."""
    stem = model_name_for(job.task)
    return stem if isinstance(job, TrainJob) else f"{stem}-{job.kind}"


def _context(
    name: str, platform: Platform, settings: Settings, payload: Payload, environ: Mapping[str, str], home: Path
) -> RunContext:
    """Return what the runtime must know of the run.

    A tracking URI from the environment may carry credentials: it stays there, and the process inherits it.
    """
    own_store = not platform.limits.remote and not environ.get("MLFLOW_TRACKING_URI")
    named = settings["tracking_uri"].value if "tracking_uri" in settings else None
    return RunContext(
        run=name,
        platform=platform.name,
        tracking_uri=store_uri(home) if own_store else named if is_remote(named) else None,
        tags=_provenance(settings, payload),
        azure=AzureContext(
            **{field.name: settings[f"azure_{field.name}"].value for field, _ in settings_of(AzureContext)}
        ),
    )


def _provenance(settings: Settings, payload: Payload) -> dict[str, str]:
    """Return where a run comes from, as tags: payload, commit, and every setting that was chosen."""
    tags = {"gaitway.payload_sha256": payload.sha256}
    if payload.commit:
        more = len(payload.dirty) - NAMED_DIRTY
        dirty = [*payload.dirty[:NAMED_DIRTY], *([f"and {more} more"] if more > 0 else [])]
        tags |= {"gaitway.commit": payload.commit, "gaitway.dirty": ", ".join(dirty) or "none"}
    chosen = [setting for setting in settings.values() if setting.origin.layer != "default"]
    return tags | {f"gaitway.setting.{setting.key}": f"{setting.shown} ({setting.origin})" for setting in chosen}


def _previous(ledger: Ledger, job: Job, stem: str) -> Previous | None:
    """Return what the last run of this kind and name was, if its folder still tells."""
    last = ledger.last(job.kind, stem)
    if last is None:
        return None
    run_dir = ledger.run_dir(last.name)
    settings, payload = read_document(run_dir, "settings.json"), read_document(run_dir, "payload.json")
    return Previous(last.name, settings, payload) if settings and payload else None


def _renamed(prepared: Prepared, name: str) -> Prepared:
    """Return the submission under the name that it got, which another run may have taken since it was planned."""
    if prepared.submission.run == name:
        return prepared
    context = dataclasses.replace(prepared.submission.context, run=name)
    submission = dataclasses.replace(prepared.submission, run=name, context=context)
    return dataclasses.replace(
        prepared,
        submission=submission,
        request=prepared.platform.render(submission),
        plan=dataclasses.replace(prepared.plan, run=name),
    )
