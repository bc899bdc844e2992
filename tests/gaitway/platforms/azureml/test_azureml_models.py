"""Registration in a workspace: custom models through Resource Manager, with the job as lineage."""

from __future__ import annotations

import pytest
from fakes.azureml import AzureCloud, colleagues
from fakes.azureml.server import Fault
from gaitway_runtime.spec.errors import ConfigError, PlatformError
from gaitway_runtime.stores.mlflow_client import open_client
from gaitway_runtime.stores.streams import StreamLimits
from gaitway_runtime.stores.tracking_server import TrackingServer
from gaitway_runtime.tracking import azure_models, registry


def server(cloud: AzureCloud) -> TrackingServer:
    return TrackingServer(cloud.tracking_uri, StreamLimits(attempts=2))


@pytest.fixture
def job(cloud: AzureCloud) -> str:
    """Return a job whose run has a model folder; its name, that no earlier test has used, makes those of models."""
    name = f"walker-{len(cloud.tracking.run_ids):08x}"
    cloud.tracking.open_run(name, "walking")
    cloud.tracking.artifacts.put(name, "model/5/model_5.pt", b"weights")
    cloud.tracking.artifacts.put(name, "model/5/agent.yaml", b"a: 1")
    return name


def test_a_folder_becomes_a_custom_model_of_the_job(cloud: AzureCloud, job: str) -> None:
    client = open_client(cloud.tracking_uri)
    tags = {"task": "T", "contract": "x" * 5000}
    version = registry.register(server(cloud), job, "walker-model", "model/5", tags)
    found = cloud.workspace.model_version("walker-model", version.version)["properties"]
    assert found["modelType"] == "custom_model"
    assert found["modelUri"] == f"azureml://jobs/{job}/outputs/artifacts/paths/model/5"
    assert found["tags"]["task"] == "T"
    assert len(found["tags"]["contract"]) == 1000
    assert found["tags"]["contract"].endswith("...")
    assert client.get_model_version("walker-model", version.version).run_id == job, "MLflow's clients find it too"


def test_a_colleagues_model_of_the_same_name_has_its_own_version(cloud: AzureCloud, job: str) -> None:
    model = f"shared-{job}"
    theirs = colleagues.add_model(cloud.tracking, model)
    ours = registry.register(server(cloud), job, model, "model/5", {})
    assert (theirs, ours.version) == ("1", "2")


def test_a_version_that_is_taken_meanwhile_is_not_overwritten(
    cloud: AzureCloud, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = f"raced-{job}"
    assert registry.register(server(cloud), job, model, "model/5", {}).version == "1"
    numbers = iter(["1", "2"])
    monkeypatch.setattr(azure_models, "_next_version", lambda *_: next(numbers))
    assert registry.register(server(cloud), job, model, "model/5", {}).version == "2"


def test_a_missing_role_is_named_with_its_scope(cloud: AzureCloud, job: str) -> None:
    said = "The client does not have authorization to perform action 'workspaces/models/versions/write'"
    cloud.endpoints.faults.append(Fault("PUT .*/models/", 403, "AuthorizationFailed", said))
    with pytest.raises(ConfigError, match="not allowed to register model walker: ") as caught:
        registry.register(server(cloud), job, "walker", "model/5", {})
    assert caught.value.source == cloud.workspace.scope
    assert "AzureML Data Scientist" in str(caught.value.hint)


def test_a_folder_without_a_checkpoint_is_refused(cloud: AzureCloud, job: str) -> None:
    with pytest.raises(PlatformError, match="exactly one checkpoint, found 0"):
        registry.register(server(cloud), job, "walker", "params", {})


def test_a_busy_registry_is_asked_again(cloud: AzureCloud, job: str) -> None:
    cloud.endpoints.faults.append(Fault("PUT .*/models/", 503, "ServiceUnavailable", "later", times=2))
    waited: list[float] = []
    azure_models.register_custom_model(
        cloud.workspace.scope, job, "busy", "model/5", {}, pause=lambda seconds: waited.append(seconds)
    )
    assert len(waited) == 2
    assert 0 < waited[0] <= 0.5
    assert waited[0] < waited[1] <= 1.0, "longer each time"
