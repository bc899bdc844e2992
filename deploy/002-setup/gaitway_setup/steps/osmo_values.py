"""The values of OSMO's charts that differ between deployments, from what Terraform made."""

from __future__ import annotations

from typing import Any

from gaitway.platforms.azureml.options import AzuremlOptions

from .. import files
from ..ground import Ground, Pool

SERVICE_ACCOUNT = "osmo-service"
"""Kubernetes account of OSMO's services; Terraform names it in a federated credential."""
WORKFLOW_ACCOUNT = "osmo-workflow"
"""Kubernetes account of training pods; Terraform names it in a federated credential."""
BUCKET = "training"
"""OSMO bucket that gaitway uploads training code to unless told otherwise (``--dataset-bucket``)."""
_IDENTITY_LABEL = {"azure.workload.identity/use": "true"}
_REACHING_STORAGE = ("service", "agent", "worker", "logger", "delayedJobMonitor")


def control_plane(ground: Ground) -> str:
    """Return the values of the service chart: data services, identity, storage, back end, pool and platforms."""
    labelled: dict[str, Any] = {name: {"extraPodLabels": _IDENTITY_LABEL} for name in _REACHING_STORAGE}
    values = {
        "global": {**_images(), "serviceAccountName": SERVICE_ACCOUNT},
        "serviceAccount": {
            "create": True,
            "annotations": {"azure.workload.identity/client-id": ground["osmo_client"]},
        },
        "services": {
            **labelled,
            "postgres": {
                "serviceName": ground["database_host"],
                "user": ground["database_user"],
                "db": ground["database_name"],
            },
            "redis": {"serviceName": ground["redis_host"], "port": int(ground["redis_port"])},
            "configs": {"enabled": True, **_configs(ground)},
        },
    }
    return files.document(values)


def operator(ground: Ground) -> str:
    """Return the values of the chart of OSMO's agent."""
    own = {
        **_images(),
        "serviceUrl": f"http://{gateway(ground)}",
        "agentNamespace": ground["operator_namespace"],
        "backendNamespace": ground["workflow_namespace"],
    }
    return files.document({"global": own})


def gateway(ground: Ground) -> str:
    """Return the name of OSMO's gateway inside the cluster."""
    return f"osmo-gateway.{ground['control_namespace']}.svc.cluster.local"


def _images() -> dict[str, str]:
    images = files.versions()["osmo_images"]
    return {"osmoImageLocation": images["location"], "osmoImageTag": images["version"]}


def _configs(ground: Ground) -> dict[str, Any]:
    images = _images()
    image = f"{images['osmoImageLocation']}/{{}}:{images['osmoImageTag']}"
    account = ground["azure_storage_account"]
    store = {"credential": {"endpoint": f"azure://{account}/workflows"}}
    return {
        "service": {"service_base_url": f"http://{gateway(ground)}"},
        "backends": {
            "default": {
                "description": "The cluster that OSMO itself runs in",
                "router_address": f"ws://{gateway(ground)}",
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
        },
        "dataset": {
            "default_bucket": BUCKET,
            "buckets": {BUCKET: {"dataset_path": f"azure://{account}/datasets", "mode": "read-write"}},
        },
        "podTemplates": {_template(pool): _pod(pool) for pool in ground.pools},
        "pools": {
            "default": {
                "backend": "default",
                "default_platform": _default(ground.pools),
                "platforms": {pool.name: {"override_pod_template": [_template(pool)]} for pool in ground.pools},
            }
        },
    }


def _default(pools: tuple[Pool, ...]) -> str:
    """Return the platform of jobs that name none: the pool that Azure ML's jobs go to by default, where it is there."""
    names = [pool.name for pool in pools]
    usual = str(AzuremlOptions.__dataclass_fields__["instance_type"].default)
    return usual if usual in names else names[0]


def _template(pool: Pool) -> str:
    return f"gpu_{pool.name}"


def _pod(pool: Pool) -> dict[str, Any]:
    """Return what a pod must have to come onto a pool's nodes and to act as the training identity."""
    spec = {
        "serviceAccountName": WORKFLOW_ACCOUNT,
        "nodeSelector": dict(pool.labels),
        "tolerations": [dict(toleration) for toleration in pool.tolerations],
    }
    return {"metadata": {"labels": _IDENTITY_LABEL}, "spec": spec}
