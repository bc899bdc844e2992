"""Search for jobs that this folder has no record of: by run id, all of a workspace, and adoption of one."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from urllib.parse import quote

from gaitway_runtime.spec.chain import STAGES, job_of
from gaitway_runtime.spec.job import JOB_KINDS, Job
from gaitway_runtime.spec.job_document import from_document, from_environment, to_document
from gaitway_runtime.spec.run_context import AzureContext, RunContext
from gaitway_runtime.spec.types import JsonObject, object_at

from ...errors import UsageError
from ...settings.resolve import resolve, terraform_folder
from ..base import AdoptedRun, RemoteRun, RunRef, RunStatus
from .client import Azure, AzureWorkspace, studio_url
from .request import CONTEXT_VARIABLE, inputs_declared
from .status import PIPELINE, STATUSES
from .submit import FOLDER, JOB_NAME, RECORD_FILE

MOST = 200
"""Newest jobs of the workspace that are listed."""

LOOKED_AT = 50
"""Newest jobs that are searched for a run id."""


def find_job(run_id: str, run_dir: Path) -> RunRef | None:
    """Return the job of a submission that got no answer, or None where the workspace has none.

    Args:
        run_id: Id of the run, which the job carries.
        run_dir: The run's folder, where the record of the submission has the name of the job, if it got so far.

    Raises:
        GaitwayError: The workspace is not named, or Azure ML does not answer.
    """
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        record = json.loads((run_dir / FOLDER / RECORD_FILE).read_text(encoding="utf-8"))
        azure, name = Azure(AzureWorkspace(record["names"], record["origins"])), str(record[JOB_NAME])
        found = azure.find(f"/jobs/{name}")
        return RunRef("", "azureml", name, studio_url(found)) if found else None
    for job in workspace_here().items("/jobs", {"listViewType": "ActiveOnly"}, LOOKED_AT):
        properties = object_at(job, "properties")
        if run_id in json.dumps([object_at(properties, key) for key in ("environmentVariables", "jobs")]):
            return RunRef("", "azureml", str(job.get("name")), studio_url(job))
    return None


def list_jobs() -> list[RemoteRun]:
    """Return the newest jobs of the workspace, of all its users, newest last.

    Raises:
        GaitwayError: The workspace is not named, or Azure ML does not answer.
    """
    jobs = workspace_here().items("/jobs", {"listViewType": "ActiveOnly"}, MOST)
    return [_remote_run(job) for job in reversed(jobs)]


def adopt_job(name: str) -> AdoptedRun:
    """Return what a job carries of its run.

    Raises:
        UsageError: There is no such job, or it is not one of gaitway's.
        GaitwayError: Azure ML does not answer.
    """
    azure = workspace_here()
    found = azure.find(f"/jobs/{quote(name, safe='')}")
    if found is None:
        raise UsageError(f"the workspace has no job '{name}'", hint="gaitway runs --on azureml --all")
    about = object_at(found, "properties")
    job, context = _job_of(name, about)
    experiment = str(about.get("experimentName") or "Default")
    names, origins = dict(azure.workspace.names), dict(azure.workspace.origins)
    return AdoptedRun(
        ref=RunRef(context.run, "azureml", name, studio_url(found)),
        job=job,
        context=context,
        created=str(object_at(found, "systemData").get("createdAt") or ""),
        settings={"task": {"value": job.task, "origin": f"azureml {name}", "shadowed": []}},
        experiment=experiment,
        files={f"{FOLDER}/{RECORD_FILE}": {"names": names, "origins": origins, "experiment": experiment}},
    )


def workspace_here() -> Azure:
    """Return the workspace that environment and Terraform outputs name.

    Raises:
        ConfigError: One of its names is not set, or is an example's.
    """
    settings = resolve([AzureContext], {}, environ=os.environ, terraform_dir=terraform_folder({}, os.environ))
    return Azure(AzureWorkspace.required(settings))


def _remote_run(job: JsonObject) -> RemoteRun:
    about, system = object_at(job, "properties"), object_at(job, "systemData")
    word = str(about.get("status", ""))
    return RemoteRun(
        id=str(job.get("name")),
        status=STATUSES.get(word, RunStatus.UNKNOWN),
        word=word,
        created=str(system.get("createdAt") or ""),
        user=str(system.get("createdBy") or ""),
        url=studio_url(job),
    )


def _job_of(name: str, about: JsonObject) -> tuple[Job, RunContext]:
    """Return the job and the run that a command job, or a pipeline of stages, describes.

    Raises:
        UsageError: It is not one of gaitway's.
    """
    try:
        if about.get("jobType") != PIPELINE:
            return _described(object_at(about, "environmentVariables"), object_at(about, "inputs"), name)
        nodes = object_at(about, "jobs")
        found = {
            stage: _described(
                object_at(object_at(nodes, stage), "environment_variables"),
                object_at(object_at(nodes, stage), "inputs"),
                name,
            )
            for stage in STAGES
            if stage in nodes
        }
        return job_of({stage: job for stage, (job, _) in found.items()}), found["train"][1]
    except (KeyError, ValueError, UsageError):
        raise UsageError(f"job '{name}' is not one of gaitway's", source="azureml") from None


def _described(environment: JsonObject, inputs: JsonObject, name: str) -> tuple[Job, RunContext]:
    """Return the job and the run that variables and inputs of a command describe.

    Raises:
        KeyError: A variable of gaitway's is missing.
        ValueError: The context is not JSON.
        UsageError: A value is none of its setting's.
    """
    variables = {key: str(value) for key, value in environment.items()}
    kind = JOB_KINDS[variables["JOB_KIND"]]
    for item in inputs_declared(kind):
        variables[item.info.env[0]] = str(object_at(inputs, item.name).get("value", ""))
    document = to_document(from_environment(variables), RunContext())
    return from_document({**document, "context": json.loads(variables[CONTEXT_VARIABLE])}, f"job {name}")
