"""From a submission to the request, purely: gaitway's own workflow, or the user's template with values."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from gaitway_runtime.job import AzureContext, Job
from gaitway_runtime.tracking.store import is_remote

from ...errors import ConfigError, UsageError, nearest
from ...payload.pack import packed
from ...settings.fields import Declared, declared
from ..base import Request, Submission
from ..container import to_yaml
from . import checks, document, forwarding, own, variables
from .delivery import Route, choose
from .forwarding import Forwarded
from .options import Chosen, OsmoOptions, chosen, workflow_name
from .uploading import KEPT_ENCODED

PACKED_HERE = 64 * 2**20
"""Largest payload that is packed to plan it [bytes]; above, its size unpacked stands for that of its archive."""


def render(submission: Submission) -> Request:
    """Return the request of a submission.

    Raises:
        GaitwayError: OSMO would refuse it, or accept it and let it die.
    """
    words = forwarding.read(submission.forwarded)
    _check_tracking(submission)
    settings = chosen(submission)
    options = settings.options
    size = submission.payload.size
    size = len(packed(submission.payload)) if size <= PACKED_HERE else size
    data: dict[str, Any] = {"environment": dict(words.environment), "pool": options.pool, "priority": options.priority}
    if options.workflow_file:
        template = own.load(Path(options.workflow_file))
        route = own.route(template, submission.payload, size, options)
        body, values = _own(submission, settings, words, route, template)
        data |= {"template": options.workflow_file, "values": values, "numbers": sorted(words.numbers)}
    else:
        route = choose(submission.payload, size, options)
        body = _house(submission, settings, words, route)
    data["route"] = dataclasses.asdict(route)
    return Request("osmo", body, (route.verdict, *_notes(submission, settings)), data)


def settings_named(words: tuple[str, ...], job: type[Job]) -> dict[str, str]:
    """Return the settings that a user named after ``--``, by key: ``azure_resource_group=...`` and the like.

    Raises:
        UsageError: What stands after ``--`` cannot be read.
    """
    found, known = forwarding.read(words), _declared(job)
    keys = {name: variables.key_of(name, known.values()) for name in found.variables}
    return {key: found.variables[name] for name, key in keys.items() if key} | dict(found.options)


def _house(submission: Submission, settings: Chosen, words: Forwarded, route: Route) -> str:
    known = _declared(type(submission.job))
    for name in words.variables:
        if variables.key_of(name, known.values()) is None:
            every = {other for item in known.values() for other in variables.names_of(item)}
            close = nearest(name, every, 1)
            raise UsageError(
                f"'{name}' is no variable of gaitway's workflow",
                source=forwarding.SOURCE,
                hint=f"did you mean {close}?" if close else "--workflow FILE submits a template of yours",
            )
    found = document.workflow(document.Parts(submission, settings, route))
    for task in checks.tasks_of(found["workflow"]):
        task["environment"] |= words.environment  # type: ignore[index]
    checks.check_marks(found, "the workflow")
    checks.check(found, "the workflow")
    return to_yaml(found)


def _own(
    submission: Submission, settings: Chosen, words: Forwarded, route: Route, template: own.Template
) -> tuple[str, dict[str, str]]:
    """Return what the user's template comes to, and the values that it is submitted with."""
    own.check_variables(template, words.variables)
    values = {
        **_values(submission, settings, route, template),
        **_payload_values(submission, settings, route, template),
    }
    values |= words.variables
    expanded = own.expand(template, values, words.numbers)
    checks.check(expanded, f"--workflow {template.path}")
    own.flags(template, values, words.numbers)  # which checks them as arguments
    return to_yaml(expanded), values


def _payload_values(submission: Submission, settings: Chosen, route: Route, template: own.Template) -> dict[str, str]:
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
        found["encoded_archive"] = document.encoded(packed(submission.payload))
    return {name: value for name, value in found.items() if name in template.variables}


def _values(submission: Submission, settings: Chosen, route: Route, template: own.Template) -> dict[str, str]:
    """Return gaitway's settings as the template's variables: what someone chose, and what the template leaves open."""
    filled = {**{key: setting.value for key, setting in submission.settings.items()}, **_filled(settings)}
    filled["workflow_name"] = workflow_name(settings.options, submission.job.kind, route.kind)
    known = _declared(type(submission.job))
    found = {}
    for key, item in known.items():
        setting = submission.settings.get(key)
        chosen_by_someone = setting is not None and setting.origin.layer != "default"
        for name in variables.names_of(item) & template.variables:
            if chosen_by_someone or name not in template.defaults:
                found[name] = variables.text_of(item, filled.get(key, item.default))
    return found


def _filled(settings: Chosen) -> dict[str, Any]:
    names = {"cpu": settings.cpu, "memory": settings.memory, "storage": settings.storage}
    return {**names, "exec_timeout": settings.exec_timeout}


def _declared(job: type[Job]) -> dict[str, Declared]:
    return declared([job, AzureContext, OsmoOptions])


def _check_tracking(submission: Submission) -> None:
    """Refuse an address that OSMO would keep in the workflow for all to read.

    Raises:
        ConfigError: It holds a credential.
    """
    tracking = submission.settings.get("tracking_uri")
    if tracking and tracking.whole:
        raise ConfigError(
            "the address of the MLflow server holds a credential, which the workflow would have to write down",
            source=str(tracking.origin),
            hint="osmo credential set mlflow ..., then --credential mlflow:MLFLOW_TRACKING_URI=KEY",
        )


def _notes(submission: Submission, settings: Chosen) -> tuple[str, ...]:
    options, job = settings.options, submission.job
    azure = submission.context.azure
    notes = []
    if options.tracking_uri and not is_remote(options.tracking_uri):
        notes.append(f"the task cannot reach {options.tracking_uri}: its own tracking stays in the container")
    elif not options.tracking_uri and not (azure.subscription_id and azure.resource_group and azure.workspace_name):
        notes.append("no MLflow server is named: set --tracking-uri, or the three --azure- settings of a workspace")
    if job.kind == "train" and not options.storage_uri:
        notes.append("checkpoints are kept by MLflow alone; --storage-uri keeps them in object storage as well")
    if options.priority == "LOW":
        notes.append("LOW priority may be preempted; the training then goes on from its newest checkpoint")
    return tuple(notes)
