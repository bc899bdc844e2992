"""Smoke test against the workspace: what the service refuses is an error with a sentence, never a traceback."""

from __future__ import annotations

import pytest
from fakes.azureml import AzureCloud
from fakes.azureml.server import Fault
from fakes.azureml.storage import Storage
from gaitway_runtime.spec.errors import GaitwayError
from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.spec.run_context import AzureContext, RunContext
from gaitway_runtime.tracking import smoke


@pytest.mark.parametrize(
    ("pattern", "status"),
    [("POST .*/artifacts/batch/metadata", 403), ("GET .*/artifacts/contentinfo", 403), ("GET .*/artifacts$", 404)],
)
def test_an_artifact_that_is_refused_is_one_error(
    cloud: AzureCloud, monkeypatch: pytest.MonkeyPatch, pattern: str, status: int
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", cloud.tracking_uri)
    said = "The client does not have authorization to perform action 'artifacts/write'"
    cloud.endpoints.faults.append(Fault(pattern, status, "AuthorizationFailed", said, times=99))
    with pytest.raises(GaitwayError) as caught:
        smoke.run(TrainJob(task="Isaac-Cartpole-v0"), RunContext(run="r", platform="azureml", azure=AzureContext()))
    assert caught.value.message
    if status == 403:
        assert "AzureML Data Scientist on /subscriptions/" in str(caught.value.hint)
        assert "Storage Blob Data Contributor" in str(caught.value.hint)


@pytest.mark.parametrize("permissions", ["r", "wc"])
def test_a_storage_that_refuses_the_blob_is_one_error_that_names_its_role(
    cloud: AzureCloud, monkeypatch: pytest.MonkeyPatch, permissions: str
) -> None:
    """The run history takes the artifact's record, and the storage account refuses its content."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", cloud.tracking_uri)
    monkeypatch.setattr(Storage, "signed", lambda self, address: f"{address}?{self._blobs.sas(permissions)}")
    with pytest.raises(GaitwayError) as caught:
        smoke.run(TrainJob(task="Isaac-Cartpole-v0"), RunContext(run="r", platform="azureml", azure=AzureContext()))
    assert caught.value.exit_code == 3
    assert "Storage Blob Data Contributor on the workspace's storage account" in str(caught.value.hint)
    assert "sig=" not in " ".join(caught.value.lines())
