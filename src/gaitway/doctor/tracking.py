"""Tracking: the local MLflow store, and the server that the environment names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from gaitway_runtime.tracking.credentials import public_form
from gaitway_runtime.tracking.store import DATABASE, check_database, database_path

from ..errors import ConfigError
from ..findings import Finding
from .machine import nearest_folder

TIMEOUT_S = 5.0


def local_store(home: Path) -> Iterator[Finding]:
    """Look at the store of this folder's runs."""
    yield _database(home.absolute() / DATABASE)


def server(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look at what ``MLFLOW_TRACKING_URI`` names, where it is set."""
    uri = environ.get("MLFLOW_TRACKING_URI", "").strip()
    database = database_path(uri)
    if database:
        yield _database(database)
    elif uri.startswith(("http://", "https://")):
        yield _answers(uri)
    elif uri:
        yield Finding("tracking server", True, f"{public_form(uri)} is set; it was not contacted")


def _database(path: Path) -> Finding:
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
        answer = httpx.get(f"{uri.rstrip('/')}/health", timeout=TIMEOUT_S)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Finding("tracking server", False, f"{named} cannot be reached: {type(error).__name__}", fix)
    ok = answer.status_code == 200
    return Finding("tracking server", ok, f"{named} answers {'' if ok else f'{answer.status_code} '}".rstrip(), fix)
