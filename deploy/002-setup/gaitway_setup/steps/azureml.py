"""Step 03, Azure ML on the cluster: extension, instance types, attachment as a compute."""

from __future__ import annotations

from gaitway.platforms.azureml.options import attached_name
from gaitway.platforms.osmo.options import DEFAULTS

from .. import files
from ..actions import Action, Plan
from ..deployment import Deployment, Pool
from .base import CLUSTER, Step, access, apply, az, delete

EXTENSION = NAMESPACE = "azureml"
VOLCANO_CONFIG = "volcano-scheduler-scale-from-zero"
PREVIEW = ("k8s-extension", "ml")
"""Extensions of the Azure CLI that the step uses."""


def plan(deployment: Deployment) -> Plan:
    """Install the extension, create the instance types of each pool, attach the cluster."""
    tools = (
        Action(f"have az {name}", ("az", "extension", "add", "--name", name, "--upgrade", "--only-show-errors"))
        for name in PREVIEW
    )
    types = (
        apply(deployment, f"offer {type_name(pool, gpus)}", instance_type(pool, gpus), strict=False)
        for pool in deployment.pools
        for gpus in sizes(pool)
    )
    return Plan(
        (
            *access(deployment),
            *tools,
            *_scheduler_config(deployment),
            _extension(deployment),
            *types,
            _attachment(deployment),
        )
    )


def removal(deployment: Deployment) -> Plan:
    """Detach the cluster and remove the extension. Jobs, models and files stay in the workspace."""
    types = [type_name(pool, gpus) for pool in deployment.pools for gpus in sizes(pool)]
    detach = az(deployment, "ml", "compute", "detach", *_compute(deployment), "--yes")
    remove = az(deployment, "k8s-extension", "delete", "--name", EXTENSION, *_cluster(deployment), "--yes")
    return Plan(
        (
            *access(deployment),
            Action("detach the cluster", detach),
            delete(deployment, "instancetype", *types),
            Action("remove the extension", remove),
        )
    )


def sizes(pool: Pool) -> tuple[int, ...]:
    """Return the GPU counts that a pool is offered with: powers of two up to the GPUs of a node, and all of them."""
    powers = [2**exponent for exponent in range(8) if 2**exponent < pool.gpus]
    return (*powers, pool.gpus)


def type_name(pool: Pool, gpus: int) -> str:
    """Return the name of an instance type: the pool's for one GPU, with the count for more."""
    return pool.name if gpus == 1 else f"{pool.name}-{gpus}gpu"


def instance_type(pool: Pool, gpus: int = 1) -> str:
    """Return an instance type of a pool, with room for gaitway's default job on OSMO for each GPU."""
    size = DEFAULTS["train"]
    return files.manifest(
        "instance-type",
        name=type_name(pool, gpus),
        selector=dict(pool.labels),
        cpu=size.cpu * gpus,
        memory=_times(size.memory, gpus),
        gpus=str(gpus),
    )


def _times(memory: str, count: int) -> str:
    number = memory.rstrip("KMGTi")
    return f"{int(number) * count}{memory[len(number) :]}"


def _own_volcano(deployment: Deployment) -> bool:
    """Whether step 02 has installed Volcano, so that the extension must not bring its own."""
    return deployment["scheduler"] == "volcano"


def _scheduler_config(deployment: Deployment) -> tuple[Action, ...]:
    """Configure the extension's Volcano for pools that scale from zero; step 02 configures one of its own."""
    if _own_volcano(deployment):
        return ()
    config = files.manifest("volcano-config", name=VOLCANO_CONFIG, namespace=NAMESPACE)
    return (
        apply(deployment, f"make the namespace {NAMESPACE}", files.manifest("namespace", name=NAMESPACE)),
        apply(deployment, "let Volcano wait for nodes that are not there yet", config),
    )


def settings(deployment: Deployment) -> dict[str, str]:
    """Return the extension's settings: the file's, who schedules, and the taints that training pods tolerate."""
    found = {**files.settings("azureml-extension"), "installVolcano": str(not _own_volcano(deployment))}
    if not _own_volcano(deployment):
        found["volcanoScheduler.schedulerConfigMap"] = VOLCANO_CONFIG
    taints = {tuple(sorted(taint.items())) for pool in deployment.pools for taint in pool.tolerations}
    for number, taint in enumerate(sorted(taints)):
        found |= {f"workLoadToleration[{number}].{key}": value for key, value in taint}
    return found


def _extension(deployment: Deployment) -> Action:
    pairs = [f"{name}={value}" for name, value in sorted(settings(deployment).items())]
    kind = ("--extension-type", "Microsoft.AzureML.Kubernetes", *_cluster(deployment))
    how = ("--scope", "cluster", "--release-train", "stable", "--config", *pairs)
    argv = az(deployment, "k8s-extension", "create", "--name", EXTENSION, *kind, *how)
    return Action("install Azure ML's extension", argv)


def _attachment(deployment: Deployment) -> Action:
    cluster = ("--type", "Kubernetes", "--resource-id", deployment["cluster_id"], "--namespace", NAMESPACE)
    identity = ("--identity-type", "UserAssigned", "--user-assigned-identities", deployment["workload_identity"])
    argv = az(deployment, "ml", "compute", "attach", *_compute(deployment), *cluster, *identity)
    return Action("attach the cluster to the workspace", argv, unless=_attached(deployment))


def _attached(deployment: Deployment) -> tuple[str, ...]:
    return az(deployment, "ml", "compute", "show", *_compute(deployment))


def _cluster(deployment: Deployment) -> tuple[str, ...]:
    where = ("--cluster-name", deployment["cluster_name"], "--resource-group", deployment["azure_resource_group"])
    return ("--cluster-type", "managedClusters", *where)


def _compute(deployment: Deployment) -> tuple[str, ...]:
    where = (
        "--workspace-name",
        deployment["azure_workspace_name"],
        "--resource-group",
        deployment["azure_resource_group"],
    )
    return ("--name", attached_name(deployment["cluster_name"]), *where)


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
