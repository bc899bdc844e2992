import base64
import dataclasses
from html.parser import HTMLParser
from pathlib import Path

import pytest
from gaitway_runtime.evaluation import plots
from gaitway_runtime.evaluation.diagnosis import LikelyCause
from gaitway_runtime.evaluation.gate import judge
from gaitway_runtime.evaluation.metrics import summarize
from gaitway_runtime.evaluation.report import Played, Report, number, render_report, write_report
from gaitway_runtime.evaluation.rollout import Rollout, run_episodes, run_steps
from gaitway_runtime.evaluation.video import Video
from gaitway_runtime.spec.result import GateVerdict

from tests.fakes.env import FakeEnv, Obey

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Collects the addresses a page would load and checks that its elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        loading = {"src", "poster", "href", "xlink:href", "data", "srcset", "action"}
        self.addresses += [value or "" for name, value in attrs if name in loading]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def rollout() -> Rollout:
    return run_episodes(FakeEnv(4, lengths=[[50], [-20]]), Obey(0.8), 8, seed=0)


@pytest.fixture
def report(rollout: Rollout, tmp_path: Path) -> Report:
    video, poster = tmp_path / "play.mp4", tmp_path / "play.png"
    video.write_bytes(b"\x00moving pictures")
    poster.write_bytes(b"\x89PNG")
    metrics = summarize(rollout, format="onnx", simulator="fake", parity=None)
    return Report(
        title="Validation",
        task="Fake-Velocity-v0",
        run="fake-1",
        created="20 November 2026",
        gate=GateVerdict.NOT_MET,
        exports_equal=True,
        headline="Half of the episodes ended in a fall.",
        played=(
            Played(format="onnx", metrics=metrics, video=Video(video, poster, 200, 50.0, "rays")),
            Played(format="jit", error="the exporter gave up"),
        ),
        verdict=judge("Fake-Velocity-v0", rollout.episodes, metrics),
        findings=(LikelyCause("Wrong joint order", "it falls within a second"),),
        plots=tuple(
            plot
            for plot in (
                plots.traces(rollout, tmp_path),
                plots.reward_terms(rollout.reward_terms, tmp_path),
                plots.episode_returns(rollout.episodes, tmp_path, [True] * 8),
            )
            if plot
        ),
        contract=FakeEnv().contract,
        provenance={"checkpoint": "runs:/1/model_9.pt"},
    )


def test_the_report_is_one_file_that_loads_nothing(report: Report, tmp_path: Path) -> None:
    page = Page(write_report(report, tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.addresses
    assert not [address for address in page.addresses if not address.startswith(("data:", "#"))]
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "@import" not in text and "url(http" not in text and "<script" not in text


def test_the_video_is_inside(report: Report) -> None:
    page = Page(render_report(report))
    video = next(address for address in page.addresses if address.startswith("data:video/mp4;base64,"))
    assert base64.b64decode(video.partition(",")[2]) == b"\x00moving pictures"


def test_it_says_what_failed_and_why(report: Report) -> None:
    text = Page(render_report(report)).text
    for words in (
        "Gate not met",
        "Exports equal",
        "the exporter gave up",
        "Wrong joint order",
        "it falls within a second",
        "4 of 8",
    ):
        assert words in text
    for words in ("base_lin_vel", "slide_x", "runs:/1/model_9.pt"):
        assert words in text


def test_text_from_outside_cannot_become_markup(report: Report) -> None:
    evil = dataclasses.replace(report, task="<script>alert(1)</script>", run='"><img src=x>')
    text = render_report(evil)
    assert "<script>alert" not in text and "<img" not in text


def test_a_rollout_without_an_end_says_so_instead_of_a_reward(report: Report) -> None:
    rollout = run_steps(FakeEnv(2), Obey(), 20, seed=0)
    played = (Played(format="onnx", metrics=summarize(rollout, format="onnx", simulator="fake")),)
    text = Page(render_report(dataclasses.replace(report, played=played, verdict=None))).text
    assert "no episode ended in 20 steps" in text
    assert "reward per second" in text


def test_figures_are_files_and_take_the_ink_of_their_page(rollout: Rollout, tmp_path: Path) -> None:
    plot = plots.traces(rollout, tmp_path / "plots")
    assert plot is not None
    assert plot.path.read_bytes().startswith(b"\x89PNG")
    assert plot.svg.startswith("<svg") and "currentColor" in plot.svg and "<?xml" not in plot.svg


def test_what_is_not_known_is_not_drawn(tmp_path: Path) -> None:
    assert plots.training_curves({}, tmp_path) is None
    assert plots.reward_terms({}, tmp_path) is None
    assert plots.episode_returns([], tmp_path, []) is None
    assert list(tmp_path.iterdir()) == []


def test_training_curves_are_found_under_the_trackers_and_the_progress_files_names(tmp_path: Path) -> None:
    for name in ("Train/mean_reward", "reward"):
        assert plots.training_curves({name: [(0, 1.0), (1, 2.0)]}, tmp_path) is not None


@pytest.mark.parametrize(
    ("value", "digits", "unit", "text"),
    [(None, 2, "m/s", "–"), (float("nan"), 2, "", "–"), (0.123456, 2, "m/s", "0.12 m/s"), (0.985, 1, "%", "98.5 %")],
)
def test_numbers_are_printed_with_their_unit_or_a_dash(value: float, digits: int, unit: str, text: str) -> None:
    assert number(value, digits, unit) == text


@pytest.mark.parametrize(
    ("gate", "exports_equal", "marks"),
    [
        (GateVerdict.NOT_MET, True, (("Exports equal", "plain"), ("Gate not met", "fail"))),
        (GateVerdict.NOT_JUDGED, True, (("Exports equal", "plain"), ("Gate not judged", "plain"))),
        (GateVerdict.MET, True, (("Exports equal", "plain"), ("Gate met", "pass"))),
        (GateVerdict.MET, False, (("Exports not equal", "fail"), ("Gate met", "pass"))),
        (GateVerdict.MET, None, (("Gate met", "pass"),)),
    ],
)
def test_nothing_is_green_over_a_robot_that_falls(report: Report, gate, exports_equal, marks) -> None:
    told = dataclasses.replace(report, gate=gate, exports_equal=exports_equal)
    assert told.marks == marks
    page = render_report(told)
    assert ('class="pill pass"' in page) == (gate is GateVerdict.MET)
