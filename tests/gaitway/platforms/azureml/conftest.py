"""A user's shell in front of the stand-in Azure, which runs once for the tests of all files: it remembers them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import azureml
from fakes.azureml import GROUP, SUBSCRIPTION, WORKSPACE, AzureCloud

from gaitway.platforms.azureml import client, status

TASK = "Isaac-Cartpole-v0"
RUNTIME = Path(__file__).parents[3] / "fakes" / "runtime"


@pytest.fixture(scope="session")
def cloud_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureCloud]:
    with azureml.running(tmp_path_factory.mktemp("azure")) as found:
        yield found


@pytest.fixture
def cloud(cloud_process: AzureCloud, project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureCloud]:
    """The stand-in, reached as a user reaches Azure: a login, a proxy, and the workspace in the environment."""
    from gaitway_runtime.stores import azure

    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in cloud_process.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AZURE_SUBSCRIPTION_ID", SUBSCRIPTION)
    monkeypatch.setenv("AZURE_RESOURCE_GROUP", GROUP)
    monkeypatch.setenv("AZUREML_WORKSPACE_NAME", WORKSPACE)
    monkeypatch.setenv("AZUREML_COMPUTE", "k8s-robots")
    monkeypatch.setattr(client, "LONGEST_PAUSE_S", 0.01)
    monkeypatch.setattr(status, "POLL_S", 0.1)
    azure._credential.cache_clear()
    cloud_process.endpoints.faults.clear()
    cloud_process.endpoints.seen.clear()
    yield cloud_process
    azure._credential.cache_clear()
    cloud_process.endpoints.faults.clear()
    cloud_process.endpoints.login = True
    cloud_process.cluster.quota = True
    cloud_process.cluster.held = False


@pytest.fixture
def submitted(gaitway: Callable[..., Any], cloud: AzureCloud) -> Callable[..., Any]:
    """Submit a job with the stand-in runtime, ``do=`` and all, and return what the command said of it."""

    def submit(*asked: str, verb: str = "train") -> Any:
        overrides = [word for value in asked for word in ("--set", value)]
        ran = gaitway(
            verb, "--on", "azureml", "--task", TASK, "--training-path", str(RUNTIME), *overrides, "--yes", "--json"
        )
        assert ran.code == 0, ran.err
        return ran.json

    return submit
