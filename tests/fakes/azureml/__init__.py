"""A stand-in Azure: control plane, run history and sign-in of its own; blob storage and MLflow are real.

Reached under Azure's real host names through a CONNECT proxy that knows no others, with a private authority: the
clients under test are unmodified.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from .. import azurite, mlflow_server, proxy
from . import identity, server
from .cluster import Cluster
from .storage import Storage
from .tracking import Tracking
from .workspace import GROUP, SUBSCRIPTION, TENANT, WORKSPACE, Workspace

__all__ = ["GROUP", "SUBSCRIPTION", "WORKSPACE", "AzureCloud", "running"]


@dataclass
class AzureCloud:
    """The whole stand-in."""

    workspace: Workspace
    cluster: Cluster
    tracking: Tracking
    identities: identity.Identities
    endpoints: server.Endpoints
    proxy: proxy.Proxy
    environment: dict[str, str]
    """What a user's shell has: a service principal, the proxy, the authority."""

    @property
    def tracking_uri(self) -> str:
        return self.workspace.tracking_uri


@contextmanager
def running(folder: Path) -> Iterator[AzureCloud]:
    with ExitStack() as stack:
        blobs = stack.enter_context(azurite.running(folder))
        mlflow = stack.enter_context(mlflow_server.running(folder / "mlflow"))
        storage = Storage(blobs)
        tracking = Tracking(mlflow.url, storage)
        workspace = Workspace(storage, tracking)
        identities = stack.enter_context(identity.running())
        cluster = Cluster(workspace, storage, tracking, identities, folder / "nodes", blobs.authority.read_bytes())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
        endpoints = stack.enter_context(server.running(context, workspace, cluster, tracking))
        routes = {azurite.HOST: blobs.port, **dict.fromkeys(azurite.AZURE_HOSTS, endpoints.port)}
        line = stack.enter_context(proxy.running(routes))
        cluster.proxy = line.url
        stack.callback(cluster.close)
        environment = {
            "HTTPS_PROXY": line.url,
            "NO_PROXY": "127.0.0.1,localhost",
            "REQUESTS_CA_BUNDLE": str(blobs.authority),
            "SSL_CERT_FILE": str(blobs.authority),
            "AZURE_TENANT_ID": TENANT,
            "AZURE_CLIENT_ID": "00000000-0000-0000-0000-00000000000c",
            "AZURE_CLIENT_SECRET": "a secret that opens nothing",
        }
        yield AzureCloud(workspace, cluster, tracking, identities, endpoints, line, environment)
