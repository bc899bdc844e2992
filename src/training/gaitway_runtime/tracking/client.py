"""The MLflow client as gaitway uses it: imported late, quiet, and with errors sorted into passing and lasting."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from ..errors import ConfigError
from .redaction import scrub, silence_http_loggers

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_ENVIRONMENT = {
    # back-off is gaitway's own (sender.py): it can be interrupted, MLflow's cannot
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}

_LASTING_STATUS = frozenset((400, 404, 405, 409, 413, 422, 501))
"""HTTP statuses that the same request will meet again; everything else may pass (401 and 403: a token expires)."""


def open_client(tracking_uri: str) -> MlflowClient:
    """Return an MLflow client of a store; nothing is contacted yet.

    Raises:
        ConfigError: MLflow is not installed or does not know such a store.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import mlflow
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ImportError:
        raise ConfigError("MLflow is not installed", hint="pip install 'gaitway[local]'") from None
    silence_http_loggers()
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if tracking_uri.startswith("azureml"):
        # Azure ML's plug-in opens artifacts with the process's own store, whichever client asks.
        mlflow.set_tracking_uri(tracking_uri)
    try:
        return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
    except MlflowException as error:
        raise ConfigError(
            f"MLflow cannot use this store: {one_line(error)}",
            source=scrub(tracking_uri),
            hint="set MLFLOW_TRACKING_URI, or name the Azure ML workspace; a store of one's own needs all of MLflow",
        ) from None


def lasting(error: Exception) -> bool:
    """Whether sending the same request again is of no use."""
    if isinstance(error, OSError):  # requests' errors are among them, also those that are ValueErrors as well
        gone = isinstance(error, (FileNotFoundError, IsADirectoryError, NotADirectoryError))
        return gone or status_of(error) in _LASTING_STATUS
    return isinstance(error, (TypeError, ValueError)) or status_of(error) in _LASTING_STATUS


def refused(error: Exception) -> bool:
    """Whether a server that answers will not have us, or this request."""
    return lasting(error) or status_of(error) in (401, 403) or "Authentication" in type(error).__name__


def status_of(error: Exception) -> int | None:
    """Return the HTTP status that an error of MLflow's, or of the HTTP library below it, stands for, if any."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        status: int = error.get_http_status_code()
        return status
    found: int | None = getattr(getattr(error, "response", None), "status_code", None)
    return found


def one_line(error: BaseException) -> str:
    """Return an error's text as one scrubbed line of bounded length."""
    text = " ".join(scrub(str(error)).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."
