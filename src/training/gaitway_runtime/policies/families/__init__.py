"""Checkpoint families: one module for each layout of files that a learning library writes.

A family is recognised by the keys in the file, never by a version string. To add one, write a module that offers
``NAME``, ``recognises`` and ``read`` (see :class:`Family`) and add it to :data:`FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ..network import Parts
from ..surroundings import Surroundings
from . import rl_games, rsl_rl, rsl_rl_legacy, skrl


class Family(Protocol):
    """What a module in :data:`FAMILIES` offers."""

    NAME: str
    """The library and its releases, as an error or a report names them."""

    def recognises(self, checkpoint: Mapping[str, Any]) -> bool:
        """Whether a loaded checkpoint has this family's keys."""
        ...

    def read(self, checkpoint: Mapping[str, Any], around: Surroundings) -> Parts:
        """Return the policy's parts.

        Raises:
            UsageError: Something the policy needs is missing, contradictory or not supported.
        """
        ...


FAMILIES: tuple[Family, ...] = (rsl_rl, rsl_rl_legacy, skrl, rl_games)
"""Asked in this order."""
