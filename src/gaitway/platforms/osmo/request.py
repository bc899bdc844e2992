"""Rendering of a submission into a request: gaitway's own workflow, or the user's template, checked as OSMO would."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from gaitway_runtime.spec.files import is_remote
from gaitway_runtime.spec.job import Job, ShipJob, ValidateJob
from gaitway_runtime.spec.run_context import AzureContext
from gaitway_runtime.spec.schemes import TRACKED, scheme_of

from ...errors import ConfigError, UsageError, nearest
from ...payload.archive import packed
from ...settings.resolve import Declared, declared
from ..base import Request, Submission
from ..container import to_yaml
from . import checks
from . import template as templates
from .options import TRACKING_PORT, Chosen, OsmoOptions, chosen, reports_to_server, workflow_name
from .payload import KEPT_ENCODED, Route, choose_route, encoded
from .template import Forwarded
from .workflow import workflow

PACKED_HERE = 64 * 2**20
"""Largest payload that is packed to plan it [bytes]; above, its size unpacked stands for that of its archive."""


def render(submission: Submission) -> Request:
    """Return the request of a submission.

    Raises:
        GaitwayError: OSMO would refuse it, or accept it and let it die.
    """
    words = templates.parse_forwarded(submission.forwarded)
    _check_tracking(submission)
    settings = chosen(submission)
    options = settings.options
    size = submission.payload.size
    size = len(packed(submission.payload, listed=True)) if size <= PACKED_HERE else size
    data: dict[str, Any] = {"environment": dict(words.environment), "pool": options.pool, "priority": options.priority}
    checks.check_labels(options.labels)
    data["labels"] = list(options.labels)
    if options.workflow_file:
        if submission.sweep:
            raise UsageError("sweep makes a workflow of its own", source="--workflow", hint="train takes a template")
        if isinstance(submission.job, ShipJob):
            raise UsageError("ship makes a workflow of its own", source="--workflow", hint="train takes a template")
        template = templates.read_template(Path(options.workflow_file))
        route = templates.template_route(template, submission.payload, size, options)
        body, values = _from_template(submission, settings, words, route, template)
        data |= {"template": options.workflow_file, "values": values, "numbers": sorted(words.numbers)}
    else:
        route = choose_route(submission.payload, size, options)
        body = _built_in(submission, settings, words, route)
    data["route"] = dataclasses.asdict(route)
    return Request("osmo", body, (route.verdict, *_notes(submission, settings)), data)


def _needs_server(submission: Submission) -> bool:
    """Return whether a task would look for its checkpoint on a server that nobody has told it of.

    A workflow of the user's own may tell it in ways that are not seen here.
    """
    options = chosen(submission).options
    if not _kept_by_server(submission) or options.workflow_file or reports_to_server(submission, options):
        return False
    told = set(templates.parse_forwarded(submission.forwarded).environment)
    told |= {word.partition(":")[2].partition("=")[0] for word in options.credentials}
    return "MLFLOW_TRACKING_URI" not in told


def _kept_by_server(submission: Submission) -> str | None:
    """Return what a job reads from an MLflow server: the checkpoint it names, or the model that it validates."""
    job = submission.job
    if job.checkpoint_uri:
        return job.checkpoint_uri if scheme_of(job.checkpoint_uri) in TRACKED else None
    return "the registered model" if isinstance(job, ValidateJob) else None


def settings_named(words: tuple[str, ...], job: type[Job]) -> dict[str, str]:
    """Return the settings that a user named after ``--``, by key: ``azure_resource_group=...`` and the like.

    Raises:
        UsageError: What stands after ``--`` cannot be read.
    """
    found, known = templates.parse_forwarded(words), _declared(job)
    keys = {name: templates.key_of(name, known.values()) for name in found.variables}
    return {key: found.variables[name] for name, key in keys.items() if key} | dict(found.options)


def _built_in(submission: Submission, settings: Chosen, words: Forwarded, route: Route) -> str:
    known = _declared(type(submission.job))
    for name in words.variables:
        if templates.key_of(name, known.values()) is None:
            every = {other for item in known.values() for other in templates.names_of(item)}
            close = nearest(name, every, 1)
            raise UsageError(
                f"'{name}' is no variable of gaitway's workflow",
                source=templates.SOURCE,
                hint=f"did you mean {close}?" if close else "--workflow FILE submits a template of yours",
            )
    found = workflow(submission, settings, route)
    for task in checks.tasks_of(found["workflow"]):
        task["environment"] |= words.environment  # type: ignore[index]
    checks.check_marks(found, "the workflow")
    checks.check(found, "the workflow")
    return to_yaml(found)


def _from_template(
    submission: Submission, settings: Chosen, words: Forwarded, route: Route, template: templates.Template
) -> tuple[str, dict[str, str]]:
    """Return what the user's template comes to, and the values that it is submitted with."""
    templates.check_variables(template, words.variables)
    values = {
        **_values(submission, settings, route, template),
        **_payload_values(submission, settings, route, template),
    }
    values |= words.variables
    expanded = templates.expand_template(template, values, words.numbers)
    checks.check(expanded, f"--workflow {template.path}")
    templates.submit_flags(template, values, words.numbers)  # which checks them as arguments
    return to_yaml(expanded), values


def _payload_values(
    submission: Submission, settings: Chosen, route: Route, template: templates.Template
) -> dict[str, str]:
    """Return the variables by which a template gets the payload, those that it has.

    Files of a run that does not exist yet are named as the copies of them that will be kept.
    """
    kept = Path(settings.options.tmp_dir).absolute()
    found = {
        "payload_localpath": str(kept / KEPT_ENCODED),
        "training_localpath": str(kept / "training"),
        "payload_url": route.remote if route.kind == "upload" else "",
    }
    if "encoded_archive" in template.variables:
        found["encoded_archive"] = encoded(packed(submission.payload, listed=True))
    return {name: value for name, value in found.items() if name in template.variables}


def _values(submission: Submission, settings: Chosen, route: Route, template: templates.Template) -> dict[str, str]:
    """Return gaitway's settings as the template's variables: what someone chose, and what the template leaves open."""
    filled = {**{key: setting.value for key, setting in submission.settings.items()}, **_filled(settings)}
    filled["workflow_name"] = workflow_name(settings.options, submission.job.kind, route.kind)
    known = _declared(type(submission.job))
    found = {}
    for key, item in known.items():
        setting = submission.settings.get(key)
        chosen_by_someone = setting is not None and setting.origin.layer != "default"
        for name in templates.names_of(item) & template.variables:
            if chosen_by_someone or name not in template.defaults:
                found[name] = templates.text_of(item, filled.get(key, item.default))
    return found


def _filled(settings: Chosen) -> dict[str, Any]:
    names = {"cpu": settings.cpu, "memory": settings.memory, "storage": settings.storage}
    return {**names, "exec_timeout": settings.exec_timeout}


def _declared(job: type[Job]) -> dict[str, Declared]:
    return declared([job, AzureContext, OsmoOptions])


def _check_tracking(submission: Submission) -> None:
    """Refuse an address that OSMO would keep in the workflow for all to read, and a server for a job without curves.

    Raises:
        ConfigError: The address holds a credential.
        UsageError: The job trains nothing, or the workflow is the user's own.
    """
    if submission.option("with_tracking") and (
        submission.job.kind not in ("train", "ship") or submission.option("workflow_file")
    ):
        raise UsageError(
            "an MLflow server of its own is for a training in gaitway's own workflow",
            source="--with-tracking",
            hint="--tracking-uri names a server for any job",
        )
    tracking = submission.settings.get("tracking_uri")
    if tracking and tracking.whole:
        raise ConfigError(
            "the address of the MLflow server holds a credential, which the workflow would have to write down",
            source=str(tracking.origin),
            hint="osmo credential set mlflow ..., then --credential mlflow:MLFLOW_TRACKING_URI=KEY",
        )


def _notes(submission: Submission, settings: Chosen) -> tuple[str, ...]:
    options, job = settings.options, submission.job
    tracked = reports_to_server(submission, options)
    notes = []
    if submission.sweep:
        notes.append("OSMO runs as many of the sweep's tasks at a time as its pool has room for")
        if submission.sweep.prune:
            notes.append("OSMO ends no task for what it reports: --prune means nothing there")
    if options.tracking_uri and not is_remote(options.tracking_uri):
        notes.append(f"the task cannot reach {options.tracking_uri}: its metrics go to files among its outputs")
    elif not tracked:
        notes.append("no MLflow server is named: metrics go to files among the outputs; gaitway download brings them")
    if _needs_server(submission):
        notes.append(
            f"nothing here names the MLflow server that keeps {_kept_by_server(submission)}: unless the image or "
            "the pod sets MLFLOW_TRACKING_URI, the task needs --tracking-uri or an Azure ML workspace"
        )
    if options.with_tracking:
        notes.append(
            "--with-tracking adds nothing: the job reports to the MLflow server that is named"
            if tracked
            else "an MLflow server beside the training shows those files while it runs: "
            f"gaitway port-forward RUN {TRACKING_PORT}"
        )
    if not options.storage_uri:
        notes.append(
            "outputs are kept in OSMO's own store when a task ends (an OSMO without one starts no task); --storage-uri "
            "keeps them where you can read"
        )
    if job.kind in ("train", "ship") and not (tracked or options.storage_uri):
        notes.append(
            "a preempted training continues where --storage-uri, an MLflow server or your OSMO data credential keeps "
            "its checkpoints; --require-resume refuses it where none does"
        )
    if options.priority == "LOW":
        notes.append(
            "LOW priority may be preempted; the job continues as often as OSMO's max_retry_per_task allows, which is 0 "
            "unless an administrator has set it; --require-resume refuses it there"
        )
    return tuple(notes)
