"""Observation groups that the policy of an Isaac Lab task reads, in the order in which its learner joins them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...spec.errors import UsageError

POLICY = "policy"
"""Isaac Lab's usual name of the group."""


def policy_groups(agent: Any, available: Iterable[str]) -> tuple[str, ...]:
    """Return the groups that make up the policy's input.

    rsl_rl joins the groups that ``obs_groups`` lists for its actor (before release 4: for its policy). Where nothing is
    listed it takes the group of that name, else ``policy``; skrl always takes ``policy``.

    Args:
        agent: A learner's configuration of the task, an object or a mapping; None where there is none.
        available: Groups of the task.

    Raises:
        UsageError: A group is listed that the task does not have.
    """
    there = tuple(available)
    listed = _get(agent, "obs_groups") or {}
    for name in ("actor", POLICY):
        groups = _get(listed, name)
        if groups:
            return _checked(tuple(groups), there)
    if _get(agent, "actor") and "actor" in there:
        return ("actor",)
    return (POLICY,) if POLICY in there else there[:1]


def _checked(groups: tuple[str, ...], there: tuple[str, ...]) -> tuple[str, ...]:
    missing = [group for group in groups if group not in there]
    if missing:
        raise UsageError(
            f"the policy reads observation group '{missing[0]}', which the task does not have as one vector",
            source="obs_groups of the learner's settings",
            allowed=", ".join(there),
        )
    return groups


def _get(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)
