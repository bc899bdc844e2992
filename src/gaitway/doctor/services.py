"""Checks of services and what leads to them: Azure, Terraform, the MLflow store and the tracking server."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from gaitway_runtime.spec.files import DATABASE, check_store, database_path, store_uri
from gaitway_runtime.spec.packages import install_command
from gaitway_runtime.spec.secrets import public_form

from ..errors import ConfigError, GaitwayError
from ..findings import Finding
from ..settings.terraform import Outputs
from ..settings.values import Setting
from . import probe
from .machine import nearest_folder

AZURE_KEYS = ("azure_subscription_id", "azure_resource_group", "azure_workspace_name")
AZURE_LOGIN = "az login, or set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET"
TERRAFORM_INSTALL = "https://developer.hashicorp.com/terraform/install"
SERVER_TIMEOUT_S = 5.0


def azure_workspace(settings: Mapping[str, Setting], environ: Mapping[str, str]) -> Iterator[Finding]:
    """Get a token and ask for the workspace, in a process of its own that may take half a minute."""
    unset = [key for key in AZURE_KEYS if settings[key].value is None]
    if unset:
        fix = "set " + ", ".join(" or ".join(settings[key].ways[:2]) for key in unset)
        yield Finding("azure workspace", False, f"not set: {', '.join(unset)}", fix)
        return
    if find_spec("azure") is None or find_spec("azure.identity") is None:
        yield Finding("azure credential", False, "azure-identity is not installed", install_command("azureml"))
        return
    ids = [str(settings[key].value) for key in AZURE_KEYS]
    well, said = probe.ask("workspace", environ, *ids, timeout=30)
    yield Finding("azure workspace", well, said, "" if well else f"{AZURE_LOGIN}; then look at the names above")


def terraform() -> Iterator[Finding]:
    """Look for the binary and its version."""
    binary = shutil.which("terraform")
    if binary is None:
        message = "terraform is not installed; a state file is read instead, where there is one"
        yield Finding(
            "terraform", False, message, f"install it ({TERRAFORM_INSTALL}), or name the settings by flag or variable"
        )
        return
    answer = probe.run([binary, "version", "-json"], {**os.environ, "CHECKPOINT_DISABLE": "1"})
    try:
        version = json.loads(answer.output)["terraform_version"]
        yield Finding("terraform", True, f"terraform {version} ({binary})")
    except (ValueError, LookupError, TypeError):
        message = f"terraform does not tell its version: {answer.failure or 'no answer'}"
        yield Finding("terraform", False, message, f"install it anew ({TERRAFORM_INSTALL})")


def terraform_outputs(found: Outputs, problem: GaitwayError | None) -> Iterator[Finding]:
    """Tell what the folder's outputs offer."""
    if problem:
        yield Finding("terraform outputs", False, problem.message, problem.hint or f"look at {problem.source}")
        return
    yield found.finding or Finding("terraform outputs", True, f"{found.folder}: {', '.join(sorted(found.values))}")


def local_store(home: Path) -> Iterator[Finding]:
    """Look at the store of this folder's runs."""
    try:
        store_uri(home)
    except ConfigError as error:
        yield Finding("mlflow store", False, f"{error.message}: {error.source}", error.hint or "")
        return
    yield _database(home.absolute() / DATABASE)


def tracking_address(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Tell of an ``MLFLOW_TRACKING_URI`` with which no run starts here."""
    uri = _tracking_uri(environ)
    try:
        check_store(uri, environ) if uri else None
    except ConfigError as error:
        yield Finding("tracking server", False, f"{error.message}: {public_form(uri)}", error.hint or "")


def tracking_server(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look at what ``MLFLOW_TRACKING_URI`` names, where it is set and can be used."""
    uri = _tracking_uri(environ)
    database = database_path(uri)
    if any(tracking_address(environ)):
        return
    if database:
        yield _database(database)
    elif uri.startswith(("http://", "https://")):
        answers = _answers(uri)
        yield answers
        if answers.ok:
            yield from _artifact_store(uri, environ)
    elif uri:
        yield Finding("tracking server", True, f"{public_form(uri)} is set; it was not contacted")


def _tracking_uri(environ: Mapping[str, str]) -> str:
    return environ.get("MLFLOW_TRACKING_URI", "").strip()


def _database(path: Path) -> Finding:
    from gaitway_runtime.stores.tracking_server import check_database

    fix = "set GAITWAY_HOME to a folder you own"
    if not path.exists():
        folder = nearest_folder(path)
        writable = os.access(folder, os.W_OK | os.X_OK)
        message = f"none yet; the first run makes {path}" if writable else f"{folder} cannot be written"
        return Finding("mlflow store", writable, message, fix)
    if not os.access(path, os.R_OK | os.W_OK):
        return Finding("mlflow store", False, f"{path} cannot be read and written", fix)
    try:
        check_database(path)
    except ConfigError as error:
        return Finding("mlflow store", False, f"{error.message}: {path}", error.hint or fix)
    return Finding("mlflow store", True, f"{path} is readable, writable and of this MLflow's schema")


def _answers(uri: str) -> Finding:
    import httpx

    named = public_form(uri)
    fix = "start the server, or unset MLFLOW_TRACKING_URI to use the local store"
    try:
        answer = httpx.get(f"{uri.rstrip('/')}/health", timeout=SERVER_TIMEOUT_S)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Finding("tracking server", False, f"{named} cannot be reached: {type(error).__name__}", fix)
    ok = answer.status_code == 200
    return Finding("tracking server", ok, f"{named} answers {'' if ok else f'{answer.status_code} '}".rstrip(), fix)


def _artifact_store(uri: str, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Tell what is missing here for the store in which a server keeps its artifacts, as far as it tells."""
    import httpx
    from gaitway_runtime.stores.tracking_server import missing_client

    user, token = environ.get("MLFLOW_TRACKING_USERNAME"), environ.get("MLFLOW_TRACKING_TOKEN")
    try:
        answer = httpx.get(
            f"{uri.rstrip('/')}/api/2.0/mlflow/experiments/get",
            params={"experiment_id": "0"},
            auth=(user, environ.get("MLFLOW_TRACKING_PASSWORD", "")) if user else None,
            headers={"Authorization": f"Bearer {token}"} if token else None,
            timeout=SERVER_TIMEOUT_S,
        )
        place = str(answer.json()["experiment"]["artifact_location"])
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError):
        return
    package = missing_client(place)
    if package:
        message = f"its artifacts lie in {public_form(place)}, which needs {package}"
        yield Finding("artifact store", False, message, f"pip install {package}")
