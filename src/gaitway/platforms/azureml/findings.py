"""What ``gaitway doctor --on azureml`` looks at. Read-only; nothing here raises for what it finds."""

from __future__ import annotations

from collections.abc import Mapping

from ...findings import Finding
from ...settings.values import Setting


def look(settings: Mapping[str, Setting]) -> list[Finding]:
    """Return the findings."""
    return []
