"""Figures for people: how training went, how commands are tracked, what the reward is made of.

Each figure is kept twice: as a PNG file, and as an SVG whose ink takes the colour of the page it stands on.
"""

from __future__ import annotations

import io
import itertools
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from .rollout import Episode, Rollout
    from .sweep import Point

_INK, _GRID = "#3b4350", "#9aa4b2"
"""Ink and grid lines as drawn; the SVG's ink becomes the page's own."""
BLUE, GREEN, ORANGE, RED = "#2f7de1", "#22a06b", "#e08a00", "#d64545"
_STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.edgecolor": _GRID,
    "axes.labelcolor": _INK,
    "axes.titlecolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "text.color": _INK,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "svg.hashsalt": "gaitway",
    "savefig.transparent": True,
}


@dataclass(frozen=True)
class Plot:
    """One figure."""

    title: str
    caption: str
    path: Path
    """PNG file."""
    svg: str
    """The same, to stand inside a page."""


@dataclass(frozen=True)
class Trace:
    """One panel over time: what was measured and, where the task commands it, what was asked."""

    title: str
    measured: str
    unit: str
    commanded: str | None = None


TRACES = (
    Trace("forward", "vel_x", "m/s", "command_vx"),
    Trace("sideways", "vel_y", "m/s", "command_vy"),
    Trace("turning", "vel_yaw", "rad/s", "command_wz"),
    Trace("forward speed", "forward_speed", "m/s"),
    Trace("pole angle", "pole_angle", "rad"),
    Trace("cart position", "cart_position", "m"),
)
"""Panels by what a task measures; those whose measurements are not there are left out."""

CURVES = (
    ("reward per episode", ("Train/mean_reward", "reward")),
    ("episode length [steps]", ("Train/mean_episode_length", "episode_length")),
)
"""Training curves: title and the names under which trackers and ``progress.jsonl`` know them."""

COMPARED = (
    "mean_reward",
    "reward_per_second",
    "success_rate",
    "survival_rate",
    "error_vel_xy",
    "error_vel_yaw",
    "mean_forward_speed",
    "mean_episode_length",
    "p50_ms",
)
"""Metrics that a comparison draws, the first six that both have, by the last part of their name."""

History = Mapping[str, Sequence[tuple[float, float]]]
"""Metrics over a training: ``(iteration, value)`` pairs by name."""


def training_curves(history: History, folder: Path) -> Plot | None:
    """Draw how a training went; None where nothing is known of it."""
    found = _known_curves(history)
    if not found:
        return None

    def draw(panels: Sequence[Axes]) -> None:
        for axes, (title, points) in zip(panels, found.items(), strict=True):
            axes.plot(points[:, 0], points[:, 1], color=BLUE)
            axes.set(title=title, xlabel="iteration")

    return draw_figure("training", "Training", "As logged by the training run.", folder, draw, columns=len(found))


def compared(histories: Mapping[str, History], numbers: Mapping[str, Sequence[float]], path: Path) -> Plot | None:
    """Draw the training curves of some runs in one figure, and the metrics that people look at first.

    Args:
        histories: Training curves of each run, by its name; empty for one that has none.
        numbers: Metrics that all have, one value a run.
        path: The PNG file.

    Returns:
        The figure, or None where there is nothing to draw.
    """
    curves = {name: _known_curves(history) for name, history in histories.items()}
    titles = [title for title, _ in CURVES if any(title in known for known in curves.values())]
    shown = [name for wanted in COMPARED for name in numbers if name.rpartition(".")[2] == wanted][:6]
    if not titles and not shown:
        return None
    colours = dict(zip(histories, itertools.cycle((BLUE, ORANGE, GREEN, RED))))

    def draw(panels: Sequence[Axes]) -> None:
        for axes, title in zip(panels, titles, strict=False):
            for name, known in curves.items():
                if title in known:
                    axes.plot(known[title][:, 0], known[title][:, 1], color=colours[name], label=name)
            axes.set(title=title, xlabel="iteration")
            axes.legend()
        for axes, metric in zip(panels[len(titles) :], shown, strict=False):
            bars = axes.bar(list(histories), list(numbers[metric]), color=list(colours.values()), width=0.6)
            axes.bar_label(bars, fmt="%.3g", padding=2)
            axes.set_title(metric)
            axes.margins(y=0.15)
        for axes in panels[len(titles) + len(shown) :]:
            axes.set_visible(False)

    count = len(titles) + len(shown)
    columns = min(3, count)
    return draw_figure(
        path.stem, "Comparison", "", path.parent, draw, rows=-(-count // columns), columns=columns, sharex="none"
    )


def _known_curves(history: History) -> dict[str, NDArray[np.float64]]:
    """Return the training curves that are known, (n, 2) each, by title."""
    known = {title: next((history[name] for name in names if history.get(name)), None) for title, names in CURVES}
    return {title: np.asarray(points, dtype=float) for title, points in known.items() if points}


def traces(rollout: Rollout, folder: Path) -> Plot | None:
    """Draw what the first world was asked for and did, over time; None where the task measures nothing."""
    measured = rollout.recording.measurements
    panels = [trace for trace in TRACES if trace.measured in measured]
    if not panels:
        return None
    commanded = any(trace.commanded for trace in panels)
    time = rollout.step_dt * np.arange(len(rollout.recording.done))
    ends = rollout.recording.done[:, 0]

    def draw(axes_of_panels: Sequence[Axes]) -> None:
        for axes, trace in zip(axes_of_panels, panels, strict=True):
            if trace.commanded and trace.commanded in measured:
                axes.plot(time, _broken(measured[trace.commanded][:, 0], ends), color=GREEN, label="command")
            axes.plot(time, _broken(measured[trace.measured][:, 0], ends), color=BLUE, label="measured")
            axes.set_title(f"{trace.title} [{trace.unit}]")
            axes.margins(x=0)
        axes_of_panels[-1].set_xlabel("time [s]")
        if commanded:
            axes_of_panels[0].legend(loc="upper right", ncols=2, bbox_to_anchor=(1, 1.22))

    caption = "First environment; a gap is the end of an episode."
    title = "Commanded and measured velocity" if commanded else "Motion"
    return draw_figure("tracking", title, caption, folder, draw, rows=len(panels), height=1.35)


def reward_terms(rates: Mapping[str, float], folder: Path) -> Plot | None:
    """Draw what each reward term adds per simulated second; None where there are none."""
    if not rates:
        return None
    ordered = sorted(rates.items(), key=lambda item: item[1])

    def draw(panels: Sequence[Axes]) -> None:
        values = [value for _, value in ordered]
        bars = panels[0].barh([term for term, _ in ordered], values, color=[GREEN if v >= 0 else RED for v in values])
        panels[0].bar_label(bars, [f"{value:+.3f}" for value in values], padding=3, fontsize=8)
        panels[0].axvline(0, color=_GRID, linewidth=0.8)
        panels[0].grid(axis="y", visible=False)
        panels[0].margins(x=0.14)
        panels[0].set_xlabel("per simulated second")

    caption = "Mean share of each term in the task's own reward, weight included."
    return draw_figure("reward_terms", "Reward by term", caption, folder, draw, height=0.7 + 0.26 * len(ordered))


def episode_returns(episodes: Sequence[Episode], folder: Path, successes: Sequence[bool]) -> Plot | None:
    """Draw the rewards of ended episodes, successes apart from the others; None where none ended."""
    if not episodes:
        return None
    rewards = np.array([episode.reward for episode in episodes])
    succeeded = np.array(successes, dtype=bool)

    def draw(panels: Sequence[Axes]) -> None:
        edges = np.histogram_bin_edges(rewards, bins=min(30, max(8, len(rewards) // 4)))
        groups = [(rewards[succeeded], GREEN, "success"), (rewards[~succeeded], RED, "no success")]
        shown = [group for group in groups if len(group[0])]
        panels[0].hist(
            [group[0] for group in shown],
            bins=list(edges),
            stacked=True,
            color=[group[1] for group in shown],
            label=[f"{group[2]} ({len(group[0])})" for group in shown],
        )
        panels[0].set_xlabel("reward of the episode")
        panels[0].set_ylabel("episodes")
        panels[0].legend()

    return draw_figure("episodes", "Episodes", "Task's own reward, summed over each episode.", folder, draw, height=2.6)


_TITLE = 14
"""Longest line of a narrow panel's title [characters]."""
SWEEPS = {"sweep": "How far it carries", "commands": "Where it walks", "ground": "What ground it masters"}
"""Plots of a sweep by name, with their titles."""


def sweep(points: Sequence[Point], folder: Path, name: str = "sweep") -> Plot | None:
    """Draw survival and velocity error under each condition, an axis a column; None where nothing was varied.

    Args:
        points: All points; those of this plot are drawn.
        folder: Gets the PNG.
        name: A name in :data:`SWEEPS`.
    """
    points = [point for point in points if point.plot == name]
    axes_of = {
        axis: [point for point in points if point.axis == axis] for axis in dict.fromkeys(p.axis for p in points)
    }
    if not axes_of:
        return None
    tracked = any(point.error_vel_xy is not None for point in points)

    def draw(panels: Sequence[Axes]) -> None:
        for column, (axis, found) in enumerate(axes_of.items()):
            labels = [point.label for point in found]
            survival = panels[column]
            survival.bar(labels, [100 * (point.survival_rate or 0) for point in found], color=GREEN, width=0.7)
            survival.set(title=textwrap.fill(axis.replace("_", " "), _TITLE), ylim=(0, 104))
            lowest = panels[column]
            if tracked:
                lowest = panels[len(axes_of) + column]
                lowest.bar(labels, [point.error_vel_xy or 0 for point in found], color=BLUE, width=0.7)
            lowest.tick_params(axis="x", labelrotation=90 if len(found) > 5 else 0)
        for panel in panels:
            panel.grid(axis="x", visible=False)
        panels[0].set_ylabel("survival [%]")
        if tracked:
            panels[len(axes_of)].set_ylabel("velocity error [m/s]")

    caption = "One condition at a time leaves the nominal; everything else is as in the validation."
    widths = [max(3.0, len(found)) for found in axes_of.values()]
    return draw_figure(name, SWEEPS[name], caption, folder, draw, rows=1 + tracked, columns=len(axes_of), widths=widths)


def _broken(values: NDArray[np.float32], ends: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return a series with a gap where an episode ended, so that no line joins two episodes."""
    return np.where(ends, np.float32(np.nan), values)


def draw_figure(
    name: str,
    title: str,
    caption: str,
    folder: Path,
    draw: Callable[[Sequence[Axes]], None],
    *,
    rows: int = 1,
    columns: int = 1,
    height: float = 2.4,
    widths: Sequence[float] | None = None,
    sharex: Literal["col", "none"] = "col",
) -> Plot:
    """Make a figure of equal panels, let ``draw`` fill them, and keep it as PNG and SVG.

    Args:
        name: File name without ending.
        title: Heading.
        caption: One sentence under it.
        folder: Gets the PNG.
        draw: Fills the panels.
        rows: Panels above each other.
        columns: Panels side by side.
        height: Height of a panel [inches].
        widths: Widths of the columns relative to each other; equal when None.
        sharex: Whether panels above each other have one axis.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure: Figure = Figure(figsize=(7.6, 0.3 + height * rows), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(
            rows, columns, squeeze=False, sharex=sharex, sharey="row" if widths else False, width_ratios=widths
        )
        panels: list[Any] = list(grid.flat)
        draw(panels)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=144, transparent=False, facecolor="white")
        return Plot(title, caption, path, _svg(figure))


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    # From the element on: a page has no place for the XML prologue. Its size is the page's business.
    text = text[text.index("<svg") :].replace(_INK, "currentColor")
    return re.sub(
        r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1), count=1
    )
