"""The pools that a user may submit to."""

from __future__ import annotations

from ...errors import UsageError
from . import client


def check_pool(pool: str | None, gpus: int) -> None:
    """Compare the GPUs that are asked for with the pool: OSMO does not, and the workflow would wait for ever.

    Raises:
        UsageError: There is no such pool, or it has fewer GPUs.
        GaitwayError: OSMO does not answer.
    """
    pools = _pools()
    if pool is not None and pools and pool not in pools:
        raise UsageError(f"there is no pool '{pool}'", source="--pool", allowed=", ".join(sorted(pools)))
    candidates = {pool: pools[pool]} if pool in pools else pools
    if candidates and all(size is not None and size < gpus for size in candidates.values()):
        most = ", ".join(f"{name}: {size}" for name, size in candidates.items())
        raise UsageError(f"{gpus} GPUs are asked for and no pool has as many", source="--num-gpus", allowed=most)


def _pools() -> dict[str, int | None]:
    """Return the number of GPUs of each pool that the user may use."""
    found: dict[str, int | None] = {}
    # Whoever may submit to a pool need not be allowed to look at it.
    answer = client.ask_if_it_may_be("pool", "list") or {}
    for node_set in answer.get("node_sets", []):
        for pool in node_set.get("pools", []):
            size = str(pool.get("resource_usage", {}).get("total_capacity", ""))
            found[str(pool.get("name"))] = int(size) if size.isdecimal() else None
    return found
