"""Limits of the stores that runs are tracked in, and values brought within them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

METRICS_PER_BATCH = 180
"""Azure ML refuses batches above 200 metrics (mlflow issue 2441)."""
METRIC_NAMES_PER_RUN = 50
"""Azure ML's limit for a run (Azure's page of service limits)."""
PARAMS_PER_BATCH = 100
"""MLflow's own limit for parameters, and for tags, of one batch."""
PARAMS_PER_RUN = 200
"""Azure ML's limit for a run (azure-sdk-for-python issue 35685)."""
LONGEST_PARAM = 500
LONGEST_TAG = 1000
"""Longest values that the stores in use all take [characters]; longer ones are cut."""
TAG_FAMILIES = {
    "gaitway.setting.": "gaitway.settings",
    "gaitway.version.": "gaitway.versions",
    "validation.": "validation",
}
"""Tags that become one, by their prefix: ``gaitway.settings`` is ``task=Isaac-Ant-v0 (cli --task); seed=1 (...)``."""
CUT = "... (cut)"
"""End of a value that was cut."""

T = TypeVar("T")


def metric_name(name: str) -> str:
    """Return a name that MLflow takes: of its characters, and a plain path if it has slashes."""
    parts = re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII).split("/")
    return "/".join(part for part in parts if part not in ("", ".", "..")) or "_"


def folded_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return tags with those of one family as a single one: a run in Azure ML has room for 50."""
    folded: dict[str, str] = {}
    for key, value in tags.items():
        family = next((name for prefix, name in TAG_FAMILIES.items() if key.startswith(prefix)), None)
        if family is None:
            folded[key] = str(value)
        else:
            member = f"{key.rpartition('.')[2]}={value}"
            folded[family] = f"{folded[family]}; {member}" if family in folded else member
    return folded


def shortened(values: Mapping[str, str], longest: int) -> Iterator[tuple[str, str]]:
    """Yield keys with their values, those that are too long cut.

    Args:
        values: The values.
        longest: Longest value [characters].
    """
    for key, value in values.items():
        text = str(value)
        yield key, text if len(text) <= longest else text[: longest - len(CUT)] + CUT


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield parts of a sequence, of ``size`` items each but the last."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
