"""Figures of OSMO's installation: pools, their nodes, and the configuration that decides what becomes of a run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import client

GIBS = {"": 2.0**-30, "K": 2.0**-20, "M": 2.0**-10, "G": 1.0, "T": 2.0**10, "P": 2.0**20}
"""Gi in a unit of OSMO's sizes."""


FOR_WORKFLOWS = "platform_workflow_allocatable_fields"
"""Key of what a node has beside what other tenants of the cluster take: OSMO's own validation goes by it."""


@dataclass(frozen=True)
class PoolFacts:
    """GPUs of a pool; None for what OSMO does not report."""

    name: str
    capacity: int | None
    free: int | None
    quota_free: int | None
    """GPUs that workflows of HIGH and NORMAL priority may still take."""
    quota: int | None = None
    """GPUs that all of those may take together."""
    is_open: bool = True
    """Whether it takes workflows."""


@dataclass(frozen=True)
class NodeFacts:
    """GPUs of a node in a pool."""

    name: str
    platforms: tuple[str, ...]
    gpus: int
    free: int
    amounts: Mapping[str, float] = field(default_factory=dict)
    """cpu, memory [Gi] and storage [Gi] that a job can have."""


@dataclass(frozen=True)
class ServiceFacts:
    """Configuration of the service that decides what becomes of a run; None for what the user may not read."""

    max_retry_per_task: int | None = None
    keeps_outputs: bool | None = None
    """Whether OSMO has a store of its own for outputs."""


def default_pool(pools: Mapping[str, PoolFacts]) -> str | None:
    """Return the pool that OSMO takes where none is named: the profile's, else the only one.

    Raises:
        GaitwayError: OSMO does not answer.
    """
    answer = client.json_unless_refused("profile", "list") or {}
    name = (answer.get("profile") or {}).get("pool")
    return str(name) if name else next(iter(pools)) if len(pools) == 1 else None


def read_pools() -> dict[str, PoolFacts]:
    """Return the pools that the user may use, by name.

    Raises:
        GaitwayError: OSMO does not answer.
    """
    found: dict[str, PoolFacts] = {}
    # Whoever may submit to a pool need not be allowed to look at it.
    answer = client.json_unless_refused("pool", "list") or {}
    for node_set in answer.get("node_sets", []):
        for pool in node_set.get("pools", []):
            usage = pool.get("resource_usage", {})
            name = str(pool.get("name"))
            found[name] = PoolFacts(
                name=name,
                capacity=_count(usage.get("total_capacity")),
                free=_count(usage.get("total_free")),
                quota_free=_count(usage.get("quota_free")),
                quota=_count(usage.get("quota_limit")),
                is_open=pool.get("status") != "MAINTENANCE",
            )
    return found


def read_nodes(pool: str) -> list[NodeFacts]:
    """Return the nodes of a pool; none where the user may not look at them.

    Raises:
        GaitwayError: OSMO does not answer.
    """
    answer = client.json_unless_refused("resource", "list", "--pool", pool) or {}
    nodes = []
    for row in answer.get("resources", []):
        platforms = _platforms(row, pool)
        gpus = max([_gpus(row, pool, platform) for platform in platforms], default=_gpus(row, pool, ""))
        used = _count((row.get("usage_fields") or {}).get("gpu")) or 0
        amounts = {name: most for name in ("cpu", "memory", "storage") if (most := _most(row, pool, platforms, name))}
        nodes.append(NodeFacts(str(row.get("hostname", "")), platforms, gpus, max(0, gpus - used), amounts))
    return nodes


def read_service() -> ServiceFacts:
    """Return the service's configuration as far as the user may read it.

    Raises:
        GaitwayError: OSMO does not answer.
    """
    done = client.execute("config", "show", "WORKFLOW")
    try:
        found: Mapping[str, Any] = json.loads(done.stdout) if done.code == 0 else {}
    except ValueError:
        found = {}
    if not isinstance(found, Mapping) or not found:
        return ServiceFacts()
    store = found.get("workflow_data")
    return ServiceFacts(
        max_retry_per_task=_count(found.get("max_retry_per_task")),
        keeps_outputs=bool(store["credential"]) if isinstance(store, Mapping) and "credential" in store else None,
    )


def size_of(text: str) -> float | None:
    """Return a size in Gi; None for a text that is none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGTP]?)i?B?", text.strip())
    return float(found[1]) * GIBS[found[2]] if found else None


def _platforms(row: Mapping[str, Any], pool: str) -> tuple[str, ...]:
    """Return the platforms that a node belongs to in a pool."""
    labels = (row.get("pool_platform_labels") or {}).get(pool)
    if labels:
        return tuple(map(str, labels))
    pairs = (str(pair).partition("/") for pair in (row.get("exposed_fields") or {}).get("pool/platform", []))
    return tuple(platform for name, _, platform in pairs if name == pool)


def _gpus(row: Mapping[str, Any], pool: str, platform: str) -> int:
    """Return the GPUs that a node offers to a platform of a pool, as OSMO's own command counts them."""
    return _count(_fields(row, pool, platform).get("gpu")) or 0


def _most(row: Mapping[str, Any], pool: str, platforms: Sequence[str], name: str) -> float:
    """Return the most of a resource that a node has for any of its platforms; 0 where it does not tell."""
    told = [str(_fields(row, pool, platform, FOR_WORKFLOWS).get(name, "")) for platform in platforms or ("",)]
    return max((size_of(text if name != "cpu" else f"{text}Gi") or 0.0 for text in told), default=0.0)


def _fields(row: Mapping[str, Any], pool: str, platform: str, *keys: str) -> Mapping[str, Any]:
    """Return what a node can give to a platform of a pool: under the first of the keys that there is."""
    for key in (*keys, "platform_allocatable_fields"):
        fields: Mapping[str, Any] | None = ((row.get(key) or {}).get(pool) or {}).get(platform)
        if fields:
            return fields
    return row.get("allocatable_fields") or {}


def _count(value: Any) -> int | None:
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        return None
