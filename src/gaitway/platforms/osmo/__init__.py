"""NVIDIA OSMO: workflows through the ``osmo`` command, on releases 6.2 to 6.4."""

from __future__ import annotations

from .platform import OsmoPlatform


def create() -> OsmoPlatform:
    """Return the platform."""
    return OsmoPlatform()
