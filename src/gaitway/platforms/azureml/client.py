"""REST client of an Azure ML workspace, without the two seconds that importing Microsoft's client takes.

Errors name the setting at fault, its value and its origin.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx
from gaitway_runtime.spec.secrets import scrub, silence_http_loggers
from gaitway_runtime.spec.types import JsonObject, object_at
from gaitway_runtime.stores.azure import AZURE_SCOPE, ROLE, STORAGE_ROLE, azure_token
from gaitway_runtime.stores.mlflow_client import seconds_of

from ...errors import ConfigError, GaitwayError, PlatformError
from ...settings.values import Setting, require

MANAGEMENT = "https://management.azure.com"
API_VERSION = "2024-04-01"
TIMEOUT_S = 60.0
ATTEMPTS = 5
"""Attempts at a request that meets a busy or broken service."""

BLOCK = 1 << 20
"""Size of one read [bytes]."""

LONGEST_PAUSE_S = 30.0
CANCEL_PATIENCE_S = 120.0
"""Longest wait for a cancellation [s]."""

_KEYS = {
    "subscription": "azure_subscription_id",
    "resource group": "azure_resource_group",
    "workspace": "azure_workspace_name",
}
ZEROS = re.compile(r"0{8}-(0{4}-){3}0{12}")
"""Ids of examples: a plan takes them, Azure has no such thing."""

BUSY = frozenset((408, 429, 500, 502, 503, 504))
"""HTTP statuses of a service that cannot answer now."""


@dataclass(frozen=True)
class AzureWorkspace:
    """A workspace, and the origins of its three names."""

    names: Mapping[str, str]
    origins: Mapping[str, str]

    @classmethod
    def of(cls, settings: Mapping[str, Setting]) -> AzureWorkspace:
        """Return the workspace that the settings name; all three must be set."""
        found = {key: settings[key] for key in _KEYS.values()}
        return cls(
            {key: str(setting.value) for key, setting in found.items()},
            {key: str(setting.origin) for key, setting in found.items()},
        )

    @classmethod
    def required(cls, settings: Mapping[str, Setting]) -> AzureWorkspace:
        """Return the workspace that the settings name, for a command that talks to it.

        Raises:
            ConfigError: One of its names is not set, or is the id of zeros that examples have.
        """
        require(settings, *_KEYS.values())
        found = cls.of(settings)
        for what, key in _KEYS.items():
            if ZEROS.fullmatch(found.names[key]):
                raise ConfigError(
                    f"the {what} {found.names[key]} is an example's, not one of yours",
                    source=found.origin_of(what),
                    hint=f"az account show; gaitway config explain {key}",
                )
        return found

    @property
    def scope(self) -> str:
        """The workspace's resource id."""
        subscription, group, workspace = (self.names[key] for key in _KEYS.values())
        return (
            f"/subscriptions/{subscription}/resourceGroups/{group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{workspace}"
        )

    def origin_of(self, what: str) -> str:
        """Return one of the three names with its value and origin, for an error's ``from:`` line."""
        key = _KEYS[what]
        return f"{key} = {self.names[key]} ({self.origins[key]})"


class Unanswered(PlatformError):
    """A service was busy, broken or out of reach at every attempt."""


class Azure:
    """Requests to a workspace."""

    def __init__(self, workspace: AzureWorkspace, pause: Callable[[float], object] = time.sleep) -> None:
        silence_http_loggers()
        self.workspace = workspace
        self._pause = pause
        self._http = httpx.Client(timeout=TIMEOUT_S)
        self._history = ""

    def get(self, path: str) -> JsonObject:
        """Return a resource of the workspace.

        Raises:
            GaitwayError: It does not exist, access is denied, or Azure does not answer.
        """
        url = f"{MANAGEMENT}{self.workspace.scope}{path}"
        found: JsonObject = self._ask("GET", url, params={"api-version": API_VERSION}).json()
        return found

    def items(self, path: str, params: Mapping[str, str] | None = None, most: int = 1000) -> list[JsonObject]:
        """Return the items of a list of the workspace, page after page, at most ``most``.

        Raises:
            GaitwayError: Access is denied, or Azure does not answer.
        """
        url = f"{MANAGEMENT}{self.workspace.scope}{path}"
        return self._items(url, {"api-version": API_VERSION, **(params or {})}, most)

    def location(self, path: str) -> list[JsonObject]:
        """Return the items of a list of the workspace's location, for example ``vmSizes``.

        Raises:
            GaitwayError: Access is denied, or Azure does not answer.
        """
        place = str(self.get("").get("location", "")).replace(" ", "").lower()
        subscription = self.workspace.names["azure_subscription_id"]
        base = f"{MANAGEMENT}/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices"
        return self._items(f"{base}/locations/{place}/{path}", {"api-version": API_VERSION}, 5000)

    def _items(self, url: str, params: Mapping[str, str], most: int) -> list[JsonObject]:
        page = self._ask("GET", url, params=params).json()
        found: list[JsonObject] = []
        while True:
            found += page.get("value") or page.get("amlCompute") or []
            if not page.get("nextLink") or len(found) >= most:
                return found[:most]
            page = self._further(str(page["nextLink"]), MANAGEMENT).json()

    def find(self, path: str) -> JsonObject | None:
        """Return a resource of the workspace, or None if it does not exist.

        Raises:
            GaitwayError: Access is denied, the workspace itself is missing, or Azure does not answer.
        """
        answer = self._send("GET", f"{MANAGEMENT}{self.workspace.scope}{path}", params={"api-version": API_VERSION})
        if answer.status_code == 404 and _code(answer) not in _NAME_AT_FAULT:
            return None
        found: JsonObject = self._checked(answer).json()
        return found

    def put(self, path: str, document: JsonObject) -> JsonObject:
        """Make a resource of the workspace and return it as Azure ML describes it.

        Raises:
            GaitwayError: Azure ML refuses or does not answer.
        """
        url = f"{MANAGEMENT}{self.workspace.scope}{path}"
        answer = self._send("PUT", url, params={"api-version": API_VERSION}, document=document)
        found: JsonObject = self._checked(answer).json()
        return found

    def cancel(self, name: str) -> None:
        """Cancel a job and wait for Azure ML to confirm it.

        Raises:
            GaitwayError: Azure ML refuses or does not answer.
        """
        url = f"{MANAGEMENT}{self.workspace.scope}/jobs/{name}/cancel"
        answer = self._ask("POST", url, params={"api-version": API_VERSION})
        until = time.monotonic() + CANCEL_PATIENCE_S
        while answer.status_code == 202 and "location" in answer.headers and time.monotonic() < until:
            self._pause(_seconds(answer, 1.0))
            answer = self._further(answer.headers["location"], MANAGEMENT)

    def history(self, path: str, params: Mapping[str, str] | None = None) -> JsonObject:
        """Return a document of the workspace's run history.

        Raises:
            GaitwayError: The run history refuses or does not answer.
        """
        if not self._history:
            about = self.get("")["properties"]
            tracking = str(about["mlFlowTrackingUri"]) if isinstance(about, Mapping) else ""
            self._history = f"https://{httpx.URL(tracking).host}/history/v1.0{self.workspace.scope}"
        found: JsonObject = self._ask("GET", f"{self._history}{path}", params=params).json()
        return found

    def more(self, url: str) -> JsonObject:
        """Return the next page of an answer of the run history.

        Raises:
            GaitwayError: The run history refuses or does not answer.
        """
        found: JsonObject = self._further(url, self._history).json()
        return found

    def text(self, url: str, offset: int = 0) -> bytes:
        """Return up to :data:`BLOCK` bytes of a blob from an offset; nothing where there is no more.

        Args:
            url: Address of the blob with its signature.
            offset: Where to begin [bytes].

        Raises:
            PlatformError: The storage refuses.
        """
        wanted = {"Range": f"bytes={offset}-{offset + BLOCK - 1}"}
        answer = self._send("GET", url, headers=wanted, signed=True)
        if answer.status_code in (404, 416):
            return b""
        if answer.status_code != 206:
            raise _unread(answer)
        return answer.content

    def size(self, url: str) -> int:
        """Return the size of a blob [bytes]; 0 if it does not exist.

        Raises:
            PlatformError: The storage refuses.
        """
        answer = self._send("HEAD", url, signed=True)
        if answer.status_code == 404:
            return 0
        if answer.status_code != 200:
            raise _unread(answer)
        return int(answer.headers.get("content-length", 0))

    def _further(self, url: str, service: str) -> httpx.Response:
        """Request an address that an answer has named; the token is sent to that service only."""
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
        document: JsonObject | None = None,
    ) -> httpx.Response:
        """Send a request; repeat it while the service is busy.

        Raises:
            Unanswered: The service does not answer.
        """
        host = httpx.URL(url).host
        for attempt in range(ATTEMPTS):
            given = {} if signed else {"Authorization": f"Bearer {azure_token(AZURE_SCOPE)}"}
            try:
                answer = self._http.request(
                    method, url, params=params, headers={**given, **(headers or {})}, json=document
                )
            except httpx.HTTPError as error:
                problem = f"{host} cannot be reached: {type(error).__name__}"
                wait = 2.0**attempt
            else:
                if answer.status_code not in BUSY:
                    return answer
                problem = f"{host} answers {answer.status_code}{_message_suffix(answer)}"
                wait = _seconds(answer, 2.0**attempt)
            if attempt + 1 < ATTEMPTS:
                self._pause(min(wait, LONGEST_PAUSE_S))
        raise Unanswered(problem, hint="try again in a minute; gaitway doctor --on azureml")

    def _checked(self, answer: httpx.Response) -> httpx.Response:
        if answer.status_code < 400:
            return answer
        raise error_of(answer.status_code, _code(answer), _message(answer), self.workspace)


_NAME_AT_FAULT = {
    "SubscriptionNotFound": "subscription",
    "InvalidSubscriptionId": "subscription",
    "ResourceGroupNotFound": "resource group",
    "ResourceNotFound": "workspace",
}
"""The name at fault by Azure's error code."""


_STORAGE_REFUSALS = ("AuthorizationPermissionMismatch", "AuthorizationFailure", "InsufficientAccountPermissions")
"""Codes with which the storage refuses an identity, and not the workspace."""


def error_of(status: int, code: str, message: str, workspace: AzureWorkspace) -> GaitwayError:
    """Return the error for a refusal by Azure.

    Args:
        status: HTTP status.
        code: Azure's error code; may be empty.
        message: Azure's message.
        workspace: The workspace that was asked.
    """
    if code in _NAME_AT_FAULT:
        what = _NAME_AT_FAULT[code]
        return ConfigError(
            f"{what} {workspace.names[_KEYS[what]]} does not exist, or this identity cannot see it",
            source=workspace.origin_of(what),
            hint=f"gaitway config explain {_KEYS[what]}; az account show",
        )
    if status == 401:
        return ConfigError(f"Azure does not accept the login: {message}", source="Azure credentials", hint="az login")
    if status == 403:
        name = workspace.names["azure_workspace_name"]
        role = f"{STORAGE_ROLE} on its storage account" if code in _STORAGE_REFUSALS else f"{ROLE} on {workspace.scope}"
        return ConfigError(
            f"this identity is not allowed to do that in workspace {name}: {message}",
            source=workspace.origin_of("workspace"),
            hint=f"give it the role {role}",
        )
    if "quota" in f"{code} {message}".lower():
        return PlatformError(
            f"the quota is not enough for the job: {message}",
            source=workspace.origin_of("subscription"),
            hint="ask for quota in Azure ML Studio, or choose another --compute or --instance-type",
        )
    return PlatformError(f"Azure ML refused: {message or code or f'HTTP {status}'}")


def studio_url(job: JsonObject) -> str | None:
    """Return the address of a job in Azure ML Studio, where the job has one."""
    studio = object_at(object_at(object_at(job, "properties"), "services"), "Studio").get("endpoint")
    return str(studio) if studio else None


def _unread(answer: httpx.Response) -> PlatformError:
    return PlatformError(f"the log cannot be read: HTTP {answer.status_code}", hint="try again")


def _code(answer: httpx.Response) -> str:
    return str(_error(answer).get("code") or "")


def _message(answer: httpx.Response) -> str:
    text = " ".join(scrub(str(_error(answer).get("message") or "")).split())
    return text if len(text) <= 300 else f"{text[:297]}..."


def _error(answer: httpx.Response) -> JsonObject:
    try:
        found = answer.json()["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _message_suffix(answer: httpx.Response) -> str:
    message = _message(answer)
    return f": {message}" if message else ""


def _seconds(answer: httpx.Response, otherwise: float) -> float:
    asked = seconds_of(answer.headers.get("retry-after", ""))
    return otherwise if asked is None else asked
