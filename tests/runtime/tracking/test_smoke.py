"""The smoke test of a job's surroundings, and the workspace that a container only knows by name."""

from pathlib import Path

import pytest
from fakes import http_server as fake
from fakes.http_server import HttpServer
from fakes.mlflow_server import MlflowServer
from fakes.proxy import Line
from gaitway_runtime.spec.errors import ConfigError, GaitwayError
from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.spec.run_context import AzureContext, RunContext
from gaitway_runtime.stores import azure
from gaitway_runtime.stores.mlflow_client import open_client
from gaitway_runtime.stores.streams import StreamLimits
from gaitway_runtime.stores.tracking_server import ensure_store, tracking_uri_for
from gaitway_runtime.tracking import smoke
from mlflow.entities import ViewType

WORKSPACE = AzureContext(subscription_id="s-1", resource_group="rg-robotics", workspace_name="aml-robotics")
PATH = (
    "/subscriptions/s-1/resourceGroups/rg-robotics/providers/Microsoft.MachineLearningServices/workspaces/aml-robotics"
)


@pytest.mark.parametrize("where", ["store", "server"])
def test_what_works_passes_with_a_table_and_leaves_only_a_deleted_run(
    where: str, home: Path, mlflow_server: MlflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = ensure_store(home) if where == "store" else mlflow_server.url
    smoke.run(TrainJob(), RunContext(run="a-1", tracking_uri=uri))
    table = capsys.readouterr().out.splitlines()
    assert table[0] == "smoke test"
    assert [line.split()[0] for line in table[1:]] == ["store", "experiment", "metric", "storage", "registry"]
    assert all(float(line.split()[1]) >= 0 and line.split()[2] == "s" for line in table[1:])
    client = open_client(uri)
    experiment = client.get_experiment_by_name(smoke.EXPERIMENT).experiment_id
    assert client.search_runs([experiment]) == []
    (run,) = client.search_runs([experiment], run_view_type=ViewType.DELETED_ONLY)
    assert run.data.metrics == {"connectivity": 1.0}


def test_a_store_that_ends_with_its_container_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(GaitwayError, match="there is no tracking server to test") as caught:
        smoke.run(TrainJob(), RunContext(run="a-1", platform="osmo"))
    assert caught.value.exit_code == 3


def test_a_server_that_is_away_fails_it_and_the_step_is_named(
    line: Line, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(smoke, "_LIMITS", StreamLimits(attempts=2, first_wait=0.001))
    line.down()
    with pytest.raises(GaitwayError) as caught:
        smoke.run(TrainJob(), RunContext(run="a-1", tracking_uri=line.url))
    assert caught.value.exit_code == 4
    assert "smoke test: experiment failed after" in capsys.readouterr().out


@pytest.fixture
def management(http_server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> HttpServer:
    monkeypatch.setattr(azure, "azure_token", lambda scope: "t0ken-t0ken")
    monkeypatch.setattr(azure, "_MANAGEMENT", http_server.url)
    return http_server


def test_a_container_finds_its_workspaces_tracking_server(management: HttpServer) -> None:
    uri = "azureml://eastus.api.azureml.ms/mlflow/v1.0" + PATH
    management.files[PATH] = f'{{"properties": {{"mlFlowTrackingUri": "{uri}"}}}}'.encode()
    assert tracking_uri_for(RunContext(platform="osmo", azure=WORKSPACE)) == uri
    (asked,) = management.requests
    assert asked.path.endswith("?api-version=2024-04-01")
    assert asked.headers["Authorization"] == "Bearer t0ken-t0ken"


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_workspace_that_cannot_be_read_is_said(management: HttpServer, status: int) -> None:
    management.plan(PATH, fake.status(status))
    with pytest.raises(ConfigError, match=f"HTTP {status}"):
        tracking_uri_for(RunContext(platform="osmo", azure=WORKSPACE))


def test_a_job_on_this_machine_does_not_ask_azure(management: HttpServer, home: Path) -> None:
    assert tracking_uri_for(RunContext(azure=WORKSPACE)) == ensure_store(home)
    assert management.requests == []
