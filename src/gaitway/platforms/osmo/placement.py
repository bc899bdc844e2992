"""Fit of a job into a pool: GPUs of nodes, what is free, how often OSMO starts a task again, where results are kept.

OSMO accepts a workflow that no node can hold, and it then waits without end; so its own figures are looked at first.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence

from ...errors import ConfigError, UsageError
from ..base import Submission
from . import client
from .capacity import NodeFacts, PoolFacts, ServiceFacts, default_pool, read_nodes, read_pools, read_service, size_of
from .options import Chosen, names_outputs, reports_to_server

_log = logging.getLogger(__name__)


def check_placement(submission: Submission, chosen: Chosen) -> None:
    """Look whether a job fits and whether its results are kept, before anything is sent.

    Raises:
        UsageError: There is no such pool or platform, or no node can hold the job.
        ConfigError: Nothing would keep the results, or a preempted job would not go on although that is required.
        GaitwayError: OSMO does not answer.
    """
    options = chosen.options
    nodes = options.num_nodes if submission.job.kind in ("train", "ship") else 1
    pools = read_pools()
    name = options.pool or default_pool(pools)
    check_pool(pools, name, options.num_gpus * nodes, options.priority)
    if name is not None:
        found = read_nodes(name)
        check_nodes(name, found, options.resource_platform, options.num_gpus, nodes)
        if not options.workflow_file:
            check_amounts(name, found, chosen)
    check_credentials(options.credentials)
    facts = read_service()
    check_results(submission, chosen, facts)
    for note in waiting_notes(pools.values(), name, options.num_gpus * nodes, options.priority, facts):
        _log.warning("%s", note)


def check_pool(pools: Mapping[str, PoolFacts], name: str | None, gpus: int, priority: str | None = None) -> None:
    """Compare the GPUs that are asked for with the pool.

    Args:
        pools: The pools that the user may look at, by name.
        name: The pool; any of them when None.
        gpus: GPUs of all nodes of the job.
        priority: Its priority; NORMAL when None.

    Raises:
        UsageError: There is no such pool, it is closed, or it has fewer GPUs.
    """
    if name is not None and pools and name not in pools:
        raise UsageError(f"there is no pool '{name}'", source="--pool", allowed=", ".join(sorted(pools)))
    candidates = {name: pools[name]} if name is not None and name in pools else pools
    if candidates and not any(found.is_open for found in candidates.values()):
        raise UsageError(
            f"pool {name} is undergoing maintenance",
            source="--pool",
            allowed=", ".join(sorted(other for other, found in pools.items() if found.is_open)) or None,
        )
    if candidates and all(found.capacity is not None and found.capacity < gpus for found in candidates.values()):
        most = ", ".join(f"{other}: {found.capacity}" for other, found in pools.items())
        raise UsageError(f"{gpus} GPUs are asked for and no pool has as many", source="--num-gpus", allowed=most)
    if priority != "LOW" and candidates and all(_is_over(found, gpus) for found in candidates.values()):
        most = ", ".join(f"{other}: {found.quota}" for other, found in pools.items())
        raise UsageError(
            f"{gpus} GPUs are asked for, more than NORMAL and HIGH priority may take",
            source="--num-gpus",
            allowed=most,
            hint="--priority LOW may take more, and may be preempted",
        )


def _is_over(pool: PoolFacts, gpus: int) -> bool:
    return pool.quota is not None and pool.quota < gpus


def check_nodes(pool: str, found: Sequence[NodeFacts], platform: str | None, gpus: int, nodes: int) -> None:
    """Compare what a job asks of each node with the nodes of a pool.

    Raises:
        UsageError: The pool has no such platform, no node has as many GPUs, or too few have.
    """
    if not any(node.gpus for node in found):
        return  # this release, or the user's role, does not tell
    told = any(node.platforms for node in found)
    if platform is not None and told and not any(platform in node.platforms for node in found):
        known = sorted({name for node in found for name in node.platforms})
        raise UsageError(
            f"Platform {platform} does not exist in pool {pool}", source="--platform", allowed=", ".join(known)
        )
    able = [node for node in found if platform is None or not told or platform in node.platforms]
    most = max(node.gpus for node in able)
    if gpus > most:
        raise UsageError(
            f"{gpus} GPUs of one node are asked for, and the nodes of pool {pool} have at most {most}",
            source="--num-gpus",
            allowed=f"at most {most} on each of --num-nodes nodes",
            hint=_split(gpus * nodes, most),
        )
    room = sum(node.gpus >= gpus for node in able)
    if nodes > room:
        raise UsageError(
            f"{nodes} nodes with {gpus} GPUs are asked for, and pool {pool} has {room}", source="--num-nodes"
        )


def check_amounts(pool: str, found: Sequence[NodeFacts], chosen: Chosen) -> None:
    """Compare cpu, memory and disk that a job asks of a node with the nodes of a pool.

    OSMO would refuse it as well, and file the refusal under a number of its own.

    Raises:
        UsageError: No node has as much.
    """
    platform = chosen.options.resource_platform
    able = [node for node in found if platform is None or not node.platforms or platform in node.platforms]
    asked = (
        ("cpu", chosen.cpu, ""),
        ("memory", size_of(chosen.memory), "Gi"),
        ("storage", size_of(chosen.storage), "Gi"),
    )
    for name, amount, unit in asked:
        most = max((node.amounts.get(name, 0.0) for node in able), default=0.0)
        if amount is not None and most and amount > most:
            raise UsageError(
                f"{amount:g}{unit} of {name} are asked for, and the nodes of pool {pool} have at most {most:g}{unit}",
                source=f"--{name}",
                hint="osmo resource list",
            )


def check_credentials(words: Sequence[str]) -> None:
    """Look whether the user has stored the credentials that a job asks for.

    Raises:
        ConfigError: One is missing.
        GaitwayError: OSMO does not answer.
    """
    if not words:
        return
    answer = client.json_unless_refused("credential", "list")
    known = {str(entry.get("cred_name")) for entry in (answer or {}).get("credentials", [])}
    missing = next((name for name in (word.partition(":")[0] for word in words) if name not in known), None)
    if answer is not None and missing is not None:
        raise ConfigError(
            f"Could not find the credential: {missing}",
            source="--credential",
            allowed=", ".join(sorted(known)) or None,
            hint="osmo credential set --help",
        )


def check_results(submission: Submission, chosen: Chosen, facts: ServiceFacts) -> None:
    """Refuse a job whose results would be lost, or one that has to survive preemption and would not.

    Raises:
        ConfigError: It is such a job; the error says which setting helps.
    """
    options = chosen.options
    kept = reports_to_server(submission, options) or bool(options.storage_uri)
    if facts.keeps_outputs is False and not options.accept_loss:
        raise ConfigError(
            "nothing would keep the results: this OSMO has no store of its own, without which it starts no task",
            source="workflow_data of the workflow configuration",
            hint="an administrator names one, deploy/002-setup does; --accept-loss submits all the same",
        )
    if not kept and names_outputs(submission, options) and not options.accept_loss and not _has_data_credential():
        raise ConfigError(
            "nothing would keep the results: OSMO's own store gets none of a task that names places for outputs",
            source="--output",
            hint="add --storage-uri URI, or store a credential: osmo credential set NAME --type DATA --payload ...",
        )
    if not options.require_resume:
        return
    if facts.max_retry_per_task == 0:
        raise ConfigError(
            "a preempted job would not go on: OSMO starts no task again here (max_retry_per_task is 0)",
            source="--require-resume",
            hint="an administrator sets max_retry_per_task of the workflow configuration; deploy/002-setup does",
        )
    if not kept and not _has_data_credential():
        raise ConfigError(
            "a preempted job would begin anew: nothing keeps its checkpoints while it runs",
            source="--require-resume",
            hint="add --storage-uri URI, or store a credential: osmo credential set NAME --type DATA --payload ...",
        )


def waiting_notes(
    pools: Iterable[PoolFacts], pool: str | None, gpus: int, priority: str | None, facts: ServiceFacts
) -> list[str]:
    """Return what a user should know of a job that is about to be sent."""
    notes = []
    known = {found.name: _room(found, priority) for found in pools}
    for name, free in known.items():
        if pool in (None, name) and free is not None and free < gpus:
            notes.append(f"pool {name} has {free} free GPUs now, {gpus} are asked for: the job waits for the rest")
            others = [f"{other} has {room}" for other, room in known.items() if (room or 0) >= gpus and other != name]
            notes += [f"another pool has room, --pool takes it: {', '.join(others)}"] if others else []
    if facts.max_retry_per_task == 0:
        low = " and LOW priority may be preempted" if priority == "LOW" else ""
        notes.append(f"OSMO starts no task again here (max_retry_per_task is 0){low}: a preempted job ends")
    return notes


def _has_data_credential() -> bool:
    answer = client.json_unless_refused("credential", "list") or {}
    return any(entry.get("cred_type") == "DATA" for entry in answer.get("credentials", []))


def _split(gpus: int, most: int) -> str | None:
    """Return the flags that ask for so many GPUs of several nodes, where they divide evenly."""
    nodes = next((nodes for nodes in range(2, 65) if gpus % nodes == 0 and gpus // nodes <= most), None)
    return f"--num-nodes {nodes} --num-gpus {gpus // nodes}" if nodes and most else None


def _room(pool: PoolFacts, priority: str | None) -> int | None:
    """Return the free GPUs of a pool that a job of a priority may take now."""
    return pool.free if priority == "LOW" else _least(pool.free, pool.quota_free)


def _least(*values: int | None) -> int | None:
    known = [value for value in values if value is not None]
    return min(known) if known else None
