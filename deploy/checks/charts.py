"""Comparison of Helm values with the charts that they are for, and of pins with what is known of each release.

No package registry holds the charts. ``charts.json`` records, for each pinned version, which values its templates read
and which it declares, with the source and the date; :mod:`chart_keys` writes it from a checkout of the chart's
repository. A pin without a record has not been looked at, which is a problem of its own.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHARTS_FILE = Path(__file__).with_name("charts.json")
_INDEX = re.compile(r"\[\d+\]")
_DATE = re.compile(r"20\d\d-\d\d-\d\d")


@dataclass(frozen=True)
class Chart:
    """What is known of one version of a chart."""

    version: str
    source: str
    looked: str
    read: frozenset[str]
    """Paths of values that the templates read."""
    children: Mapping[str, frozenset[str]]
    """Names below each value that the chart declares as a mapping with content."""
    open: frozenset[str] = frozenset()
    """Paths whose content the chart hands on as it is: names below them are the user's."""


@dataclass(frozen=True)
class Charts:
    """All records: charts by pin, and releases that must not be pinned, with the reason."""

    charts: Mapping[str, Chart]
    withdrawn: Mapping[str, Mapping[str, str]]


def load_charts(path: Path = CHARTS_FILE) -> Charts:
    """Read the records."""
    document = json.loads(path.read_text())
    charts = {
        name: Chart(
            item["version"],
            item["source"],
            item["looked"],
            frozenset(item["read"]),
            {key: frozenset(value) for key, value in item["children"].items()},
            frozenset(item.get("open", ())),
        )
        for name, item in document["charts"].items()
    }
    return Charts(charts, document["withdrawn"])


def pin_problems(versions: Mapping[str, Mapping[str, Any]], known: Charts) -> Iterator[str]:
    """Yield each pin of ``versions.yaml`` that is withdrawn, or that nobody has looked at."""
    for name, pin in versions.items():
        version = str(pin["version"])
        reason = known.withdrawn.get(name, {}).get(version)
        if reason:
            yield f"{name} {version} is withdrawn: {reason}"
        if not _DATE.fullmatch(str(pin.get("looked", ""))) or not pin.get("support"):
            yield f"{name} {version}: 'looked' (a date) and 'support' say what the last look at the release found"
        chart = known.charts.get(name)
        if chart is not None and chart.version != version:
            yield f"{name}: the recorded values are of {chart.version}, the pin is {version} (chart_keys.py)"


def value_problems(name: str, values: Mapping[str, Any], chart: Chart) -> Iterator[str]:
    """Yield each value that no template of the chart reads."""
    for path in leaves(values):
        if not is_read(path, chart):
            close = difflib.get_close_matches(path, _known(chart), n=1, cutoff=0.6)
            yield f"{name} {chart.version} reads no value {path}" + (f", did you mean {close[0]}?" if close else "")


def leaves(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Yield the paths of all values that are not mappings with content."""
    for name, value in values.items():
        path = f"{above}{name}"
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{path}.")
        else:
            yield path


def is_read(path: str, chart: Chart) -> bool:
    """Whether a template reads a value: itself, or something above it that the chart leaves open."""
    parts = _INDEX.sub("", path).split(".")
    plain = ".".join(parts)
    if plain in chart.read:
        return True
    above = [".".join(parts[:end]) for end in range(len(parts), 0, -1)]
    base = next((found for found in above if found in chart.read), None)
    if base is None:
        return any(found.startswith(f"{plain}.") for found in chart.read)
    node = base
    for part in parts[len(base.split(".")) :]:
        declared = chart.children.get(node)
        if declared is None or node in chart.open:
            return True
        node = f"{node}.{part}"
        below = any(found == node or found.startswith(f"{node}.") for found in chart.read)
        if part not in declared and not below:
            return False
    return True


def _known(chart: Chart) -> Iterable[str]:
    declared = {f"{path}.{name}" for path, names in chart.children.items() for name in names}
    return declared | chart.read
