"""Azure identities, and the tracking server of an Azure ML workspace."""

from __future__ import annotations

import functools
import os
import time
from typing import TYPE_CHECKING

from ..spec.errors import ConfigError
from ..spec.packages import missing_package
from ..spec.run_context import AzureContext
from ..spec.secrets import one_line, silence_http_loggers
from .mlflow_client import retry, seconds_of
from .streams import StreamLimits, Transient

if TYPE_CHECKING:
    import httpx
    from azure.core.credentials import AccessToken, TokenCredential

_MANAGEMENT = "https://management.azure.com"
AZURE_SCOPE = f"{_MANAGEMENT}/.default"
"""Scope of a token for Azure's control plane, which Azure ML's services accept as well."""

_API_VERSION = "2024-04-01"
_BUSY = frozenset((408, 429, 500, 502, 503, 504))

ROLE = "AzureML Data Scientist"
STORAGE_ROLE = "Storage Blob Data Contributor"
"""Roles that a job's identity, or a person's, needs in a workspace."""

IDENTITY_CLIENT_ID = "DEFAULT_IDENTITY_CLIENT_ID"
"""Variable of an Azure ML job that names the client id of its user-assigned identity."""


_RENEWED_BEFORE_S = 300.0
"""Time before its end at which a token is asked for anew [s]."""


def azure_token(scope: str) -> str:
    """Return an access token of the identity of this machine or container.

    Raises:
        ConfigError: azure-identity is not installed, or there is no identity that works.
    """
    silence_http_loggers()
    try:
        from azure.core.exceptions import ClientAuthenticationError

        credential = _credential()
    except ImportError:
        raise missing_package("a sign-in to Azure", "azure-identity", "azureml") from None
    try:
        return str(credential.get_token(scope).token)
    except ClientAuthenticationError as error:
        raise ConfigError(f"no Azure identity works here: {one_line(error)}", hint=_identity_hint()) from None


@functools.cache
def _credential() -> TokenCredential:
    """Return this process's identity; it keeps its tokens and renews them in time.

    In an Azure ML job the platform names the identity: ``OBO_ENDPOINT`` is there when the job runs as its user, and
    ``DEFAULT_IDENTITY_CLIENT_ID`` names the user-assigned one (azure-sdk-for-python issues 30427 and 31071).
    """
    from azure.identity import ChainedTokenCredential, DefaultAzureCredential

    default: TokenCredential = DefaultAzureCredential(
        managed_identity_client_id=os.environ.get(IDENTITY_CLIENT_ID) or os.environ.get("AZURE_CLIENT_ID")
    )
    endpoint = os.environ.get("OBO_ENDPOINT")
    if not endpoint:
        return default
    on_behalf: TokenCredential = ChainedTokenCredential(OnBehalfOfCredential(endpoint), default)
    return on_behalf


class OnBehalfOfCredential:
    """Tokens of the user whose job this is, from the endpoint that Azure ML's compute serves to the job.

    The same question as that of AzureMLOnBehalfOfCredential in azure-ai-ml (azure-sdk-for-python issue 30427), which
    would bring 60 packages into the container.

    Args:
        endpoint: Address of the endpoint on the node.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._tokens: dict[str, AccessToken] = {}

    def get_token(self, *scopes: str, **options: object) -> AccessToken:
        """Return a token for one scope; see ``azure.core.credentials.TokenCredential``.

        Raises:
            CredentialUnavailableError: The endpoint does not answer, or gives no token.
        """
        import httpx
        from azure.core.credentials import AccessToken
        from azure.identity import CredentialUnavailableError

        resource = scopes[0].removesuffix("/.default")
        known = self._tokens.get(resource)
        if known is not None and known.expires_on - time.time() > _RENEWED_BEFORE_S:
            return known
        try:
            answer = httpx.get(self._endpoint, params={"resource": resource}, timeout=30, trust_env=False)
            answer.raise_for_status()
            found = answer.json()
            token = AccessToken(found["access_token"], int(found["expires_on"]))
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise CredentialUnavailableError(message=f"no token of the job's user: {one_line(error)}") from None
        self._tokens[resource] = token
        return token


def _identity_hint() -> str:
    """Return what to do about a missing identity, where this process runs."""
    if os.environ.get("AZUREML_RUN_ID"):
        return "give the job an identity (identity: in its YAML, user_identity or managed) with a role on the storage"
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        return "give the pod a workload identity, or the job AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET"
    return "az login"


def role_hint(workspace: str) -> str:
    """Return which roles let an identity work in a workspace.

    Args:
        workspace: Its resource id, or an address that ends with it.
    """
    scope = workspace[max(workspace.find("/subscriptions/"), 0) :].partition("?")[0]
    return f"give the identity the role {ROLE} on {scope}, and {STORAGE_ROLE} on the workspace's storage account"


def workspace_tracking_uri(azure: AzureContext) -> str:
    """Ask Azure for the MLflow tracking URI of a workspace.

    Raises:
        ConfigError: There is no identity, or it may not read the workspace, or there is no such workspace.
        PlatformError: Azure does not answer.
    """
    path = (
        f"/subscriptions/{azure.subscription_id}/resourceGroups/{azure.resource_group}"
        f"/providers/Microsoft.MachineLearningServices/workspaces/{azure.workspace_name}"
    )
    answer = _request(path)
    if answer.status_code != 200:
        raise ConfigError(
            f"workspace {azure.workspace_name} cannot be read: HTTP {answer.status_code}",
            source=path,
            hint="check the subscription, the resource group, the workspace and the identity's role",
        )
    return str(answer.json()["properties"]["mlFlowTrackingUri"])


def _request(path: str) -> httpx.Response:
    """Ask Azure's control plane.

    Raises:
        ConfigError: There is no identity.
        PlatformError: Azure does not answer.
    """
    import httpx

    headers = {"Authorization": f"Bearer {azure_token(AZURE_SCOPE)}"}
    url, params = f"{_MANAGEMENT}{path}", {"api-version": _API_VERSION}

    def send() -> httpx.Response:
        try:
            answer = httpx.get(url, params=params, headers=headers, timeout=60)
        except httpx.HTTPError as error:
            raise Transient(f"Azure does not answer: {one_line(error)}") from None
        if answer.status_code in _BUSY:
            raise Transient(
                f"Azure answers HTTP {answer.status_code}", seconds_of(answer.headers.get("retry-after", ""))
            )
        return answer

    return retry(send, StreamLimits(attempts=4), _MANAGEMENT)
