"""The Azure ML workspace as a tracking server, for containers that only know which workspace is theirs."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from ..errors import ConfigError, PlatformError
from ..job import AzureContext
from .client import one_line
from .redaction import silence_http_loggers

if TYPE_CHECKING:
    from azure.identity import DefaultAzureCredential

_MANAGEMENT = "https://management.azure.com"
AZURE_SCOPE = f"{_MANAGEMENT}/.default"
"""What a token for Azure's control plane is asked for; Azure ML's services take it too."""

_API_VERSION = "2024-04-01"


def azure_token(scope: str) -> str:
    """Return an access token of whatever identity this machine or container has.

    Raises:
        ConfigError: azure-identity is not installed, or there is no identity that works.
    """
    silence_http_loggers()
    try:
        from azure.core.exceptions import ClientAuthenticationError

        credential = _credential()
    except ImportError:
        raise ConfigError("azure-identity is not installed", hint="pip install 'gaitway[azureml]'") from None
    try:
        return str(credential.get_token(scope).token)
    except ClientAuthenticationError as error:
        raise ConfigError(f"no Azure identity works here: {one_line(error)}", hint="az login") from None


@functools.cache
def _credential() -> DefaultAzureCredential:
    """Return this process's identity; it keeps its tokens and renews them in time."""
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential()


def workspace_tracking_uri(azure: AzureContext) -> str:
    """Ask Azure for the MLflow tracking URI of a workspace.

    Raises:
        ConfigError: There is no identity, or it may not read the workspace, or there is no such workspace.
        PlatformError: Azure does not answer.
    """
    import httpx

    path = (
        f"/subscriptions/{azure.subscription_id}/resourceGroups/{azure.resource_group}"
        f"/providers/Microsoft.MachineLearningServices/workspaces/{azure.workspace_name}"
    )
    headers = {"Authorization": f"Bearer {azure_token(AZURE_SCOPE)}"}
    try:
        answer = httpx.get(f"{_MANAGEMENT}{path}", params={"api-version": _API_VERSION}, headers=headers, timeout=60)
    except httpx.HTTPError as error:
        raise PlatformError(f"Azure does not answer: {one_line(error)}", source=_MANAGEMENT) from None
    if answer.status_code != 200:
        raise ConfigError(
            f"workspace {azure.workspace_name} cannot be read: HTTP {answer.status_code}",
            source=path,
            hint="check the subscription, the resource group, the workspace and the identity's role",
        )
    return str(answer.json()["properties"]["mlFlowTrackingUri"])
