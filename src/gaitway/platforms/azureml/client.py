"""Azure ML over REST: what following a job asks for, without the client library's two seconds of import.

Errors name the setting that is at fault, its value and where it came from.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from gaitway_runtime.tracking.azure import AZURE_SCOPE, azure_token
from gaitway_runtime.tracking.redaction import scrub, silence_http_loggers

from ...errors import ConfigError, GaitwayError, PlatformError
from ...settings.values import Setting

MANAGEMENT = "https://management.azure.com"
API_VERSION = "2024-04-01"
TIMEOUT_S = 60.0
ATTEMPTS = 5
"""How often a question is asked that meets a busy or broken service."""

BLOCK = 1 << 20
"""Bytes that are held at a time."""

LONGEST_PAUSE_S = 30.0
CANCEL_PATIENCE_S = 120.0
"""How long a cancellation is waited for [s]."""

_KEYS = {
    "subscription": "azure_subscription_id",
    "resource group": "azure_resource_group",
    "workspace": "azure_workspace_name",
}
_BUSY = frozenset((408, 429, 500, 502, 503, 504))


@dataclass(frozen=True)
class Workspace:
    """A workspace, and where its three names came from."""

    names: Mapping[str, str]
    origins: Mapping[str, str]

    @classmethod
    def of(cls, settings: Mapping[str, Setting]) -> Workspace:
        """Return the workspace that settings name; all three must be set."""
        found = {key: settings[key] for key in _KEYS.values()}
        return cls(
            {key: str(setting.value) for key, setting in found.items()},
            {key: str(setting.origin) for key, setting in found.items()},
        )

    @property
    def scope(self) -> str:
        """The workspace's resource id."""
        subscription, group, workspace = (self.names[key] for key in _KEYS.values())
        return (
            f"/subscriptions/{subscription}/resourceGroups/{group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{workspace}"
        )

    def told(self, what: str) -> str:
        """Return one of the three names with its value and origin, for an error's ``from:`` line."""
        key = _KEYS[what]
        return f"{key} = {self.names[key]} ({self.origins[key]})"


class Azure:
    """Questions to a workspace."""

    def __init__(self, workspace: Workspace, pause: Callable[[float], object] = time.sleep) -> None:
        silence_http_loggers()
        self.workspace = workspace
        self._pause = pause
        self._http = httpx.Client(timeout=TIMEOUT_S)
        self._history = ""

    def get(self, path: str) -> Any:
        """Return the answer to a question below the workspace.

        Raises:
            GaitwayError: There is no such thing, or it may not be asked, or Azure does not answer.
        """
        url = f"{MANAGEMENT}{self.workspace.scope}{path}"
        return self._ask("GET", url, params={"api-version": API_VERSION}).json()

    def find(self, path: str) -> Any | None:
        """Return the answer to a question below the workspace, or None if there is no such thing.

        Raises:
            GaitwayError: It may not be asked, or the workspace itself is missing, or Azure does not answer.
        """
        answer = self._send("GET", f"{MANAGEMENT}{self.workspace.scope}{path}", params={"api-version": API_VERSION})
        if answer.status_code == 404 and _code(answer) not in _WHOSE:
            return None
        return self._checked(answer).json()

    def cancel(self, name: str) -> None:
        """Cancel a job and wait until Azure ML says that it has.

        Raises:
            GaitwayError: It is not cancelled.
        """
        url = f"{MANAGEMENT}{self.workspace.scope}/jobs/{name}/cancel"
        answer = self._ask("POST", url, params={"api-version": API_VERSION})
        until = time.monotonic() + CANCEL_PATIENCE_S
        while answer.status_code == 202 and "location" in answer.headers and time.monotonic() < until:
            self._pause(_seconds(answer, 1.0))
            answer = self._further(answer.headers["location"], MANAGEMENT)

    def history(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """Return the answer to a question to the workspace's run history.

        Raises:
            GaitwayError: It is not answered.
        """
        if not self._history:
            tracking = str(self.get("")["properties"]["mlFlowTrackingUri"])
            self._history = f"https://{httpx.URL(tracking).host}/history/v1.0{self.workspace.scope}"
        return self._ask("GET", f"{self._history}{path}", params=params).json()

    def more(self, url: str) -> Any:
        """Return a further page of an answer of the run history's.

        Raises:
            GaitwayError: It is not answered.
        """
        return self._further(url, self._history).json()

    def text(self, url: str, offset: int = 0) -> bytes:
        """Return up to :data:`BLOCK` bytes of a blob; nothing while there is no more. The URL opens it by itself.

        Raises:
            PlatformError: The storage does not hand it over.
        """
        wanted = {"Range": f"bytes={offset}-{offset + BLOCK - 1}"}
        answer = self._send("GET", url, headers=wanted, signed=True)
        if answer.status_code in (404, 416):
            return b""
        if answer.status_code != 206:
            raise PlatformError(f"the log cannot be read: HTTP {answer.status_code}", hint="try again")
        return answer.content

    def size(self, url: str) -> int:
        """Return how large a blob is [bytes]; 0 for one that is not there."""
        answer = self._send("HEAD", url, signed=True)
        return int(answer.headers.get("content-length", 0)) if answer.status_code == 200 else 0

    def download(self, url: str, path: Path) -> None:
        """Write a blob to a file, a block at a time; the file appears whole or not at all.

        Raises:
            PlatformError: The storage does not hand it over.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        try:
            with self._http.stream("GET", url) as answer, partial.open("wb") as sink:
                if answer.status_code != 200:
                    raise PlatformError(f"{path.name} cannot be downloaded: HTTP {answer.status_code}")
                for block in answer.iter_bytes(1 << 20):
                    sink.write(block)
            partial.replace(path)
        except httpx.HTTPError as error:
            raise PlatformError(f"{path.name} cannot be downloaded: {type(error).__name__}") from None
        finally:
            partial.unlink(missing_ok=True)

    def _further(self, url: str, service: str) -> httpx.Response:
        """Ask at an address that an answer has named; the token is for that very service alone."""
        if httpx.URL(url).host != httpx.URL(service).host or httpx.URL(url).scheme != "https":
            raise PlatformError("Azure names an address on another host", source=httpx.URL(url).host)
        return self._ask("GET", url)

    def _ask(self, method: str, url: str, params: Mapping[str, str] | None = None) -> httpx.Response:
        return self._checked(self._send(method, url, params=params))

    def _send(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        signed: bool = False,
    ) -> httpx.Response:
        """Send a request, again where the service is busy.

        Raises:
            PlatformError: Nothing answers.
        """
        host = httpx.URL(url).host
        for attempt in range(ATTEMPTS):
            given = {} if signed else {"Authorization": f"Bearer {azure_token(AZURE_SCOPE)}"}
            try:
                answer = self._http.request(method, url, params=params, headers={**given, **(headers or {})})
            except httpx.HTTPError as error:
                problem = f"{host} cannot be reached: {type(error).__name__}"
                wait = 2.0**attempt
            else:
                if answer.status_code not in _BUSY:
                    return answer
                problem = f"{host} answers {answer.status_code}{_said(answer)}"
                wait = _seconds(answer, 2.0**attempt)
            if attempt + 1 < ATTEMPTS:
                self._pause(min(wait, LONGEST_PAUSE_S))
        raise PlatformError(problem, hint="try again in a minute; gaitway doctor --on azureml")

    def _checked(self, answer: httpx.Response) -> httpx.Response:
        if answer.status_code < 400:
            return answer
        raise meaning(answer.status_code, _code(answer), _message(answer), self.workspace)


_WHOSE = {
    "SubscriptionNotFound": "subscription",
    "InvalidSubscriptionId": "subscription",
    "ResourceGroupNotFound": "resource group",
    "ResourceNotFound": "workspace",
}
"""Error codes of Azure, and the name that is at fault."""


def meaning(status: int, code: str, message: str, workspace: Workspace) -> GaitwayError:
    """Return the error that an answer of Azure amounts to.

    Args:
        status: HTTP status.
        code: Azure's own error code; may be empty.
        message: What it says.
        workspace: Whom it was asked of.
    """
    if code in _WHOSE:
        what = _WHOSE[code]
        return ConfigError(
            f"there is no {what} {workspace.names[_KEYS[what]]}, or this identity may not see it",
            source=workspace.told(what),
            hint=f"gaitway config explain {_KEYS[what]}; az account show",
        )
    if status == 401:
        return ConfigError(f"Azure does not accept the login: {message}", source="Azure credentials", hint="az login")
    if status == 403:
        return ConfigError(
            f"this identity may not do that in workspace {workspace.names['azure_workspace_name']}: {message}",
            source=workspace.told("workspace"),
            hint="it needs the role AzureML Data Scientist on the workspace",
        )
    if "quota" in f"{code} {message}".lower():
        return PlatformError(
            f"there is no quota for the job: {message}",
            source=workspace.told("subscription"),
            hint="ask for quota in Azure ML Studio, or choose another --compute or --instance-type",
        )
    return PlatformError(f"Azure ML refused: {message or code or f'HTTP {status}'}")


def _code(answer: httpx.Response) -> str:
    return str(_error(answer).get("code") or "")


def _message(answer: httpx.Response) -> str:
    text = " ".join(scrub(str(_error(answer).get("message") or "")).split())
    return text if len(text) <= 300 else f"{text[:297]}..."


def _error(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        found = answer.json()["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _said(answer: httpx.Response) -> str:
    message = _message(answer)
    return f": {message}" if message else ""


def _seconds(answer: httpx.Response, otherwise: float) -> float:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else otherwise
