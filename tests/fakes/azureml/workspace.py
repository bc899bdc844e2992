"""What a workspace holds: computes, environments, code assets, models; and its names."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import Any

from ..azurite import ACCOUNT, HOST
from .artifacts import CONTAINER
from .computes import kubernetes
from .limits import KEY, TAGS, VALUE
from .refusals import Refused, not_found
from .storage import Storage
from .tracking import Tracking

SUBSCRIPTION = "00000000-0000-0000-0000-000000000005"
GROUP = "rg-robots"
WORKSPACE = "mlw-robots"
TENANT = "00000000-0000-0000-0000-00000000000d"
HISTORY_HOST = "eastus.api.azureml.ms"
PROVIDER = "Microsoft.MachineLearningServices"


@dataclass
class Workspace:
    """One workspace."""

    storage: Storage
    tracking: Tracking
    computes: dict[str, dict[str, Any]] = field(default_factory=lambda: {"k8s-robots": kubernetes("gpuspot", "gpu")})
    environments: dict[str, dict[str, Any]] = field(default_factory=dict)
    components: dict[str, dict[str, Any]] = field(default_factory=dict)
    codes: dict[str, dict[str, Any]] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Documents of the model versions that were registered through Resource Manager, by ``NAME/VERSION``."""
    cores: dict[str, int] = field(default_factory=dict)
    """Quota of cores by VM family; what is not named has plenty."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.tracking.scope = self.scope

    @property
    def scope(self) -> str:
        return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/{PROVIDER}/workspaces/{WORKSPACE}"

    @property
    def tracking_uri(self) -> str:
        return f"azureml://{HISTORY_HOST}/mlflow/v1.0{self.scope}"

    def below(self, path: str) -> str:
        """Return what of an ARM path lies below the workspace.

        Raises:
            Refused: The path is of another subscription, group or workspace.
        """
        pattern = rf"/subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/{PROVIDER}/workspaces/([^/]+)(.*)"
        found = re.fullmatch(pattern, path, re.IGNORECASE)
        if not found:
            raise Refused(404, "InvalidResourceType", f"The resource type could not be found: {path}")
        subscription, group, name, rest = found.groups()
        if subscription != SUBSCRIPTION:
            raise Refused(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")
        if group != GROUP:
            raise Refused(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")
        if name != WORKSPACE:
            text = f"The Resource '{PROVIDER}/workspaces/{name}' under resource group '{group}' was not found."
            raise Refused(404, "ResourceNotFound", text)
        return rest

    def describe(self) -> dict[str, Any]:
        return {
            "id": self.scope,
            "name": WORKSPACE,
            "type": f"{PROVIDER}/workspaces",
            "location": "eastus",
            "kind": "Default",
            "tags": {},
            "identity": {"type": "SystemAssigned", "principalId": TENANT, "tenantId": TENANT},
            "properties": {
                "workspaceId": "00000000-0000-0000-0000-0000000000aa",
                "discoveryUrl": f"https://{HISTORY_HOST}/discovery",
                "mlFlowTrackingUri": self.tracking_uri,
                "provisioningState": "Succeeded",
                "storageAccount": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}"
                f"/providers/Microsoft.Storage/storageAccounts/{ACCOUNT}",
            },
        }

    def location(self, path: str) -> str | None:
        """Return what of an ARM path lies below the workspace's location, or None."""
        pattern = rf"/subscriptions/{SUBSCRIPTION}/providers/{PROVIDER}/locations/eastus(/.*)"
        found = re.fullmatch(pattern, path, re.IGNORECASE)
        return found[1] if found else None

    def compute(self, name: str) -> dict[str, Any]:
        if name not in self.computes:
            raise not_found(f"compute {name}")
        return self._resource("computes", name, self.computes[name]) | {"location": "eastus"}

    def environment(self, name: str, version: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return self._asset(self.environments, "environments", name, version, body)

    def component(self, component_id: str) -> dict[str, Any]:
        """Return the specification of a component by its id."""
        found = re.search(r"/components/([^/]+)/versions/([^/]+)$", component_id)
        assert found, component_id
        spec: dict[str, Any] = self.components[f"{found[1]}/{found[2]}"]["properties"]["componentSpec"]
        return spec

    def component_version(self, name: str, version: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return self._asset(self.components, "components", name, version, body)

    def code(self, name: str, version: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return self._asset(self.codes, "codes", name, version, body)

    def pending_upload(self, name: str, version: str) -> dict[str, Any]:
        address = self.storage.make_container(re.sub(r"[^a-z0-9-]", "-", f"{name}-{version}".lower())[:63])
        return {
            "pendingUploadId": name,
            "pendingUploadType": "TemporaryBlobReference",
            "blobReferenceForConsumption": {
                "blobUri": address,
                "storageAccountArmId": self.describe()["properties"]["storageAccount"],
                "credential": {"credentialType": "SAS", "sasUri": self.storage.signed(address)},
            },
        }

    def codes_with(self, digest: str) -> list[dict[str, Any]]:
        found = []
        for key, code in self.codes.items():
            if code["properties"].get("properties", {}).get("hash_sha256") == digest:
                found.append(self.code(*key.split("/")))
        return found

    def model_versions(self, name: str) -> list[dict[str, Any]]:
        versions = self.tracking.versions(name)
        if not versions:
            raise not_found(f"model {name}")
        return [
            {
                "id": f"{self.scope}/models/{name}/versions/{version['version']}",
                "name": version["version"],
                "type": f"{PROVIDER}/workspaces/models/versions",
                "properties": {
                    "modelUri": version["source"],
                    "modelType": "custom_model",
                    "flavors": {},
                    "properties": {},
                    "tags": {tag["key"]: tag["value"] for tag in version.get("tags", [])},
                    **self.models.get(f"{name}/{version['version']}", {}),
                },
            }
            for version in versions
        ]

    def model(self, name: str) -> dict[str, Any]:
        versions = [int(version["name"]) for version in self.model_versions(name)]
        return self._resource(
            "models", name, {"latestVersion": str(max(versions)), "nextVersion": str(max(versions) + 1)}
        )

    def register_model(self, name: str, version: str, body: dict[str, Any]) -> dict[str, Any]:
        """Register a folder of a job's artifacts as a custom model.

        Raises:
            Refused: The version exists, the folder does not, or the document is of a form that the service refuses.
        """
        about = body["properties"]
        known = [item["name"] for item in self._versions_or_none(name)]
        if version in known:
            raise Refused(409, "UserError", f"Model {name}:{version} already exists and its content cannot be changed.")
        assert version == str(len(known) + 1), "the stand-in numbers versions like MLflow"
        found = re.fullmatch(r"azureml://jobs/([^/]+)/outputs/artifacts/paths/(.+?)/?", str(about.get("modelUri")))
        if not found:
            raise Refused(400, "UserError", f"modelUri is not supported: {about.get('modelUri')}")
        if about.get("modelType") != "custom_model":
            raise Refused(
                400, "UserError", f"{found[2]} has no MLmodel file, which modelType {about.get('modelType')} needs"
            )
        if not any(path.startswith(f"{found[2]}/") for path in self.tracking.artifacts.paths(found[1])):
            raise Refused(404, "UserError", f"There is no artifact {found[2]} in job {found[1]}")
        tags = {str(key): str(value) for key, value in (about.get("tags") or {}).items()}
        if len(tags) > TAGS or any(len(key) > KEY or len(value) > VALUE for key, value in tags.items()):
            raise Refused(400, "ValidationError", "The tags are more, or longer, than a model version may have.")
        self.tracking.add_version(name, found[1], found[2], tags)
        self.models[f"{name}/{version}"] = {"flavors": {}, "properties": {}, **about, "jobName": found[1]}
        return self.model_version(name, version)

    def _versions_or_none(self, name: str) -> list[dict[str, Any]]:
        try:
            return self.model_versions(name)
        except Refused:
            return []

    def model_version(self, name: str, version: str) -> dict[str, Any]:
        found = [item for item in self.model_versions(name) if item["name"] == version]
        if not found:
            raise not_found(f"model {name}:{version}")
        return found[0]

    def datastore(self, name: str) -> dict[str, Any]:
        about = {
            "datastoreType": "AzureBlob",
            "accountName": ACCOUNT,
            "containerName": CONTAINER,
            "endpoint": HOST.partition(".blob.")[2],
            "protocol": "https",
            "credentials": {"credentialsType": "AccountKey"},
            "isDefault": True,
            "tags": {},
            "properties": {},
        }
        return self._resource("datastores", name, about)

    def _asset(
        self, known: dict[str, dict[str, Any]], kind: str, name: str, version: str, body: dict[str, Any] | None
    ) -> dict[str, Any]:
        key = f"{name}/{version}"
        with self.lock:
            if body is not None:
                about = {"tags": {}, "properties": {}, "isAnonymous": False, **body["properties"]}
                known[key] = {"properties": {name: value for name, value in about.items() if value is not None}}
            if key not in known:
                raise not_found(f"{kind} {name}:{version}")
            return self._resource(f"{kind}/{name}/versions", version, known[key]["properties"])

    def _resource(self, kind: str, name: str, properties: dict[str, Any]) -> dict[str, Any]:
        return {"id": f"{self.scope}/{kind}/{name}", "name": name, "type": kind, "properties": properties}
