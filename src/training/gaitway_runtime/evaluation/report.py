"""The report: one HTML file that opens anywhere, offline, with videos and figures inside."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import replacing

if TYPE_CHECKING:
    from ..policies.contract import PolicyContract
    from .diagnosis import Finding
    from .gate import Verdict
    from .metrics import Metrics
    from .plots import Plot
    from .video import Video

REPORT_FILE = "report.html"
_TEMPLATE = "report.html.j2"

FORMAT_TITLES = {"onnx": "ONNX", "jit": "TorchScript", "checkpoint": "Checkpoint"}


@dataclass(frozen=True, kw_only=True)
class Played:
    """One form of the policy and how it did. ``error`` stands for what is missing."""

    format: str
    metrics: Metrics | None = None
    video: Video | None = None
    error: str | None = None

    @property
    def title(self) -> str:
        """Name of the format as people write it."""
        return FORMAT_TITLES.get(self.format, self.format)


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything the page shows. What is empty is left out."""

    title: str
    """What was done, for example ``Validation``."""
    task: str
    run: str
    created: str
    """Date and time, as it shall be read."""
    passed: bool
    headline: str
    """The outcome in a sentence."""
    played: tuple[Played, ...]
    verdict: Verdict | None = None
    findings: tuple[Finding, ...] = ()
    plots: tuple[Plot, ...] = ()
    contract: PolicyContract | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One line of the table that compares what was played."""

    label: str
    key: str
    """Key in the metrics document."""
    unit: str = ""
    digits: int = 3


ROWS = (
    Row("Episodes ended", "total_episodes", digits=0),
    Row("Episodes unfinished", "unfinished_episodes", digits=0),
    Row("Episodes lost to a diverged simulation", "diverged_episodes", digits=0),
    Row("Survival", "survival_rate", "%", 1),
    Row("Reward per episode", "mean_reward", digits=2),
    Row("Reward per second", "reward_per_second", "1/s"),
    Row("Episode length", "mean_episode_length", "steps", 0),
    Row("Velocity error", "error_vel_xy", "m/s"),
    Row("Yaw rate error", "error_vel_yaw", "rad/s"),
    Row("Forward speed", "mean_forward_speed", "m/s", 2),
    Row("Inference, mean", "mean_inference_time_ms", "ms"),
    Row("Inference, 50 %", "p50_inference_time_ms", "ms"),
    Row("Inference, 95 %", "p95_inference_time_ms", "ms"),
    Row("Inference, 99 %", "p99_inference_time_ms", "ms"),
    Row("Throughput", "throughput_steps_per_sec", "env steps/s", 0),
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
    page = render(report)
    with replacing(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return path


def render(report: Report) -> str:
    """Return the page."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["number"] = number
    environment.filters["embed"] = embed
    template = environment.get_template(_TEMPLATE)
    return template.render(report=report, rows=_table(report.played), parity=_parity(report.played))


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


def _table(played: Sequence[Played]) -> list[tuple[Row, list[float | None]]]:
    columns = [entry.metrics.document() if entry.metrics else {} for entry in played]
    lines = [(row, [column.get(row.key) for column in columns]) for row in ROWS]
    return [(row, values) for row, values in lines if any(value is not None for value in values)]


def _parity(played: Sequence[Played]) -> list[dict[str, Any]]:
    """Lines of the parity table: one for each format and batch size."""
    found = [(entry.title, entry.metrics.parity) for entry in played if entry.metrics and entry.metrics.parity]
    return [{**result, "title": title} for title, parity in found for result in parity["results"]]
