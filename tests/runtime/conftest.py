"""Real servers for the tests of tracking: started once a session, on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fakes import azurite as azurite_process
from fakes import http_server as http_process
from fakes import mlflow_server as mlflow_process
from fakes import proxy as proxy_process
from fakes.azurite import Azurite
from fakes.http_server import HttpServer
from fakes.mlflow_server import MlflowServer
from fakes.proxy import Line, Proxy
from gaitway_runtime.stores.streams import StreamLimits


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def limits() -> StreamLimits:
    """Bounds that make a test of patience quick."""
    return StreamLimits(first_wait=0.001, longest_wait=0.05, idle=2.0)


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with mlflow_process.running(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture
def line(mlflow_server: MlflowServer) -> Iterator[Line]:
    """A line to the MLflow server that can go down, and comes up again."""
    line = Line(mlflow_server.port)
    line.up()
    yield line
    line.down()


@pytest.fixture
def http_server() -> Iterator[HttpServer]:
    with http_process.running() as server:
        yield server


@pytest.fixture(scope="session")
def azurite_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with azurite_process.running(tmp_path_factory.mktemp("azurite")) as server:
        yield server


@pytest.fixture
def proxy(azurite_server: Azurite, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Let ``https://*.blob.core.windows.net`` lead to Azurite, as for a user behind a company's proxy."""
    with proxy_process.running({".blob.core.windows.net": azurite_server.port}) as server:
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        monkeypatch.setenv("SSL_CERT_FILE", str(azurite_server.authority))
        yield server


@pytest.fixture
def azurite(azurite_server: Azurite, proxy: Proxy) -> Azurite:
    return azurite_server
