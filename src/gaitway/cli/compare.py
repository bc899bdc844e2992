"""``gaitway compare A B ...``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from gaitway_runtime.spec.packages import missing_package

from ..comparison import Comparison, Difference, Measured, compare_sides, find_side
from ..errors import JobFailed, UsageError
from ..ledger import Ledger
from ..regression import Shift, find_episodes, shifts
from ..run_handle import Run
from . import output
from .command import SectionOption, VerbCommand, json_option

LONGEST = 44
"""Longest text in a column of the table; the whole is in ``--json``."""

LEFT_OUT = re.compile(
    r"_episode_reward$|_inference_time_ms$|^verdict\.|(^|\.)(schema|calls|warm_up_calls|std_ms|min_ms)$"
)
"""Metrics that stand in the documents under another name as well, or that nobody compares."""

Regression = tuple[str, tuple[Shift, ...]]
"""A run, and how its episodes differ from the baseline's."""


def _compare(
    names: tuple[str, ...], regression_of: str | None, page: Path | None, plot: Path | None, as_json: bool
) -> int:
    """Compare and print."""
    ledger = Ledger.at_home(os.environ)
    wanted = tuple(dict.fromkeys((regression_of, *names) if regression_of else names))
    if len(wanted) < 2:
        raise UsageError("a comparison needs two or more", source="A B ...", hint="gaitway runs")
    found = compare_sides(*(find_side(name, ledger, every_curve=page is not None) for name in wanted))
    regressions = _regressions(regression_of, wanted[1:], ledger) if regression_of else ()
    sentences = [shift.sentence(name, wanted[0]) for name, each in regressions for shift in each]
    if plot:
        _draw(found, plot)
    if page:
        _write_page(found, sentences, page, ledger)
    if as_json:
        regression = {name: [shift.document() for shift in each] for name, each in regressions}
        output.document({**found.document(), **({"regression": regression} if regression_of else {})})
    else:
        _print(found)
    for sentence in sentences:
        output.say(sentence)
    return JobFailed.exit_code if any(shift.is_worse for _, each in regressions for shift in each) else 0


def _regressions(baseline: str, others: Sequence[str], ledger: Ledger) -> tuple[Regression, ...]:
    episodes = find_episodes(baseline, ledger)
    return tuple((name, shifts(episodes, find_episodes(name, ledger))) for name in others)


def _print(found: Comparison) -> None:
    names = [side.name for side in found.sides]
    last = [""] if len(names) == 2 else []
    for title, rows in _tables(found):
        output.answer(title)
        if rows:
            output.table(["", *names, *last], [row if last else row[: len(names) + 1] for row in rows])


def _tables(found: Comparison) -> Iterator[tuple[str, Sequence[tuple[str, ...]]]]:
    """Yield each part: its heading, and its lines where there are any."""
    keys = dict.fromkeys(key for side in found.sides for key in side.facts)
    facts = [(key, *(_text(side.facts.get(key)) for side in found.sides), "") for key in keys]
    yield " and ".join(side.name for side in found.sides), facts
    several = [group for group in found.groups if len(group) > 1]
    for group in several:
        yield f"the same but for their seed: {', '.join(group)}", ()
    if found.metrics is not None:
        differing = [row for row in found.metrics if row.differs and not LEFT_OUT.search(row.metric)]
        yield _heading("metrics", differing), [_metric(row) for row in differing]
    if found.settings is not None:
        yield _heading("settings", found.settings), [_difference(row) for row in found.settings]
    if found.files is not None:
        yield _heading("payload", found.files), [_difference(row, longest=12) for row in found.files]
    if found.contract is not None:
        yield _heading("policy contract", found.contract), [_difference(row) for row in found.contract]


def _heading(part: str, found: Sequence[object]) -> str:
    return f"\n{part}: {len(found)} differ" if found else f"\n{part}: no difference"


def _metric(row: Measured) -> tuple[str, ...]:
    change = f"{row.difference:+.4g}" if row.difference is not None else ""
    return row.metric, *map(_text, row.values), change


def _difference(row: Difference, longest: int = LONGEST) -> tuple[str, ...]:
    values = (value if value is None or longest == LONGEST else value[:longest] for value in row.values)
    return row.what, *map(_text, values), ""


def _text(value: object) -> str:
    if value is None:
        return "-"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _write_page(found: Comparison, sentences: Sequence[str], path: Path, ledger: Ledger) -> None:
    """Write the page, with the newest film of each run, also of one elsewhere.

    Raises:
        UsageError: The file is no HTML.
        ConfigError: It cannot be written.
    """
    if path.suffix != ".html":
        raise UsageError(f"the page is written as HTML, not as '{path.suffix}'", source=f"--page {path}")
    from ..pages.assembly import write_page
    from ..watch.comparison_page import comparison_page
    from ..watch.films import fetch_newest_film

    for side in found.sides:
        why = fetch_newest_film(Run(ledger.read(side.name), ledger)) if side.run_dir else ""
        if why:
            output.say(f"{side.name}: {why}")

    output.say(f"page: {write_page(comparison_page(found, sentences), path)}")


def _draw(found: Comparison, path: Path) -> None:
    """Draw the training curves and the metrics of all.

    Raises:
        UsageError: There is nothing to draw, or the file is no PNG.
        ConfigError: matplotlib is not installed.
    """
    if path.suffix != ".png":
        raise UsageError(f"the plot is written as PNG, not as '{path.suffix}'", source=f"--plot {path}")
    try:
        from gaitway_runtime.evaluation import plots
    except ImportError as error:
        raise missing_package("the plot", error, "local") from None
    histories = {side.name: side.history for side in found.sides}
    numbers = {
        row.metric: [value for value in row.values if value is not None]
        for row in found.metrics or ()
        if None not in row.values
    }
    if plots.compared(histories, numbers, path) is None:
        raise UsageError("there is no training curve and no metric that all have", source=f"--plot {path}")
    output.say(f"plot: {path}")


def _file(flag: str, help: str) -> SectionOption:
    return SectionOption([flag], type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help=help)


compare = VerbCommand(
    "compare",
    callback=_compare,
    params=[
        click.Argument(["names"], metavar="A B ...", nargs=-1, required=True),
        SectionOption(
            ["--regression-of"],
            metavar="RUN",
            section="Core",
            help="Exit with code 1 where another's episodes are significantly worse than this run's.",
        ),
        _file("--page", "Also write one page with curves, tables and films: compare.html."),
        _file("--plot", "Also draw training curves and metrics, as a PNG file."),
        json_option(),
    ],
    help="A, B and so on are names of runs, or places of exported policies: a file, its contract.json, or a folder "
    "with one. Compared are metrics, settings, the files of the payload, and the policy contract; runs that differ in "
    "their seed alone are one group, whose curves become a band.",
)
