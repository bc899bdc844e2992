"""Page of a comparison: one HTML file with curves, tables and films of several runs, which opens offline."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from ..comparison import Comparison, Difference, Measured, Side
from ..pages.assembly import assemble, inert_json
from .films import films_of
from .page import watch_asset

MOST_POINTS = 250
"""Points of a curve; of a longer one every so many-th."""

MOST_FILM_BYTES = 6 << 20
"""Largest film that the page holds."""

Band = tuple[float, float, float, float]
"""Iteration, mean, lowest and highest of the runs of a group."""


class NamedCurve(TypedDict):
    """A curve of a group of runs."""

    group: str
    points: Sequence[Sequence[float]]


class Table(TypedDict):
    """A table of the page."""

    title: str
    header: list[str]
    rows: list[list[str]]


class ShownFilm(TypedDict):
    """A film of a run, inside the page."""

    run: str
    source: str


class ComparisonData(TypedDict):
    """What the page shows."""

    sentences: list[str]
    groups: list[str]
    curves: Mapping[str, list[NamedCurve]]
    tables: list[Table]
    films: list[ShownFilm]


def comparison_page(found: Comparison, sentences: Sequence[str] = ()) -> str:
    """Return the page.

    Args:
        found: What is shown.
        sentences: What is said first: the verdicts on a regression.
    """
    sides = {side.name: side for side in found.sides}
    groups = [[sides[name] for name in group] for group in found.groups]
    data = ComparisonData(
        sentences=list(sentences),
        groups=[group_name([side.name for side in group]) for group in groups],
        curves=_curves(groups),
        tables=_tables(found),
        films=_films(found.sides),
    )
    return assemble(
        watch_asset("compare.html"),
        title=" · ".join(data["groups"]),
        style=watch_asset("training.css") + watch_asset("compare.css"),
        document=inert_json(data),
        script=watch_asset("charts.js") + watch_asset("compare.js"),
    )


def group_name(names: Sequence[str]) -> str:
    """Return what a group of runs is called."""
    return names[0] if len(names) == 1 else f"{names[0]} ({len(names)} seeds)"


def bands(curves: Sequence[Sequence[tuple[float, float]]]) -> list[Band]:
    """Return the mean, lowest and highest value of some curves at each iteration that any of them has."""
    values: dict[float, list[float]] = {}
    for curve in curves:
        for iteration, value in filter(_is_finite, curve):
            values.setdefault(iteration, []).append(value)
    return [(at, sum(found) / len(found), min(found), max(found)) for at, found in sorted(values.items())]


def _is_finite(point: tuple[float, float]) -> bool:
    return math.isfinite(point[1])


def _curves(groups: Sequence[Sequence[Side]]) -> dict[str, list[NamedCurve]]:
    names = dict.fromkeys(name for group in groups for side in group for name in side.history)
    found: dict[str, list[NamedCurve]] = {}
    for name in sorted(names):
        found[name] = []
        for group in groups:
            points = bands([side.history[name] for side in group if side.history.get(name)])
            if not points:
                continue
            step = -(-len(points) // MOST_POINTS) or 1
            kept = [*points[::step], *(points[-1:] if (len(points) - 1) % step else [])]
            cut = kept if len(group) > 1 else [point[:2] for point in kept]
            found[name].append({"group": group_name([side.name for side in group]), "points": cut})
    return found


def _tables(found: Comparison) -> list[Table]:
    names = [side.name for side in found.sides]
    facts = dict.fromkeys(key for side in found.sides for key in side.facts)
    rows = [[key, *(cell(side.facts.get(key)) for side in found.sides)] for key in facts]
    tables: list[Table] = [{"title": "Runs", "header": ["", *names], "rows": rows}]
    for title, part in (
        ("Metrics", found.metrics),
        ("Settings that differ", found.settings),
        ("Files of the payload that differ", found.files),
        ("Policy contract: what differs", found.contract),
    ):
        rows = [_row(each) for each in part or () if not isinstance(each, Measured) or each.differs]
        if rows:
            tables.append({"title": title, "header": ["", *names], "rows": rows})
    return tables


def _row(row: Measured | Difference) -> list[str]:
    label = row.metric if isinstance(row, Measured) else row.what
    return [label, *map(cell, row.values)]


def cell(value: object) -> str:
    """Return a value as a table shows it."""
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _films(sides: Sequence[Side]) -> list[ShownFilm]:
    """Return the newest film of each side that has one."""
    found: list[ShownFilm] = []
    for side in sides:
        outputs = side.run_dir / "outputs" if side.run_dir else Path()
        paths = films_of(outputs) if side.run_dir else []
        if paths and (outputs / paths[-1]).stat().st_size <= MOST_FILM_BYTES:
            content = base64.b64encode((outputs / paths[-1]).read_bytes()).decode()
            found.append({"run": side.name, "source": f"data:video/mp4;base64,{content}"})
    return found
