"""Table of checkpoint families: one module for each layout of files that a learning library writes.

A family is recognised by the keys in the file, never by a version string. To add one, write a module that offers
``NAME``, ``recognises`` and ``read`` (see :class:`Family`) and add a row here, or an entry point in the group
``gaitway.policy_families`` of a package of yours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ...spec.registry import Registry
from ..network import PolicyParts
from ..training_config import TrainingConfig


class Family(Protocol):
    """Interface of the modules in :data:`FAMILIES`."""

    NAME: str
    """The library and its releases, as an error or a report names them."""

    def recognises(self, entries: Mapping[str, object]) -> bool:
        """Whether a checkpoint's top-level entries are this family's."""
        ...

    def read(self, entries: Mapping[str, object], training: TrainingConfig) -> PolicyParts:
        """Return the policy's parts.

        Raises:
            UsageError: Something the policy needs is missing, contradictory or not supported.
        """
        ...


FAMILIES: Registry[Family] = Registry(
    "gaitway.policy_families",
    "policy family",
    {name: f"{__name__}.{name}" for name in ("rsl_rl", "rsl_rl_legacy", "skrl", "rl_games", "stable_baselines3")},
)
"""Families by name. A checkpoint is offered to those of plug-ins first, then to each of these, last row first."""
