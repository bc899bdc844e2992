"""Computes as a workspace describes them."""

from __future__ import annotations

from typing import Any

VM_SIZES: dict[str, dict[str, Any]] = {
    "Standard_NC24ads_A100_v4": {"vCPUs": 24, "gpus": 1, "memoryGB": 220, "lowPriorityCapable": True},
    "Standard_NC96ads_A100_v4": {"vCPUs": 96, "gpus": 4, "memoryGB": 880, "lowPriorityCapable": True},
    "Standard_DS3_v2": {"vCPUs": 4, "gpus": 0, "memoryGB": 14, "lowPriorityCapable": True},
    "Standard_ND96isr_H100_v5": {"vCPUs": 96, "gpus": 8, "memoryGB": 1900, "lowPriorityCapable": False},
}
"""Part of what the list of VM sizes holds."""

FAMILIES = {
    "Standard_NC24ads_A100_v4": "standardNCADSA100v4Family",
    "Standard_NC96ads_A100_v4": "standardNCADSA100v4Family",
    "Standard_DS3_v2": "standardDSv2Family",
    "Standard_ND96isr_H100_v5": "standardNDSH100v5Family",
}


def kubernetes(*instance_types: str, gpus: int = 1) -> dict[str, Any]:
    """Return an attached cluster; each of its instance types limits cores, memory and GPUs."""
    amounts = {"cpu": "8", "memory": "48Gi"}
    types = {
        name: {
            "nodeSelector": {"gaitway/pool": name},
            "resources": {"requests": amounts, "limits": {**amounts, "nvidia.com/gpu": gpus}},
        }
        for name in instance_types
    }
    return {
        "computeType": "Kubernetes",
        "provisioningState": "Succeeded",
        "resourceId": "/subscriptions/s/resourceGroups/r/providers/Microsoft.ContainerService/managedClusters/aks",
        "properties": {"namespace": "azureml", "defaultInstanceType": instance_types[0], "instanceTypes": types},
    }


def aml_compute(
    vm_size: str = "Standard_NC24ads_A100_v4", *, priority: str = "LowPriority", most: int = 4, nodes: int = 0
) -> dict[str, Any]:
    """Return a compute cluster of Azure ML's own."""
    return {
        "computeType": "AmlCompute",
        "provisioningState": "Succeeded",
        "properties": {
            "vmSize": vm_size,
            "vmPriority": priority,
            "scaleSettings": {"minNodeCount": 0, "maxNodeCount": most, "nodeIdleTimeBeforeScaleDown": "PT120S"},
            "allocationState": "Resizing" if nodes == 0 else "Steady",
            "currentNodeCount": nodes,
            "targetNodeCount": 1,
            "nodeStateCounts": {
                "idleNodeCount": 0,
                "runningNodeCount": nodes,
                "preparingNodeCount": 0,
                "unusableNodeCount": 0,
                "leavingNodeCount": 0,
                "preemptedNodeCount": 0,
            },
            "errors": [],
        },
    }


def vm_sizes() -> dict[str, Any]:
    """Return the answer to the list of VM sizes of a location."""
    return {"value": [{"name": name, "family": FAMILIES[name], **size} for name, size in VM_SIZES.items()]}


def usages(cores: dict[str, int]) -> dict[str, Any]:
    """Return the answer to the list of usages of a location: the free cores of each family, and of low priority."""
    names = {family: family for family in FAMILIES.values()} | {"lowPriorityCores": "Total Low Priority Cores"}
    return {
        "value": [
            {
                "name": {"value": name, "localizedValue": shown},
                "currentValue": 0,
                "limit": cores.get(name, 200),
                "unit": "Count",
                "type": "Microsoft.MachineLearningServices/vmFamily/usages",
            }
            for name, shown in names.items()
        ]
    }
