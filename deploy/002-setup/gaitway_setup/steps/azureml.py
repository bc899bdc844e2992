"""Step 03: Azure ML on the cluster: its extension, what a job can ask for by name, and the cluster as a compute."""

from __future__ import annotations

from gaitway.platforms.azureml.options import attached_name
from gaitway.platforms.osmo.options import DEFAULTS

from .. import files
from ..actions import Action, Plan
from ..ground import Ground, Pool
from .base import CLUSTER, Step, access, apply, az, delete

EXTENSION = NAMESPACE = "azureml"
PREVIEW = ("k8s-extension", "ml")
"""Extensions of the Azure CLI that the step's commands are in."""


def plan(ground: Ground) -> Plan:
    """Install the extension, make an instance type of each pool, attach the cluster."""
    tools = (
        Action(f"have az {name}", ("az", "extension", "add", "--name", name, "--upgrade", "--only-show-errors"))
        for name in PREVIEW
    )
    types = (apply(ground, f"offer {pool.name}", instance_type(pool), strict=False) for pool in ground.pools)
    return Plan((*access(ground), *tools, _extension(ground), *types, _attachment(ground)))


def removal(ground: Ground) -> Plan:
    """Detach the cluster and remove the extension. Jobs, models and files stay in the workspace."""
    detach = az(ground, "ml", "compute", "detach", *_compute(ground), "--yes")
    remove = az(ground, "k8s-extension", "delete", "--name", EXTENSION, *_cluster(ground), "--yes")
    return Plan(
        (
            *access(ground),
            Action("detach the cluster", detach),
            delete(ground, "instancetype", *(pool.name for pool in ground.pools)),
            Action("remove the extension", remove),
        )
    )


def instance_type(pool: Pool) -> str:
    """Return the instance type of a pool: room for a job of the size that gaitway asks OSMO for."""
    size = DEFAULTS["train"]
    return files.manifest(
        "instance-type",
        name=pool.name,
        selector=dict(pool.labels),
        tolerations=[dict(toleration) for toleration in pool.tolerations],
        cpu=size.cpu,
        memory=size.memory,
    )


def _extension(ground: Ground) -> Action:
    # The extension schedules with Volcano, and brings its own unless step 02 has installed one.
    wanted = {**files.settings("azureml-extension"), "installVolcano": str(ground["scheduler"] != "volcano")}
    pairs = [f"{name}={value}" for name, value in sorted(wanted.items())]
    kind = ("--extension-type", "Microsoft.AzureML.Kubernetes", *_cluster(ground))
    how = ("--scope", "cluster", "--release-train", "stable", "--config", *pairs)
    argv = az(ground, "k8s-extension", "create", "--name", EXTENSION, *kind, *how)
    return Action("install Azure ML's extension", argv)


def _attachment(ground: Ground) -> Action:
    cluster = ("--type", "Kubernetes", "--resource-id", ground["cluster_id"], "--namespace", NAMESPACE)
    identity = ("--identity-type", "UserAssigned", "--user-assigned-identities", ground["workload_identity"])
    argv = az(ground, "ml", "compute", "attach", *_compute(ground), *cluster, *identity)
    return Action("attach the cluster to the workspace", argv, unless=_attached(ground))


def _attached(ground: Ground) -> tuple[str, ...]:
    return az(ground, "ml", "compute", "show", *_compute(ground))


def _cluster(ground: Ground) -> tuple[str, ...]:
    where = ("--cluster-name", ground["cluster_name"], "--resource-group", ground["azure_resource_group"])
    return ("--cluster-type", "managedClusters", *where)


def _compute(ground: Ground) -> tuple[str, ...]:
    where = ("--workspace-name", ground["azure_workspace_name"], "--resource-group", ground["azure_resource_group"])
    return ("--name", attached_name(ground["cluster_name"]), *where)


STEP = Step(
    number=3,
    name="azureml",
    title="the cluster as a compute of Azure ML",
    plan=plan,
    removal=removal,
    there=_attached,
    after=("gpu-operator", "scheduler"),
    needs=(*CLUSTER, "cluster_id", "azure_workspace_name", "workload_identity"),
    pools=True,
    then="gaitway doctor --on azureml",
)
