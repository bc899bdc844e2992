"""``gaitway compare A B``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from ..comparing import Comparison, Pair, compare, find_side
from ..errors import ConfigError, UsageError
from ..ledger import Ledger
from ..planning import Change
from . import render
from .command import VerbCommand, json_option
from .options import SectionOption

LONGEST = 44
"""Longest text in a column of the table; the whole is in ``--json``."""

LEFT_OUT = re.compile(
    r"_episode_reward$|_inference_time_ms$|^verdict\.|(^|\.)(schema|calls|warm_up_calls|std_ms|min_ms)$"
)
"""Metrics that stand in the documents under another name as well, or that nobody compares."""


def run(a: str, b: str, plot: Path | None, as_json: bool) -> None:
    """Compare and print."""
    ledger = Ledger.at_home(os.environ)
    found = compare(find_side(a, ledger), find_side(b, ledger))
    if plot:
        _draw(found, plot)
    if as_json:
        render.document(found.document())
        return
    for title, rows in _tables(found):
        render.answer(title)
        if rows:
            render.table(("", found.a.name, found.b.name, ""), rows)


def _tables(found: Comparison) -> Iterator[tuple[str, Sequence[tuple[str, ...]]]]:
    """Yield each part: its heading, and its lines where there are any."""
    a, b = found.a.facts, found.b.facts
    yield f"{found.a.name} and {found.b.name}", [(key, _text(a.get(key)), _text(b.get(key)), "") for key in {**a, **b}]
    if found.metrics is not None:
        differing = [pair for pair in found.metrics if pair.a != pair.b and not LEFT_OUT.search(pair.metric)]
        yield _heading("metrics", differing), [_metric(pair) for pair in differing]
    if found.settings is not None:
        yield _heading("settings", found.settings), [_change(change) for change in found.settings]
    if found.files is not None:
        yield _heading("payload", found.files), [_file(change) for change in found.files]
    if found.contract is not None:
        yield _heading("policy contract", found.contract), [_change(change) for change in found.contract]


def _heading(part: str, found: Sequence[object]) -> str:
    return f"\n{part}: {len(found)} differ" if found else f"\n{part}: no difference"


def _metric(pair: Pair) -> tuple[str, ...]:
    change = f"{pair.difference:+.4g}" if pair.difference is not None else ""
    return pair.metric, _text(pair.a), _text(pair.b), change


def _change(change: Change) -> tuple[str, ...]:
    return change.what, _text(change.before), _text(change.after), ""


def _file(change: Change) -> tuple[str, ...]:
    words = [text[:12] if text else None for text in (change.before, change.after)]
    return change.what, _text(words[0]), _text(words[1]), ""


def _text(value: object) -> str:
    if value is None:
        return "-"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _draw(found: Comparison, path: Path) -> None:
    """Draw the training curves and the metrics of both.

    Raises:
        UsageError: There is nothing to draw, or the file is no PNG.
        ConfigError: matplotlib is not installed.
    """
    if path.suffix != ".png":
        raise UsageError(f"the plot is written as PNG, not as '{path.suffix}'", source=f"--plot {path}")
    try:
        from gaitway_runtime.evaluation import plots
    except ImportError:
        raise ConfigError("matplotlib is not installed", hint="pip install 'gaitway[local]'") from None
    sides = {found.a.name: found.a.history, found.b.name: found.b.history}
    numbers = {
        pair.metric: (pair.a, pair.b) for pair in found.metrics or () if pair.a is not None and pair.b is not None
    }
    if plots.compared(sides, numbers, path) is None:
        raise UsageError("the two have no training curve and no metric in common", source=f"--plot {path}")
    render.say(f"plot: {path}")


command = VerbCommand(
    "compare",
    callback=run,
    params=[
        click.Argument(["a"], metavar="A"),
        click.Argument(["b"], metavar="B"),
        SectionOption(
            ["--plot"],
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            help="Also draw training curves and metrics of both, as a PNG file.",
        ),
        json_option(),
    ],
    help="A and B are names of runs, or places of exported policies: a file, its contract.json, or a folder with one. "
    "Compared are metrics, settings, the files of the payload, and the policy contract.",
)
