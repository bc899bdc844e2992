"""Model versions of an Azure ML workspace: a job's artifact folder as a ``custom_model``, through Resource Manager.

A workspace refuses folders without an ``MLmodel`` file through MLflow's interface ("registering a raw folder is not
supported", how-to-manage-models-mlflow). A model whose URI names the job's artifacts keeps the job as its lineage.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from ..spec.errors import ConfigError, PlatformError
from ..spec.secrets import one_line, silence_http_loggers
from ..spec.types import JsonObject
from ..stores.azure import AZURE_SCOPE, azure_token, role_hint
from ..stores.mlflow_client import retry, seconds_of
from ..stores.streams import StreamLimits, Transient
from .base import ModelVersion

if TYPE_CHECKING:
    import httpx

MANAGEMENT = "https://management.azure.com"
API_VERSION = "2024-04-01"
MOST_TAGS, LONGEST_KEY, LONGEST_VALUE = 50, 100, 1000
"""Limits of a model version's tags (Azure ML's page of service limits)."""

ATTEMPTS = 5
"""Attempts at a request that meets a busy service, and at a version number that somebody else takes first."""

_BUSY = frozenset((408, 429, 500, 502, 503, 504))


def workspace_scope(tracking_uri: str) -> str | None:
    """Return the resource id of the workspace that a tracking URI belongs to; None for another tracking server."""
    if not tracking_uri.startswith("azureml:"):
        return None
    found = re.search(
        r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/[^/]+/workspaces/[^/?#]+", tracking_uri, re.I
    )
    return found[0] if found else None


def register_custom_model(
    scope: str,
    job: str,
    name: str,
    artifact_path: str,
    tags: Mapping[str, str],
    pause: Callable[[float], object] = time.sleep,
) -> ModelVersion:
    """Register a folder of a job's artifacts as the next version of a model.

    Args:
        scope: Resource id of the workspace.
        job: Name of the job, which is the id of its MLflow run.
        name: Name of the model.
        artifact_path: The folder below the job's artifacts.
        tags: Tags of the version; values above Azure's limit are cut.
        pause: How to wait between attempts [s].

    Raises:
        ConfigError: The job's identity has no role that allows it; the error names role and scope.
        PlatformError: Azure refuses or does not answer.
    """
    document = _document(job, artifact_path, tags)
    model = f"{MANAGEMENT}{scope}/models/{quote(name, safe='')}"
    for _ in range(ATTEMPTS):
        version = _next_version(model, scope, pause)
        answer = _send("PUT", f"{model}/versions/{version}", document, pause)
        if answer.status_code != 409:
            _check(answer, f"register model {name}", scope)
            return ModelVersion(name, version)
    raise PlatformError(
        f"model {name} could not be registered: others take each version number first", hint="try again"
    )


def short_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return tags within Azure's limits: the first fifty, keys and values cut, a cut value marked."""
    found = {}
    for key, value in list(tags.items())[:MOST_TAGS]:
        text = str(value)
        found[key[:LONGEST_KEY]] = text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."
    return found


def _document(job: str, artifact_path: str, tags: Mapping[str, str]) -> JsonObject:
    return {
        "properties": {
            "modelType": "custom_model",
            "modelUri": f"azureml://jobs/{job}/outputs/artifacts/paths/{artifact_path}",
            "description": f"Made by job {job}",
            "tags": short_tags(tags),
            "properties": {"gaitway.job": job},
            "isAnonymous": False,
        }
    }


def _next_version(model: str, scope: str, pause: Callable[[float], object]) -> str:
    answer = _send("GET", model, None, pause)
    if answer.status_code == 404:
        return "1"
    _check(answer, "read the model registry", scope)
    about = answer.json().get("properties") or {}
    return str(about.get("nextVersion") or int(about.get("latestVersion") or 0) + 1)


def _send(method: str, url: str, document: JsonObject | None, pause: Callable[[float], object]) -> httpx.Response:
    import httpx

    silence_http_loggers()

    def send() -> httpx.Response:
        headers = {"Authorization": f"Bearer {azure_token(AZURE_SCOPE)}"}
        params = {"api-version": API_VERSION}
        try:
            answer = httpx.request(method, url, params=params, headers=headers, json=document, timeout=60)
        except httpx.HTTPError as error:
            raise Transient(f"Azure does not answer: {type(error).__name__}") from None
        if answer.status_code in _BUSY:
            asked = seconds_of(answer.headers.get("retry-after", ""))
            raise Transient(f"Azure answers HTTP {answer.status_code}", asked)
        return answer

    return retry(send, StreamLimits(attempts=ATTEMPTS), MANAGEMENT, pause)


def _check(answer: httpx.Response, act: str, scope: str) -> None:
    if answer.status_code < 400:
        return
    message = _message(answer)
    if answer.status_code in (401, 403):
        raise ConfigError(
            f"the job's identity is not allowed to {act}: {message}",
            source=scope,
            hint=f"{role_hint(scope)}; or use --identity with one that has them",
        )
    raise PlatformError(f"Azure refused to {act}: {message}", source=scope)


def _message(answer: httpx.Response) -> str:
    try:
        said = str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        said = f"HTTP {answer.status_code}"
    return one_line(said)
