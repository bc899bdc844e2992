"""Report of an evaluation: one HTML file that opens anywhere, offline, with videos and figures inside."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..spec.export_formats import EXPORT_FORMATS
from ..spec.files import replacing
from ..spec.result import GateVerdict

if TYPE_CHECKING:
    import jinja2

    from ..spec.contract import PolicyContract
    from .diagnosis import LikelyCause
    from .gate import Verdict
    from .metrics import RolloutMetrics
    from .plots import Plot
    from .video import Video

REPORT_FILE = "report.html"
_TEMPLATE = "report.html.j2"


def format_title(name: str) -> str:
    """Return the name of a form of a policy as people write it."""
    return EXPORT_FORMATS.get(name).title if name in EXPORT_FORMATS else name.capitalize()


@dataclass(frozen=True, kw_only=True)
class Played:
    """One form of the policy and how it did. ``error`` stands for what is missing."""

    format: str
    metrics: RolloutMetrics | None = None
    video: Video | None = None
    error: str | None = None

    @property
    def title(self) -> str:
        """Name of the format as people write it."""
        return format_title(self.format)


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything the page shows. What is empty is left out."""

    title: str
    """What was done, for example ``Validation``."""
    task: str
    run: str
    created: str
    """Date and time, for people."""
    gate: GateVerdict
    """Whether the policy met its task's gate."""
    exports_equal: bool | None = None
    """Whether the exports compute what the checkpoint does; None where nothing was exported."""
    headline: str
    """The outcome in a sentence."""
    played: tuple[Played, ...]
    verdict: Verdict | None = None
    findings: tuple[LikelyCause, ...] = ()
    plots: tuple[Plot, ...] = ()
    contract: PolicyContract | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)

    @property
    def marks(self) -> tuple[tuple[str, str], ...]:
        """Return the verdicts, each with its style. Nothing is green unless the gate is met."""
        gate = {GateVerdict.MET: "pass", GateVerdict.NOT_MET: "fail"}.get(self.gate, "plain")
        title = "Gate not judged" if self.gate is GateVerdict.NOT_JUDGED else self.gate.value.capitalize()
        if self.exports_equal is None:
            return ((title, gate),)
        exports = ("Exports equal", "plain") if self.exports_equal else ("Exports not equal", "fail")
        return (exports, (title, gate))


@dataclass(frozen=True)
class ResultRow:
    """One line of the table that compares what was played."""

    label: str
    key: str
    """Key in the metrics document."""
    unit: str = ""
    digits: int = 3


RESULT_ROWS = (
    ResultRow("Episodes ended", "total_episodes", digits=0),
    ResultRow("Episodes unfinished", "unfinished_episodes", digits=0),
    ResultRow("Episodes lost to a diverged simulation", "diverged_episodes", digits=0),
    ResultRow("Survival", "survival_rate", "%", 1),
    ResultRow("Reward per episode", "mean_reward", digits=2),
    ResultRow("Reward per second", "reward_per_second", "1/s"),
    ResultRow("Episode length", "mean_episode_length", "steps", 0),
    ResultRow("Velocity error", "error_vel_xy", "m/s"),
    ResultRow("Yaw rate error", "error_vel_yaw", "rad/s"),
    ResultRow("Forward speed", "mean_forward_speed", "m/s", 2),
    ResultRow("Inference, mean", "mean_inference_time_ms", "ms"),
    ResultRow("Inference, 50 %", "p50_inference_time_ms", "ms"),
    ResultRow("Inference, 95 %", "p95_inference_time_ms", "ms"),
    ResultRow("Inference, 99 %", "p99_inference_time_ms", "ms"),
    ResultRow("Throughput", "throughput_steps_per_sec", "env steps/s", 0),
)
"""Lines of the results table; one that nothing has a number for is left out."""


def write_report(report: Report, path: Path) -> Path:
    """Write the page in one step.

    Args:
        report: What to show.
        path: The HTML file.

    Raises:
        ImportError: jinja2 is not installed.
    """
    page = render_report(report)
    with replacing(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return path


def render_report(report: Report) -> str:
    """Return the page."""
    template = page_environment().get_template(_TEMPLATE)
    return template.render(report=report, rows=_table(report.played), parity=_parity(report.played))


def page_environment(*folders: Path) -> jinja2.Environment:
    """Return what renders pages: templates of this room, and of further folders.

    Raises:
        ImportError: jinja2 is not installed.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, Path(__file__).parent]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["number"] = number
    environment.filters["embed"] = embed
    environment.filters["capitalize_first"] = lambda text: text[:1].upper() + text[1:]
    return environment


def number(value: float | None, digits: int = 3, unit: str = "") -> str:
    """Return a number as it is printed; a dash for one that could not be measured."""
    if value is None or not math.isfinite(value):
        return "–"
    if unit == "%":
        return f"{100 * value:.{digits}f} %"
    return f"{value:,.{digits}f}{' ' + unit if unit else ''}"


def embed(path: Path) -> str:
    """Return a file as a ``data:`` address."""
    kinds = {".mp4": "video/mp4", ".png": "image/png"}
    return f"data:{kinds[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _table(played: Sequence[Played]) -> list[tuple[ResultRow, list[float | None]]]:
    columns = [entry.metrics.document() if entry.metrics else {} for entry in played]
    lines = [(row, [column.get(row.key) for column in columns]) for row in RESULT_ROWS]
    return [(row, values) for row, values in lines if any(value is not None for value in values)]


def _parity(played: Sequence[Played]) -> list[dict[str, Any]]:
    """Lines of the parity table: one for each format and batch size."""
    found = [(entry.title, entry.metrics.parity) for entry in played if entry.metrics and entry.metrics.parity]
    return [{**result, "title": title} for title, parity in found for result in parity["results"]]
