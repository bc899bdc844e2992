"""Submission of a job: checks of the workspace, then the code asset, the environment and the job.

Microsoft's client sends the job; what it would find out late is checked first.
"""

from __future__ import annotations

import contextlib
import io
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gaitway_runtime.spec.files import PAYLOAD_LIST
from gaitway_runtime.spec.job import ValidateJob, model_name_for
from gaitway_runtime.spec.packages import missing_package
from gaitway_runtime.spec.result import write_json
from gaitway_runtime.spec.secrets import scrub
from gaitway_runtime.spec.types import Json, JsonObject, object_at

from ...errors import ConfigError, GaitwayError, PlatformError, UsageError
from ...payload.archive import Payload, payload_list
from ..base import Request, RunRef, Submission, SubmissionUnconfirmed
from .client import BUSY, Azure, AzureWorkspace, Unanswered, error_of, studio_url
from .computes import CLUSTER, check_compute
from .options import ChosenOptions, is_default, options_of
from .request import code_name

FOLDER = "azureml"
RECORD_FILE = "submitted.json"
JOB_NAME = "job"
"""Key of the record with the name that the job was given."""

LONGEST_JOB_NAME = 200
CODE_VERSION = "1"
"""A code asset is named after its content: it never has another version."""


def submit(submission: Submission, request: Request, run_dir: Path) -> RunRef:
    """Upload the payload if the workspace does not have it, and submit the job.

    Raises:
        GaitwayError: A name is missing or wrong, or Azure ML refuses or cannot be reached.
    """
    workspace, settings = AzureWorkspace.required(submission.settings), options_of(submission)
    azure, document = Azure(workspace), _document(request)
    document = check_workspace(azure, document, submission)
    with _errors(workspace):
        client = _client(workspace)
        _ensure_environment(azure, client, _steps(document)[0]["environment"], settings)
        _ensure_code(azure, client, submission, run_dir / FOLDER)
    code = f"{workspace.scope}/codes/{code_name(submission)}/versions/{CODE_VERSION}"
    name = new_job_name(submission.run)
    experiment = request.data.get("experiment", settings.experiment)
    names, origins = dict(workspace.names), dict(workspace.origins)
    # Before the job: whoever gets no answer finds it again by its name.
    record = {"names": names, "origins": origins, "experiment": experiment, JOB_NAME: name}
    write_json(record, run_dir / FOLDER / RECORD_FILE)
    try:
        with _errors(workspace):
            made = _create_job(client, document, code, name)
    except PlatformError as error:
        return RunRef(submission.run, "azureml", name, studio_url(made_all_the_same(azure, name, error)))
    return RunRef(submission.run, "azureml", name, str(made.studio_url or "") or None)


def made_all_the_same(azure: Azure, name: str, error: PlatformError) -> JsonObject:
    """Return a job whose making ended in an error: an answer may be lost, and the name be taken for the next attempt.

    Args:
        azure: The workspace.
        name: Name of the job; no other one has it.
        error: The error.

    Raises:
        SubmissionUnconfirmed: Nobody knows whether Azure ML has the job.
        PlatformError: It has not; ``error`` itself.
    """
    looked = True
    try:
        found = azure.find(f"/jobs/{name}")
    except GaitwayError:
        looked, found = False, None
    if found is not None:
        return found
    if looked and not isinstance(error, Unanswered):
        raise error
    raise SubmissionUnconfirmed(
        f"Azure ML did not say whether it took the job: {error.message}",
        source=f"job {name}",
        hint="gaitway status RUN looks for it again; gaitway runs --on azureml --all lists the jobs",
    ) from None


def check_workspace(azure: Azure, document: JsonObject, submission: Submission) -> dict[str, Json]:
    """Check that the workspace has what a job names, and return the job as this compute takes it.

    A compute cluster has no instance types: one that nobody has chosen is left out for it.

    Raises:
        GaitwayError: Something is missing; the error names the setting, its value and its origin.
    """
    azure.get("")
    job = submission.job
    if isinstance(job, ValidateJob) and not job.checkpoint_uri:
        check_model(azure, job, submission)
    steps, trial = object_at(document, "jobs"), object_at(document, "trial")
    if trial:
        whole = _for_its_compute(azure, {**document, "resources": trial.get("resources")}, submission)
        trial = {**trial, "resources": whole.pop("resources")}
        return {**{name: part for name, part in whole.items() if part is not None}, "trial": trial}
    if not steps:
        return _for_its_compute(azure, document, submission)
    compute = object_at(document, "settings").get("default_compute")
    checked: dict[str, Json] = {}
    for name in steps:
        step = _for_its_compute(azure, {**object_at(steps, name), "compute": compute}, submission)
        checked[name] = {key: value for key, value in step.items() if key != "compute"}
    return {**document, "jobs": checked}


def _for_its_compute(azure: Azure, document: JsonObject, submission: Submission) -> dict[str, Json]:
    """Check the compute of a command job; return the job without an instance type where the compute has none."""
    kind = check_compute(azure, document, submission)
    resources = object_at(document, "resources")
    if kind == CLUSTER and is_default(submission, "instance_type"):
        return {**document, "resources": {key: value for key, value in resources.items() if key != "instance_type"}}
    return dict(document)


def _steps(document: JsonObject) -> list[JsonObject]:
    """Return the command jobs of a document: its own, those of a pipeline's steps, or the trial of a sweep."""
    steps = object_at(document, "jobs")
    if "trial" in document:
        return [object_at(document, "trial")]
    return [object_at(steps, name) for name in steps] or [document]


def check_model(azure: Azure, job: ValidateJob, submission: Submission) -> None:
    """Check that the model to validate exists.

    Raises:
        UsageError: There is no such model, or no such version.
    """
    name = job.model_name or model_name_for(job.task)
    path = f"/models/{_quoted(name)}/versions"
    versions = azure.find(path)
    known = [str(item["name"]) for item in azure.items(path)] if versions is not None else []
    key = "model_name" if job.model_name else "task"
    if not known:
        derived = "" if job.model_name else f", the name derived from task {job.task}"
        raise UsageError(
            f"the workspace has no registered model '{name}'{derived}",
            source=f"{key} = {submission.settings[key].shown} ({submission.settings[key].origin})",
            hint=f"gaitway train --on azureml --task {job.task} registers one; --model-name NAME names another",
        )
    if job.model_version != "latest" and azure.find(f"{path}/{_quoted(job.model_version)}") is None:
        raise UsageError(
            f"model {name} has no version {job.model_version}",
            source=f"model_version = {job.model_version} ({submission.settings['model_version'].origin})",
            allowed=", ".join(sorted(known, key=lambda text: (len(text), text))),
        )


@contextlib.contextmanager
def staged(payload: Payload, folder: Path) -> Iterator[Path]:
    """Copy a payload's files into a folder of their own for the client to upload."""
    stage = folder / "stage"
    shutil.rmtree(stage, ignore_errors=True)
    for file in payload.files:
        path = stage / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file.source, path)
    # Without this file the client would leave out what a .gitignore in the payload names.
    (stage / ".amlignore").touch()
    (stage / PAYLOAD_LIST).write_text(payload_list(payload), encoding="utf-8")
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _ensure_code(azure: Azure, client: Any, submission: Submission, folder: Path) -> None:
    """Upload the payload as a code asset, unless the workspace has it."""
    from azure.ai.ml.entities._assets._artifacts.code import Code

    name = code_name(submission)
    if azure.find(f"/codes/{name}/versions/{CODE_VERSION}") is not None:
        return
    with staged(submission.payload, folder) as stage:
        # The client has no public method for code assets; the ones it makes for a job get a new name every time.
        client._code.create_or_update(Code(name=name, version=CODE_VERSION, path=str(stage)))


def _ensure_environment(azure: Azure, client: Any, named: Any, settings: ChosenOptions) -> None:
    """Register the environment that the job names, unless the workspace has it.

    Raises:
        UsageError: The workspace has it with another image.
    """
    name, version = settings.options.environment_name, settings.environment_version
    if named != f"azureml:{name}:{version}":
        return
    found = azure.find(f"/environments/{_quoted(name)}/versions/{_quoted(version)}")
    if found is None:
        from azure.ai.ml.entities import Environment

        client.environments.create_or_update(Environment(name=name, version=version, image=settings.options.image))
        return
    image = object_at(found, "properties").get("image")
    if image != settings.options.image:
        raise UsageError(
            f"environment {name}:{version} holds another image: {image}",
            source=f"--image {settings.options.image}",
            hint="--environment-version VERSION names a new one",
        )


def _document(request: Request) -> dict[str, Json]:
    import yaml

    document: dict[str, Json] = yaml.safe_load(request.body)
    return document


def _create_job(client: Any, document: JsonObject, code: str, name: str) -> Any:
    import yaml
    from azure.ai.ml import load_job

    job = load_job(source=io.StringIO(yaml.safe_dump({**document, "name": name}, sort_keys=False)))
    # The client takes the short name of a code asset for a folder. Its job makes up every attribute it is asked for.
    for part in job.jobs.values() if "jobs" in document else [job.trial if "trial" in document else job]:
        part.code = code
    return client.jobs.create_or_update(job)


def new_job_name(run: str) -> str:
    """Return a name for a job of a run, in the characters and the length that Azure ML takes.

    A job name can never be used again in a workspace; with an end of fixed length none is the beginning of another.
    """
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", run)[:LONGEST_JOB_NAME].strip("-_") or "job"
    return f"{stem}-{secrets.token_hex(4)}"


def _client(workspace: AzureWorkspace) -> Any:
    """Return Microsoft's client for a workspace.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        from azure.ai.ml import MLClient
        from azure.identity import DefaultAzureCredential
    except ImportError:
        raise missing_package("a submission to Azure ML", "azure-ai-ml", "azureml") from None
    subscription, group, name = workspace.names.values()
    return MLClient(DefaultAzureCredential(), subscription, group, name, enable_telemetry=False, show_progress=False)


@contextlib.contextmanager
def _errors(workspace: AzureWorkspace) -> Iterator[None]:
    """Turn the client's exceptions into the project's errors; the client's texts are pages of JSON.

    Its output on standard error (colours without a terminal, notes on experimental classes) is dropped.
    """
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    except _client_errors() as error:
        raise _client_error(error, workspace) from None


def _client_errors() -> tuple[type[Exception], ...]:
    """Return what the client raises."""
    from azure.ai.ml.exceptions import MlException
    from azure.core.exceptions import AzureError
    from marshmallow.exceptions import MarshmallowError

    return AzureError, MlException, MarshmallowError


def _client_error(error: Exception, workspace: AzureWorkspace) -> GaitwayError:
    from azure.core.exceptions import (
        ClientAuthenticationError,
        HttpResponseError,
        ServiceRequestError,
        ServiceResponseError,
    )

    if isinstance(error, ServiceRequestError | ServiceResponseError) or getattr(error, "status_code", None) in BUSY:
        return Unanswered(f"Azure ML did not answer: {_line(error)}", hint="gaitway doctor --on azureml")
    if isinstance(error, ClientAuthenticationError) and error.response is None:
        return ConfigError(f"no Azure identity works here: {_line(error)}", source="Azure credentials", hint="az login")
    if isinstance(error, HttpResponseError) and error.status_code:
        code = str(getattr(error.error, "code", "") or "")
        message = str(getattr(error.error, "message", "") or "") or _line(error)
        return error_of(error.status_code, code, " ".join(scrub(message).split())[:300], workspace)
    return PlatformError(f"Azure ML's client failed: {_line(error)}", hint="gaitway doctor --on azureml")


def _quoted(name: str | None) -> str:
    return quote(str(name), safe="")


def _line(error: Exception) -> str:
    text = re.sub(r"\s+", " ", scrub(str(error))).strip()
    return (text if len(text) <= 300 else f"{text[:297]}...") or type(error).__name__
