"""Everything that changes the world: the code asset, the environment, the job.

The job is sent by Microsoft's own client; what it would find out late is asked before.
"""

from __future__ import annotations

import contextlib
import io
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gaitway_runtime.job import ValidateJob, model_name_for
from gaitway_runtime.result import write_json
from gaitway_runtime.tracking.redaction import scrub

from ...errors import ConfigError, GaitwayError, PlatformError, UsageError, nearest
from ...payload.manifest import Payload
from ...settings.values import require
from ..base import Request, RunRef, Submission
from .client import Azure, Workspace, meaning
from .options import Chosen, chosen
from .rendering import NEEDED, code_name

FOLDER = "azureml"
RECORD_FILE = "submitted.json"
CODE_VERSION = "1"
"""A code asset's name says what is in it: it never has another version."""

NO_CLIENT = "pip install 'gaitway[azureml]'"


def send(submission: Submission, request: Request, run_dir: Path) -> RunRef:
    """Upload the payload where it is new, and submit the job.

    Raises:
        GaitwayError: A name is missing or wrong, Azure ML refused, or cannot be reached.
    """
    require(submission.settings, *NEEDED)
    workspace, settings = Workspace.of(submission.settings), chosen(submission)
    azure = Azure(workspace)
    check(azure, submission, settings)
    with _errors(workspace):
        client = _client(workspace)
        document = _document(request)
        _ensure_environment(azure, client, document["environment"], settings)
        _ensure_code(azure, client, submission, run_dir / FOLDER)
        code = f"{workspace.scope}/codes/{code_name(submission)}/versions/{CODE_VERSION}"
        made = _submit(client, document, code, submission.run)
    record = {"names": dict(workspace.names), "origins": dict(workspace.origins), "experiment": settings.experiment}
    write_json(record, run_dir / FOLDER / RECORD_FILE)
    return RunRef(submission.run, "azureml", str(made.name), str(made.studio_url or "") or None)


def check(azure: Azure, submission: Submission, settings: Chosen) -> None:
    """Ask whether the workspace has what the job names.

    Raises:
        GaitwayError: It has not; the error names the setting, its value and where it came from.
    """
    azure.get("")
    check_compute(azure, submission, settings)
    job = submission.job
    if isinstance(job, ValidateJob) and not job.checkpoint_uri:
        check_model(azure, job, submission)


def check_compute(azure: Azure, submission: Submission, settings: Chosen) -> None:
    """Look at the compute target and its instance types.

    Raises:
        UsageError: There is no such compute, or it has no such instance type.
        PlatformError: It is not usable.
    """
    source = f"{settings.compute} ({submission.settings['compute'].origin})"
    found = azure.find(f"/computes/{_quoted(settings.compute)}")
    if found is None:
        names = [str(item["name"]) for item in azure.get("/computes").get("value") or []]
        close = nearest(str(settings.compute), names, 1)
        raise UsageError(
            f"the workspace has no compute '{settings.compute}'",
            source=f"compute = {source}",
            allowed=", ".join(names) or None,
            hint=f"did you mean {close}?" if close else "--compute NAME, or AZUREML_COMPUTE",
        )
    about = found["properties"]
    state = str(about.get("provisioningState", "Succeeded"))
    if state != "Succeeded":
        raise PlatformError(f"compute {settings.compute} is not usable: {state}", source=f"compute = {source}")
    wanted, kind = settings.options.instance_type, str(about.get("computeType", ""))
    setting = submission.settings["instance_type"]
    told = f"instance_type = {wanted} ({setting.origin})"
    if wanted and kind != "Kubernetes":
        raise UsageError(
            f"compute {settings.compute} is of kind {kind}, which has no instance types",
            source=told,
            hint="--instance-type none",
        )
    types = ((about.get("properties") or {}).get("instanceTypes") or {}) if kind == "Kubernetes" else {}
    if wanted and types and wanted not in types:
        raise UsageError(
            f"compute {settings.compute} has no instance type '{wanted}'", source=told, allowed=", ".join(types)
        )


def check_model(azure: Azure, job: ValidateJob, submission: Submission) -> None:
    """Look whether the model that is to be validated exists.

    Raises:
        UsageError: It does not, or not in that version.
    """
    name = job.model_name or model_name_for(job.task)
    path = f"/models/{_quoted(name)}/versions"
    versions = azure.find(path)
    known = [str(item["name"]) for item in (versions or {}).get("value") or []]
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
    """Lay out a payload's files alone in a folder for the client to upload."""
    stage = folder / "stage"
    shutil.rmtree(stage, ignore_errors=True)
    for file in payload.files:
        path = stage / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file.source, path)
    # The client would leave out what a .gitignore in the payload names; this file takes its place.
    (stage / ".amlignore").touch()
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _ensure_code(azure: Azure, client: Any, submission: Submission, folder: Path) -> None:
    """Upload the payload as a code asset of its own name, unless the workspace has it."""
    from azure.ai.ml.entities._assets._artifacts.code import Code

    name = code_name(submission)
    if azure.find(f"/codes/{name}/versions/{CODE_VERSION}") is not None:
        return
    with staged(submission.payload, folder) as stage:
        # The client has no public door to code assets: those it makes for a job have a new name every time.
        client._code.create_or_update(Code(name=name, version=CODE_VERSION, path=str(stage)))


def _ensure_environment(azure: Azure, client: Any, named: Any, settings: Chosen) -> None:
    """Register the environment that gaitway's own job names, unless the workspace has it.

    Raises:
        UsageError: It has, with another image.
    """
    name, version = settings.options.environment_name, settings.environment_version
    if named != f"azureml:{name}:{version}":
        return
    found = azure.find(f"/environments/{_quoted(name)}/versions/{_quoted(version)}")
    if found is None:
        from azure.ai.ml.entities import Environment

        client.environments.create_or_update(Environment(name=name, version=version, image=settings.options.image))
        return
    image = found["properties"].get("image")
    if image != settings.options.image:
        raise UsageError(
            f"environment {name}:{version} holds another image: {image}",
            source=f"--image {settings.options.image}",
            hint="--environment-version VERSION names a new one",
        )


def _document(request: Request) -> dict[str, Any]:
    import yaml

    document: dict[str, Any] = yaml.safe_load(request.body)
    return document


def _submit(client: Any, document: Mapping[str, Any], code: str, run: str) -> Any:
    import yaml
    from azure.ai.ml import load_job

    # A name is the workspace's for ever; one of fixed length after it is never the beginning of another.
    name = f"{run}-{secrets.token_hex(4)}"
    job = load_job(source=io.StringIO(yaml.safe_dump({**document, "name": name}, sort_keys=False)))
    # The client takes a code asset's short name for a folder.
    job.code = code
    return client.jobs.create_or_update(job)


def _client(workspace: Workspace) -> Any:
    """Return Microsoft's client for a workspace.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        from azure.ai.ml import MLClient
        from azure.identity import DefaultAzureCredential
    except ImportError:
        raise ConfigError("azure-ai-ml is not installed", source="--on azureml", hint=NO_CLIENT) from None
    subscription, group, name = workspace.names.values()
    return MLClient(DefaultAzureCredential(), subscription, group, name, enable_telemetry=False, show_progress=False)


@contextlib.contextmanager
def _errors(workspace: Workspace) -> Iterator[None]:
    """Turn what the client raises into the project's errors; its own texts are walls of JSON.

    What it prints on standard error (colours on no terminal, its experimental classes) is dropped.
    """
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    except GaitwayError:
        raise
    except Exception as error:
        # Every error of the client's is of one of three packages; whatever else it is, is ours to see.
        if not type(error).__module__.startswith(("azure.", "msrest.", "marshmallow.")):
            raise
        raise _meaning(error, workspace) from None


def _meaning(error: Exception, workspace: Workspace) -> GaitwayError:
    from azure.core.exceptions import ClientAuthenticationError, HttpResponseError

    if isinstance(error, ClientAuthenticationError) and error.response is None:
        return ConfigError(f"no Azure identity works here: {_line(error)}", source="Azure credentials", hint="az login")
    if isinstance(error, HttpResponseError) and error.status_code:
        code = str(getattr(error.error, "code", "") or "")
        message = str(getattr(error.error, "message", "") or "") or _line(error)
        return meaning(error.status_code, code, " ".join(scrub(message).split())[:300], workspace)
    return PlatformError(f"Azure ML's client failed: {_line(error)}", hint="gaitway doctor --on azureml")


def _quoted(name: str | None) -> str:
    return quote(str(name), safe="")


def _line(error: Exception) -> str:
    text = re.sub(r"\s+", " ", scrub(str(error))).strip()
    return (text if len(text) <= 300 else f"{text[:297]}...") or type(error).__name__
