"""Card of an exam: one HTML page that opens anywhere, offline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..evaluation import plots
from ..evaluation.plots import Plot, draw_figure
from ..evaluation.report import page_environment
from ..spec.files import replacing
from .outcome import CARD_FILE, Exam
from .playing import Demands, StepPattern

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TEMPLATE = "card.html.j2"


def write_card(exam: Exam) -> Path:
    """Write the card of an exam and its figures into the exam's folder, and return the page."""
    template = page_environment(Path(__file__).parent).get_template(_TEMPLATE)
    page = template.render(exam=exam, facts=_facts(exam), figures=list(_figures(exam, exam.output / "plots")))
    path = exam.output / CARD_FILE
    with replacing(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return path


def _facts(exam: Exam) -> dict[str, str]:
    return {
        "policy": str(exam.file.path),
        "sha256": exam.sha256,
        "kind": exam.file.kind,
        "run as": exam.confined,
        **({"assumed": "; ".join(exam.assumptions)} if exam.assumptions else {}),
        "simulator": exam.metrics.simulator,
        "Isaac Lab": exam.isaaclab,
    }


def _figures(exam: Exam, folder: Path) -> Iterator[Plot]:
    if exam.demands.gait is not None:
        yield _gait(exam.demands.gait, folder)
    yield _use(exam.demands, folder)
    drawn = (
        *(plots.sweep(exam.points, folder, name) for name in plots.SWEEPS),
        plots.traces(exam.rollout, folder),
        plots.reward_terms(exam.rollout.reward_terms, folder),
    )
    yield from (plot for plot in drawn if plot)


def _gait(gait: StepPattern, folder: Path) -> Plot:
    """Draw when each foot stands."""

    def draw(panels: Sequence[Axes]) -> None:
        for row, foot in enumerate(reversed(gait.feet)):
            stands = gait.contacts[:, gait.feet.index(foot)]
            edges = np.flatnonzero(np.diff(np.concatenate([[False], stands, [False]]).astype(int)))
            spans = [
                (float(start) * gait.step_dt, float(end - start) * gait.step_dt)
                for start, end in zip(edges[::2], edges[1::2], strict=True)
            ]
            panels[0].broken_barh(spans, (row - 0.35, 0.7), color=plots.BLUE)
        panels[0].set_yticks(range(len(gait.feet)), list(reversed(gait.feet)))
        panels[0].set_xlim(0, len(gait.contacts) * gait.step_dt)
        panels[0].set_xlabel("s")
        panels[0].grid(axis="y", visible=False)

    caption = (
        f"Bars: the foot stands. {gait.steps_per_second:.1f} steps a second and foot; "
        f"a foot stands {float(np.mean(gait.duty)):.0%} of the time."
    )
    return draw_figure("gait", "Gait", caption, folder, draw, height=0.7 + 0.28 * len(gait.feet))


def _use(demands: Demands, folder: Path) -> Plot:
    """Draw how much of each joint's torque, speed and range is used."""
    joints = demands.joints
    columns: tuple[tuple[str, Sequence[float | None], str, str], ...] = (
        ("torque, 99 % of the time below", [joint.torque_use for joint in joints], "% of limit", plots.BLUE),
        ("farthest from the range's middle", [joint.range_use for joint in joints], "% of half range", plots.GREEN),
        ("fastest", [joint.velocity for joint in joints], "rad/s", plots.ORANGE),
    )

    def draw(panels: Sequence[Axes]) -> None:
        names = [joint.joint.removesuffix("_joint") for joint in joints]
        for panel, (title, values, unit, colour) in zip(panels, columns, strict=True):
            factor = 1.0 if unit == "rad/s" else 100.0
            panel.barh(names, [factor * (value or 0.0) for value in values], color=colour, height=0.7)
            panel.invert_yaxis()
            panel.set(title=title, xlabel=unit)
            panel.grid(axis="y", visible=False)
        for panel in panels[1:]:
            panel.set_yticklabels([])

    caption = "Over whole episodes at the task's commands, the first second left out."
    height = 0.9 + 0.2 * len(joints)
    return draw_figure("joints", "What it asks of the joints", caption, folder, draw, columns=3, height=height)
