"""Context of a job: what the runtime must know about the run that it is part of. Standard library only."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from .job import THIS_MACHINE
from .settings import setting


@dataclass(frozen=True, kw_only=True)
class AzureContext:
    """Which Azure ML workspace a job talks to. Identifiers only: credentials never travel in a job."""

    settings_prefix: ClassVar[str] = "azure_"
    """What these fields are called among all settings: ``azure_resource_group``."""

    subscription_id: str | None = setting(
        None,
        "Azure subscription.",
        flags=("--azure-subscription-id", "--subscription-id"),
        env="AZURE_SUBSCRIPTION_ID",
        terraform=(
            "subscription_id.value",
            "azureml_workspace.value.id/subscriptions",
            "aks_cluster.value.id/subscriptions",
            "resource_group.value.id/subscriptions",
        ),
        metavar="ID",
    )
    resource_group: str | None = setting(
        None,
        "Azure resource group.",
        flags=("--azure-resource-group", "--resource-group"),
        env="AZURE_RESOURCE_GROUP",
        terraform="resource_group.value.name",
        metavar="NAME",
    )
    workspace_name: str | None = setting(
        None,
        "Azure ML workspace.",
        flags=("--azure-workspace-name", "--workspace-name"),
        env="AZUREML_WORKSPACE_NAME",
        terraform="azureml_workspace.value.name",
        metavar="NAME",
    )
    storage_account: str | None = setting(
        None,
        "Azure storage account for payloads and large files.",
        flags="--azure-storage-account-name",
        env="AZURE_STORAGE_ACCOUNT_NAME",
        terraform="storage_account.value.name",
        metavar="NAME",
    )


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """What the runtime must know about the run it is part of, beside the job itself."""

    run: str = "gaitway-run"
    """Name of the run in the ledger of the user's side."""
    run_id: str = ""
    """Id of the run that is unique in the world: its place in object storage, its marker on platforms and servers.

    Empty in documents of older releases and in jobs that are described by variables alone.
    """
    platform: str = THIS_MACHINE
    output_dir: str = "outputs"
    """Folder for everything the job makes, relative to the folder of ``job.json``."""
    tracking_uri: str | None = None
    """MLflow tracking URI; None leaves it to the environment (``MLFLOW_TRACKING_URI``, Azure ML)."""
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Provenance for the MLflow run: payload hash, commit, dirty files, settings with their origins."""
    azure: AzureContext = AzureContext()
