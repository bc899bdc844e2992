"""Values of OSMO's charts that differ between deployments."""

from __future__ import annotations

from typing import Any

from gaitway.platforms.azureml.options import AzuremlOptions

from .. import files
from ..deployment import Deployment, Pool

SERVICE_ACCOUNT = "osmo-service"
"""Kubernetes account of OSMO's services; Terraform names it in a federated credential."""
WORKFLOW_ACCOUNT = "osmo-workflow"
"""Kubernetes account of training pods; Terraform names it in a federated credential."""
BUCKET = "training"
"""OSMO bucket that gaitway uploads training code to unless told otherwise (``--dataset-bucket``)."""
MAX_RETRY_PER_TASK = 10
"""How often OSMO starts a task again that was preempted, evicted or lost its node. OSMO's own default is 0: never."""
SHARED_MEMORY_GIB = 16
"""Largest size of /dev/shm in training pods [GiB]; a container's default of 64 MiB stops data loaders and NCCL."""
_IDENTITY_LABEL = {"azure.workload.identity/use": "true"}
_REACHING_STORAGE = ("service", "agent", "worker", "logger", "delayedJobMonitor")


def control_plane(deployment: Deployment) -> str:
    """Return the values of the service chart: data services, identity, storage, back end, pool and platforms."""
    labelled: dict[str, Any] = {name: {"extraPodLabels": _IDENTITY_LABEL} for name in _REACHING_STORAGE}
    values = {
        "global": {**_images(), "serviceAccountName": SERVICE_ACCOUNT},
        "serviceAccount": {
            "create": True,
            "annotations": {"azure.workload.identity/client-id": deployment["osmo_client"]},
        },
        "services": {
            **labelled,
            "postgres": {
                "serviceName": deployment["database_host"],
                "user": deployment["database_user"],
                "db": deployment["database_name"],
            },
            "redis": {"serviceName": deployment["redis_host"], "port": int(deployment["redis_port"])},
            "configs": {"enabled": True, **_configs(deployment)},
        },
    }
    return files.document(values)


def operator(deployment: Deployment) -> str:
    """Return the values of the chart of OSMO's agent."""
    own = {
        **_images(),
        "serviceUrl": f"http://{gateway(deployment)}",
        "agentNamespace": deployment["operator_namespace"],
        "backendNamespace": deployment["workflow_namespace"],
    }
    return files.document({"global": own})


def gateway(deployment: Deployment) -> str:
    """Return the name of OSMO's gateway inside the cluster."""
    return f"osmo-gateway.{deployment['control_namespace']}.svc.cluster.local"


def _images() -> dict[str, str]:
    images = files.versions()["osmo_images"]
    return {"osmoImageLocation": images["location"], "osmoImageTag": images["version"]}


def _configs(deployment: Deployment) -> dict[str, Any]:
    images = _images()
    image = f"{images['osmoImageLocation']}/{{}}:{images['osmoImageTag']}"
    account = deployment["azure_storage_account"]
    store = {"credential": {"endpoint": f"azure://{account}/workflows"}}
    return {
        "service": {"service_base_url": f"http://{gateway(deployment)}"},
        "backends": {
            "default": {
                "description": "The cluster that OSMO itself runs in",
                "router_address": f"ws://{gateway(deployment)}",
                "scheduler_settings": {
                    "scheduler_type": "kai",
                    "scheduler_name": "kai-scheduler",
                    "scheduler_timeout": 30,
                },
            }
        },
        "workflow": {
            "backend_images": {"init": image.format("init-container"), "client": image.format("client")},
            "workflow_data": {**store, "base_url": f"azure://{account}/workflows"},
            "workflow_log": store,
            "workflow_app": store,
            "max_retry_per_task": MAX_RETRY_PER_TASK,
            # For gaitway sync, and the progress of a run that has no storage; off by default.
            "plugins_config": {"rsync": {"enabled": True}},
        },
        "dataset": {
            "default_bucket": BUCKET,
            "buckets": {BUCKET: {"dataset_path": f"azure://{account}/datasets", "mode": "read-write"}},
        },
        "podTemplates": {_template(pool): _pod(pool) for pool in deployment.pools},
        "pools": {
            "default": {
                "backend": "default",
                "default_platform": _default(deployment.pools),
                "platforms": {pool.name: {"override_pod_template": [_template(pool)]} for pool in deployment.pools},
            }
        },
    }


def _default(pools: tuple[Pool, ...]) -> str:
    """Return the default platform: the pool of Azure ML's default instance type if there is one, else the first."""
    names = [pool.name for pool in pools]
    usual = str(AzuremlOptions.__dataclass_fields__["instance_type"].default)
    return usual if usual in names else names[0]


def _template(pool: Pool) -> str:
    return f"gpu_{pool.name}"


def _pod(pool: Pool) -> dict[str, Any]:
    """Return the pod template of a pool: node selector, tolerations, identity and shared memory of training jobs."""
    spec = {
        "containers": [
            {"name": "{{USER_CONTAINER_NAME}}", "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}]},
        ],
        "volumes": [{"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": f"{SHARED_MEMORY_GIB}Gi"}}],
        "serviceAccountName": WORKFLOW_ACCOUNT,
        "nodeSelector": dict(pool.labels),
        "tolerations": [dict(toleration) for toleration in pool.tolerations],
    }
    return {"metadata": {"labels": _IDENTITY_LABEL}, "spec": spec}
