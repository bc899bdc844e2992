"""From what was asked to a submission: resolve its settings, choose the payload, render the request, plan.

The command line and the Python API share this path. :func:`prepare` looks and changes nothing, so that a dry run
is the first half of a real one; :func:`.planning.launch` is the other half.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaitway_runtime.spec import catalog
from gaitway_runtime.spec.checkpoint_files import iteration_of, sha256_of
from gaitway_runtime.spec.contract import read_contract
from gaitway_runtime.spec.files import absolute_store, check_store, database_path, is_remote, store_uri
from gaitway_runtime.spec.job import EMBEDDED, InferJob, Job, TrainJob, model_name_for
from gaitway_runtime.spec.job_document import validate
from gaitway_runtime.spec.origins import SETTING_TAG
from gaitway_runtime.spec.run_context import AzureContext, RunContext
from gaitway_runtime.spec.settings import settings_of

from . import resuming
from .errors import UsageError, nearest
from .ledger import Ledger, read_document
from .payload.archive import Payload
from .payload.select import select
from .payload.sources import check_imports
from .planning import Prepared, Previous, make_plan
from .platforms.base import (
    ChoosesSimulator,
    Platform,
    RunOptions,
    Submission,
    check_secrets,
    load,
    settings_for,
)
from .settings.overrides import OVERRIDES, check_overrides
from .settings.resolve import PREFIX, Settings, Sources, declared, resolve, terraform_folder
from .settings.values import DEMO, origins_named
from .user_tasks import import_user_tasks
from .variations import SWEEP, SweepDesign

NAMED_DIRTY = 20
"""Changed files that a run's tag names one by one; ``payload.json`` has them all."""


@dataclass(frozen=True)
class Asked:
    """What was asked: a kind of job, and only those settings that someone named, by key."""

    job: type[Job]
    values: Mapping[str, Any]
    forwarded: tuple[str, ...] = ()
    sweep: SweepDesign | None = None
    """Variations of the job, for a platform that does them all."""
    by_demo: frozenset[str] = frozenset()
    """Keys of those settings that nobody named: ``gaitway demo`` chose them."""


def prepare(asked: Asked, environ: Mapping[str, str]) -> Prepared:
    """Work out everything about a submission. Reads files and git; writes nothing, contacts nobody.

    Raises:
        GaitwayError: Something in it cannot be right; the error says what and where it came from.
    """
    chosen = resolve([RunOptions], asked.values, environ=environ, terraform_dir=None)["platform"].value
    platform = load(chosen)
    if asked.sweep and not platform.limits.sweeps:
        raise UsageError(f"{platform.name} has no way to run a sweep", source="--on", allowed="local, osmo, azureml")
    forwarded = platform.forwarded_settings(asked.job, asked.forwarded)
    asked = dataclasses.replace(asked, values={**asked.values, **forwarded})
    notes = _unused_settings(asked, platform)
    settings = _resolved(asked, platform, environ)
    for key in asked.by_demo:
        origin = dataclasses.replace(settings[key].origin, layer=DEMO)
        settings[key] = dataclasses.replace(settings[key], origin=origin)
    notes += _on_variables(settings, [asked.job, AzureContext, RunOptions, platform.options], environ)
    with origins_named(settings):
        return _prepared(asked, platform, settings, notes, environ)


def _prepared(
    asked: Asked, platform: Platform, settings: Settings, notes: tuple[str, ...], environ: Mapping[str, str]
) -> Prepared:
    """Return the submission that some resolved settings ask for; ``notes`` are those that came up so far."""
    ledger = Ledger.at_home(environ)
    notes += _find_checkpoint(asked.job, settings, ledger, platform)
    notes += _take_task(asked.job, settings, ledger)
    here = isinstance(platform, ChoosesSimulator) and platform.simulator(settings) in EMBEDDED
    embedded = here or settings["simulator"].value in EMBEDDED
    unknown = _import_user_tasks(settings, own_tasks=here) if embedded else ()
    notes += unknown
    if here:
        _scale_down(asked.job, settings, known=not unknown)
    if settings[OVERRIDES].value and not unknown:
        check_overrides(settings, embedded=embedded)
    job, more = _job(asked.job, settings, platform.limits.remote)
    training_path = settings["training_path"]
    named = training_path.origin.layer != "default"
    imports = settings["imports"].value
    payload = select(training_path.value, (*settings["with_paths"].value, *more), named=named, imports=imports)
    notes += check_imports(payload, imports)
    stem = settings["run_name"].value or _stem(job) + (f"-{SWEEP}" if asked.sweep else "")
    name = ledger.free_name(stem, settings["run_name"].value)
    submission = Submission(
        run=name,
        job=job,
        context=_context(name, platform, settings, payload, environ, ledger.home),
        settings=settings,
        payload=payload,
        forwarded=asked.forwarded,
        sweep=asked.sweep,
    )
    check_secrets(platform, submission)
    request = platform.render(submission)
    plan = make_plan(submission, request, _previous(ledger, job, stem), notes)
    return Prepared(platform, submission, request, plan, stem, _continued(job, ledger))


def _continued(job: Job, ledger: Ledger) -> str | None:
    """Return MLflow's id of the run that a job resumes, where it is known.

    Raises:
        UsageError: That run still runs here.
    """
    if not isinstance(job, TrainJob) or job.checkpoint_mode != "resume" or job.checkpoint_uri is None:
        return None
    run_id = resuming.tracked_run(job.checkpoint_uri, ledger)
    if run_id is not None:
        resuming.check_free(run_id, ledger)
    return run_id


def _unused_settings(asked: Asked, platform: Platform) -> tuple[str, ...]:
    """Return a note for each named setting that is another platform's.

    Raises:
        UsageError: A name is no setting at all.
    """
    known = settings_for(asked.job)
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


def _on_variables(settings: Settings, classes: Sequence[type[Any]], environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return notes that name the variables which took effect under older names, and those that are not read."""
    known = declared(classes)
    used = [item.origin.detail for item in settings.values() if item.origin.layer == "env"]
    foreign = [name for name in used if not name.startswith(PREFIX)]
    unread = [
        f"{name} ({item.variables[0]} is)"
        for item in known.values()
        if item.info.container_only
        for name in item.info.env
        if environ.get(name, "").strip()
    ]
    notes = (f"taken from the environment: {', '.join(dict.fromkeys(foreign))}",) if foreign else ()
    return (*notes, f"set in the environment and not read: {', '.join(unread)}") if unread else notes


def _resolved(asked: Asked, platform: Platform, environ: Mapping[str, str]) -> Settings:
    """Resolve every setting."""
    classes = [asked.job, AzureContext, RunOptions, platform.options]
    terraform = terraform_folder(asked.values, environ) if platform.limits.remote else None
    return resolve(classes, asked.values, environ=environ, terraform_dir=terraform)


def _find_checkpoint(job: type[Job], settings: Settings, ledger: Ledger, platform: Platform) -> tuple[str, ...]:
    """Put an address that the job can read in place of ``RUN@best`` and the like; return a note on what it stands for.

    Raises:
        UsageError: There is no such run, checkpoint or file, it is no checkpoint, or none is named and the job is
            nothing without one.
    """
    named = settings["checkpoint_uri"]
    if named.value is None:
        if job is InferJob:
            hint = "gaitway checkpoints lists them"
            raise UsageError("infer needs a checkpoint", source="--checkpoint-uri", hint=hint)
        return ()
    from .checkpoints import references  # knows every kind of address, which most plans do without

    address = references.resolve(
        named.value, ledger, platform=platform.name, remote=platform.limits.remote, source_of=load
    )
    settings["checkpoint_uri"] = dataclasses.replace(named, value=address)
    if Path(address).is_absolute() and Path(address).is_file():
        from gaitway_runtime.policies.foreign_files import check_kind  # opens files, which most plans do without

        check_kind(Path(address))
    notes = (f"checkpoint {named.value} is {address}",) if address != named.value else ()
    return notes + _require_signature(settings, address)


def _take_task(job: type[Job], settings: Settings, ledger: Ledger) -> tuple[str, ...]:
    """Let a job on a checkpoint have the checkpoint's own task where none is named; return a note that says so."""
    task, address = settings["task"], settings["checkpoint_uri"].value
    if issubclass(job, TrainJob) or task.origin.layer != "default" or address is None:
        return ()
    from .checkpoint_task import task_of  # looks into files, which most plans do without

    found = task_of(address, ledger)
    if found is None:
        return (f"no task is named, and the checkpoint does not tell its own: {task.value} is the default",)
    settings["task"] = task.with_default(found, "the checkpoint's own task")
    return ()


def _require_signature(settings: Settings, address: str) -> tuple[str, ...]:
    """Check that the checkpoint lies in a release that was signed with the key that is required, where one is.

    The job is bound to the very file: it refuses any other content.

    Raises:
        UsageError: It lies in no release.
        SignatureRefused: The release does not verify.
    """
    key = settings["require_signed"]
    if key.value is None:
        return ()
    from .signatures.verification import verify_member  # needs the signing library, which most plans do without

    file = verify_member(Path(address), Path(key.value), source=str(key.origin))
    settings["checkpoint_sha256"] = dataclasses.replace(
        settings["checkpoint_sha256"], value=file.sha256, origin=key.origin
    )
    return (f"checkpoint {file.path} is signed with {key.value}",)


def _scale_down(job: type[Job], settings: Settings, *, known: bool) -> None:
    """Give the embedded simulator's tasks the scale at which they learn on two cores, where the user named none.

    Args:
        job: The kind of job.
        settings: Its settings.
        known: Whether the user's modules could be imported, so that every task is known here.

    Raises:
        UsageError: The embedded simulator has no such task, and nothing of the user's brings it.
    """
    task = settings["task"]
    info = catalog.find(task.value)
    if info is None and known and settings["contract"].value is None:
        info = catalog.embedded(task.value, task.origin.detail or "--task, by default", settings["imports"].value)
    scale = info.local if info else catalog.DEFAULT_SCALE
    if issubclass(job, TrainJob):
        settings["num_envs"] = settings["num_envs"].with_default(scale.num_envs, scale.why)
        for key in ("max_iterations", "save_interval"):
            settings[key] = settings[key].with_default(getattr(scale, key), "the recipe for two CPU cores")


def _import_user_tasks(settings: Settings, *, own_tasks: bool) -> tuple[str, ...]:
    """Import the user's modules where they bring the task, or may bring what is overridden; note where that fails.

    The job may run in another Python, which has what a module needs: what fails here need not fail there.

    Args:
        settings: The job's settings.
        own_tasks: Whether the scale of a task of the user's own is needed.

    Raises:
        UsageError: A module registers a task that cannot be one.
    """
    imports, overrides = settings["imports"].value, settings["overrides"].value
    is_own = own_tasks and catalog.find(settings["task"].value) is None
    if not imports or not (is_own or overrides):
        return ()
    try:
        import_user_tasks(imports, settings["with_paths"].value, settings["training_path"].value)
    except UsageError as error:
        if error.__cause__ is None:  # it was imported, and registers a task that cannot be one
            raise
        lost = "the plan has the default scale, not the task's own" if is_own else "--set is not checked here"
        return (f"{error.message}: {lost}",)
    return ()


def _job(cls: type[Job], settings: Settings, remote: bool) -> tuple[Job, tuple[str, ...]]:
    """Return the job, and files of the user's that it names and that have to travel with it."""
    job = validate(cls(**{field.name: settings[field.name].value for field, _ in settings_of(cls)}), "settings")
    more: tuple[str, ...] = ()
    if job.contract is not None:
        path = Path(job.contract)
        if not path.is_file():
            raise UsageError(f"there is no contract file {path}", source="--contract")
        read_contract(path)
        job, more = dataclasses.replace(job, contract=path.name), (str(path),)
    start = Path(job.checkpoint_uri or "")
    if not remote or not start.is_absolute():
        return job, more
    digest = job.checkpoint_sha256 or sha256_of(start)
    return dataclasses.replace(job, checkpoint_uri=start.name, checkpoint_sha256=digest), (*more, *_with_company(start))


def _with_company(checkpoint: Path) -> tuple[str, ...]:
    """Return a checkpoint file with what belongs to it: its companion, and the training configuration beside it."""
    iteration = iteration_of(checkpoint.name)
    companions = sorted(checkpoint.parent.glob(f"state_{iteration}.*")) if iteration is not None else []
    configured = (folder / "params" for folder in (checkpoint.parent, checkpoint.parent.parent))
    params = next((folder for folder in configured if folder.is_dir()), None)
    return tuple(map(str, (checkpoint, *companions, *([params] if params else []))))


def _stem(job: Job) -> str:
    """Return what a run is named after: its task, and its kind unless it trains."""
    stem = model_name_for(job.task)
    return stem if job.kind == TrainJob.kind else f"{stem}-{job.kind}"


def _context(
    name: str, platform: Platform, settings: Settings, payload: Payload, environ: Mapping[str, str], home: Path
) -> RunContext:
    """Return what the runtime must know of the run.

    A tracking URI from the environment may carry credentials: it stays there, and the process inherits it. That of a
    database is named from the root, because the process runs in another folder.
    """
    given = environ.get("MLFLOW_TRACKING_URI", "")
    named = settings["tracking_uri"].value if "tracking_uri" in settings else None
    uri = named if is_remote(named) else None
    if not platform.limits.remote:
        check_store(given or store_uri(home), environ)
        uri = store_uri(home) if not given else absolute_store(given) if database_path(given) else uri
    return RunContext(
        run=name,
        run_id=uuid.uuid4().hex,
        platform=platform.name,
        tracking_uri=uri,
        tags=_provenance(settings, payload),
        azure=AzureContext(
            **{field.name: settings[f"azure_{field.name}"].value for field, _ in settings_of(AzureContext)}
        ),
    )


def _provenance(settings: Settings, payload: Payload) -> dict[str, str]:
    """Return where a run comes from, as tags: payload, commit, and every setting that was chosen."""
    tags = {"gaitway.payload_sha256": payload.sha256}
    if payload.commit:
        # The number first: a store that takes short values cuts the end.
        count = f"{len(payload.dirty)} files: " if len(payload.dirty) > 1 else ""
        named = ", ".join(payload.dirty[:NAMED_DIRTY])
        tags |= {"gaitway.commit": payload.commit, "gaitway.dirty": f"{count}{named}" or "none"}
    chosen = [setting for setting in settings.values() if setting.origin.layer != "default"]
    return tags | {f"{SETTING_TAG}{setting.key}": f"{setting.shown} ({setting.origin})" for setting in chosen}


def _previous(ledger: Ledger, job: Job, stem: str) -> Previous | None:
    """Return what the last run of this kind and name was, if its folder still tells."""
    last = ledger.last(job.kind, stem)
    if last is None:
        return None
    run_dir = ledger.run_dir(last.name)
    settings, payload = read_document(run_dir, "settings.json"), read_document(run_dir, "payload.json")
    return Previous(last.name, settings, payload) if settings and payload else None
