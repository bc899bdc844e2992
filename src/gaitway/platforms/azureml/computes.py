"""Checks of a compute target against its own description: instance type, GPUs, nodes, tier, quota."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from gaitway_runtime.spec.types import Json, JsonObject, object_at, objects_at

from ...errors import GaitwayError, PlatformError, UsageError, nearest
from ..base import Submission
from .client import Azure
from .options import SERVERLESS, is_default

KUBERNETES, CLUSTER = "Kubernetes", "AmlCompute"
GPU = "nvidia.com/gpu"
SHOWN_SIZES = 5
"""VM sizes that an error names, the smallest first."""


@dataclass(frozen=True)
class Need:
    """What a job needs of its compute, and where each number came from."""

    nodes: int
    gpus: int
    """Of each node."""
    instance_type: str | None
    spot: bool
    submission: Submission

    def origin(self, key: str) -> str:
        """Return a setting with its value and origin, for an error's ``from:`` line."""
        setting = self.submission.settings[key]
        return f"{key} = {setting.value} ({setting.origin})"


@dataclass(frozen=True)
class VmSize:
    """A VM size as a location lists it."""

    name: str
    family: str
    cores: int
    gpus: int
    spot: bool


def check_compute(azure: Azure, document: JsonObject, submission: Submission) -> str | None:
    """Check the compute target of a job document, and return the kind of a named one.

    Raises:
        UsageError: There is no such compute or instance type, or it is too small for the job.
        PlatformError: The compute is not usable, or the quota is not enough.
    """
    need = _need_of(document, submission)
    name = str(document.get("compute") or "").removeprefix("azureml:")
    if name in ("", SERVERLESS):
        _check_size(azure, str(need.instance_type), need)
        return None
    about = _properties(_found(azure, name, submission))
    state = str(about.get("provisioningState", "Succeeded"))
    if state != "Succeeded":
        raise PlatformError(f"compute {name} is not usable: {state}", source=need.origin("compute"))
    kind = str(about.get("computeType", ""))
    if kind == KUBERNETES:
        _check_instance_type(name, _properties(about), need)
    else:
        _check_cluster(azure, name, kind, _properties(about), need)
    return kind


def _need_of(document: JsonObject, submission: Submission) -> Need:
    resources, queue = object_at(document, "resources"), object_at(document, "queue_settings")
    processes = object_at(document, "distribution").get("process_count_per_instance")
    wanted = resources.get("instance_type")
    return Need(
        nodes=_number(resources.get("instance_count", 1)),
        gpus=_number(processes) if processes is not None else min(int(submission.option("num_gpus") or 0), 1),
        instance_type=None if wanted is None else str(wanted),
        spot=str(queue.get("job_tier", "")).lower() == "spot",
        submission=submission,
    )


def queue_reason(azure: Azure, compute_id: str, queue: JsonObject) -> str:
    """Return why a compute has not started a queued job, as far as the compute itself tells."""
    name = compute_id.rpartition("/")[2]
    if name in ("", SERVERLESS):
        tier = str(queue.get("jobTier") or "Standard")
        return f"waiting for serverless capacity, tier {tier}"
    try:
        found = azure.find(f"/computes/{quote(name, safe='')}")
    except GaitwayError:
        return ""
    about = _properties(found or {})
    inner = _properties(about)
    if about.get("computeType") != CLUSTER:
        return f"waiting for room on {name}: gaitway doctor --on azureml, or kubectl get pods on the cluster"
    errors = [
        str(object_at(item, "error").get("message") or item.get("message")) for item in objects_at(inner, "errors")
    ]
    if errors:
        return f"{name} cannot get nodes: {errors[0]}"
    counts = object_at(inner, "nodeStateCounts")
    states = ", ".join(f"{count} {key.removesuffix('NodeCount')}" for key, count in counts.items() if count)
    most = object_at(inner, "scaleSettings").get("maxNodeCount")
    tier = " low-priority" if str(inner.get("vmPriority")) == "LowPriority" else ""
    return (
        f"{name} has {inner.get('currentNodeCount', 0)} of at most {most}{tier} nodes"
        f" ({states or 'none up'}), {str(inner.get('allocationState', '')).lower()}"
    )


def _found(azure: Azure, name: str, submission: Submission) -> JsonObject:
    found = azure.find(f"/computes/{quote(name, safe='')}")
    if found is not None:
        return found
    names = [str(item.get("name")) for item in azure.items("/computes")]
    close = nearest(name, names, 1)
    raise UsageError(
        f"the workspace has no compute '{name}'",
        source=f"compute = {name} ({submission.settings['compute'].origin})",
        allowed=", ".join([*names, "serverless"]),
        hint=f"did you mean {close}?" if close else "--compute NAME, or AZUREML_COMPUTE",
    )


def _check_instance_type(compute: str, about: JsonObject, need: Need) -> None:
    types = object_at(about, "instanceTypes")
    wanted = need.instance_type or str(about.get("defaultInstanceType") or "")
    if types and wanted not in types:
        raise UsageError(
            f"compute {compute} has no instance type '{wanted}'",
            source=need.origin("instance_type"),
            allowed=", ".join(types),
        )
    room = {name: _gpus_of(found) for name, found in types.items() if isinstance(found, Mapping)}
    most = room.get(wanted)
    if most is not None and most < need.gpus:
        enough = [name for name, gpus in room.items() if gpus is not None and gpus >= need.gpus]
        raise UsageError(
            f"instance type {wanted} has {_count(most)}, the job asks for {need.gpus} a node",
            source=f"{need.origin('num_gpus')}, {need.origin('instance_type')}",
            allowed=f"instance types with enough: {', '.join(enough)}" if enough else f"--num-gpus {most}",
            hint="--num-nodes spreads a training over more nodes",
        )


def _gpus_of(instance_type: JsonObject) -> int | None:
    """Return the GPUs that an instance type limits a pod to; None where it does not say."""
    resources = object_at(instance_type, "resources")
    if not resources:
        return None
    text = str(object_at(resources, "limits").get(GPU, 0))
    return int(text) if text.isdecimal() else None


def _check_cluster(azure: Azure, compute: str, kind: str, about: JsonObject, need: Need) -> None:
    size = str(about.get("vmSize") or "")
    typed = not is_default(need.submission, "instance_type")
    if typed and need.instance_type and need.instance_type != size:
        raise UsageError(
            f"compute {compute} is of kind {kind}, which has no instance types"
            + (f": its nodes are {size}" * bool(size)),
            source=need.origin("instance_type"),
            hint="--instance-type none",
        )
    most = object_at(about, "scaleSettings").get("maxNodeCount")
    if isinstance(most, int) and most < need.nodes:
        raise UsageError(
            f"compute {compute} has at most {most} nodes, the job asks for {need.nodes}",
            source=need.origin("num_nodes"),
            allowed=f"--num-nodes {most} or less" if most else None,
            hint=f"az ml compute update --name {compute} --max-instances {need.nodes}",
        )
    if size:
        _check_room(_sizes(azure).get(size.lower()), need, f"compute {compute}")


def _check_size(azure: Azure, name: str, need: Need) -> None:
    """Check a VM size of serverless compute: that the location has it, its GPUs, its tier, and the quota for it."""
    sizes = _sizes(azure)
    if not sizes:
        return
    by_default = is_default(need.submission, "instance_type")
    source = f"instance_type = {name} (default on serverless compute)" if by_default else need.origin("instance_type")
    size = sizes.get(name.lower())
    if size is None:
        raise _no_such_size(name, sizes.values(), need.gpus, source, typed=not by_default)
    _check_room(size, need, f"VM size {size.name}")
    if need.spot and not size.spot:
        raise UsageError(
            f"VM size {size.name} is not offered as spot", source=need.origin("job_tier"), hint="--job-tier Standard"
        )
    _check_quota(azure, size, need, source)


def _no_such_size(name: str, sizes: Collection[VmSize], gpus: int, source: str, *, typed: bool) -> UsageError:
    """Return the refusal of a VM size, with the smallest that would do; a name that somebody typed may be misspelt."""
    enough = sorted((size for size in sizes if size.gpus >= gpus), key=lambda size: (size.gpus, size.cores))
    close = nearest(name, [size.name for size in sizes], 1) if typed else ""
    choose_one = "name one of them with --instance-type" if enough else "az ml compute list-sizes"
    return UsageError(
        f"there is no VM size '{name}' in the workspace's region",
        source=source,
        allowed=", ".join(size.name for size in enough[:SHOWN_SIZES]) or None,
        hint=f"did you mean {close}?" if close else choose_one,
    )


def _check_room(size: VmSize | None, need: Need, what: str) -> None:
    if size is not None and size.gpus < need.gpus:
        raise UsageError(
            f"{what} has {_count(size.gpus)} a node, the job asks for {need.gpus}",
            source=need.origin("num_gpus"),
            allowed=f"--num-gpus {size.gpus}",
            hint="az ml compute list-sizes shows the GPUs of each size",
        )


def _check_quota(azure: Azure, size: VmSize, need: Need, source: str) -> None:
    """Compare the cores of the job with the free cores of the VM's family, where the location tells.

    Raises:
        PlatformError: They are not enough.
    """
    wanted = size.cores * need.nodes
    for item in _location(azure, "usages"):
        name = str(object_at(item, "name").get("value", ""))
        if name.lower() != ("lowprioritycores" if need.spot else size.family.lower()):
            continue
        limit, used = item.get("limit"), item.get("currentValue")
        if isinstance(limit, int) and isinstance(used, int) and limit >= 0 and limit - used < wanted:
            raise PlatformError(
                f"the quota {name} has {limit - used} cores left of {limit}, the job needs {wanted}",
                source=source,
                hint="ask for quota in Azure ML Studio, or choose another --instance-type or --job-tier",
            )


def _sizes(azure: Azure) -> dict[str, VmSize]:
    """Return the VM sizes of the workspace's location by name in small letters; nothing where it does not tell."""
    found = {}
    for item in _location(azure, "vmSizes"):
        size = VmSize(
            str(item.get("name")),
            str(item.get("family")),
            _number(item.get("vCPUs")),
            _number(item.get("gpus")),
            bool(item.get("lowPriorityCapable")),
        )
        found[size.name.lower()] = size
    return found


def _location(azure: Azure, what: str) -> list[JsonObject]:
    """Return a list of the workspace's location; nothing where the identity is not allowed to read it."""
    try:
        return azure.location(what)
    except GaitwayError:
        return []


def _properties(document: JsonObject) -> JsonObject:
    return object_at(document, "properties")


def _number(value: Json) -> int:
    return int(value) if isinstance(value, (int, float)) else 0


def _count(gpus: int) -> str:
    return {0: "no GPU", 1: "1 GPU"}.get(gpus, f"{gpus} GPUs")
