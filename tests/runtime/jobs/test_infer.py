import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import onnxruntime
import pytest
import torch
from gaitway_runtime.evaluation.film import Film, film_of
from gaitway_runtime.evaluation.rollout import Ending, Recording
from gaitway_runtime.jobs import evaluating, infer
from gaitway_runtime.jobs.base import Workspace
from gaitway_runtime.process.lifecycle import Progress, StopRequest
from gaitway_runtime.spec.errors import Interrupted, JobFailed, UsageError
from gaitway_runtime.spec.export_formats import EXPORT_FORMATS
from gaitway_runtime.spec.job import InferJob
from gaitway_runtime.spec.result import GateVerdict, Result
from gaitway_runtime.spec.run_context import RunContext
from gaitway_runtime.tracking import mlflow_tracker

from tests.fakes.browser import open_page
from tests.fakes.linear_policy import CARTPOLE, write_checkpoint
from tests.fakes.tracker import open_tracker, told

JOB = InferJob(task="Isaac-Cartpole-v0", simulator="mujoco", num_envs=2, max_steps=320, video_length=0, seed=3)


@pytest.fixture(autouse=True)
def _recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_tracker, "open_tracker", open_tracker)
    monkeypatch.setattr(evaluating, "FILM_SIZE", (64, 48))


def run(folder: Path, job: InferJob = JOB, stop: StopRequest | None = None, **changes: Any) -> Result:
    workspace = Workspace(folder / "outputs", stop or StopRequest(), Progress(folder / "outputs"))
    workspace.output_dir.mkdir(parents=True)
    uri = changes.pop("checkpoint_uri", None) or str(write_checkpoint(folder / "model_7.pt"))
    return infer.run(dataclasses.replace(job, checkpoint_uri=uri, **changes), RunContext(run="infer-1"), workspace)


def metrics_of(folder: Path, form: str) -> dict[str, Any]:
    return json.loads((folder / "outputs" / "metrics" / f"{form}_metrics.json").read_text())


FILMED: list[int] = []


def noting(recording: Recording, **meta: Any) -> Film:
    FILMED.append(recording.filmed)
    return film_of(recording, **meta)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("infer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlflow_tracker, "open_tracker", open_tracker)
        patch.setattr(evaluating, "FILM_SIZE", (64, 48))
        patch.setattr(evaluating, "film_of", noting)
        patch.setenv("GAITWAY_HOME", str(folder / "home"))
        return folder, run(folder, video_length=12)


def test_everything_is_where_the_documents_put_it(both: tuple[Path, Result]) -> None:
    folder, result = both
    wanted = {
        "exported/policy.onnx",
        "exported/policy.pt",
        "exported/contract.json",
        "metrics/onnx_metrics.json",
        "metrics/jit_metrics.json",
        "videos/onnx_play/rl-video-step-0.mp4",
        "videos/jit_play/rl-video-step-0.mp4",
        "plots/tracking.png",
        "plots/reward_terms.png",
        "report.html",
    }
    assert wanted <= set(result.artifacts)
    assert all((folder / "outputs" / name).stat().st_size for name in result.artifacts)
    assert (result.status, result.exit_code, result.passed) == ("succeeded", 0, True)


def test_the_metrics_run_goes_the_whole_way_and_the_video_shows_its_beginning(both: tuple[Path, Result]) -> None:
    folder, result = both
    for form in ("onnx", "jit"):
        metrics = metrics_of(folder, form)
        assert metrics == result.metrics[form]
        assert (metrics["total_steps"], metrics["total_episodes"], metrics["unfinished_episodes"]) == (320, 2, 2)
        assert metrics["mean_reward"] > 4.9
        assert metrics["survival_rate"] == 1.0
        assert metrics["inference"]["threads"] == 1 and metrics["inference"]["provider"]
        assert {"mujoco", "torch", "onnxruntime"} <= metrics["versions"].keys()
        video = folder / "outputs" / "videos" / f"{form}_play" / "rl-video-step-0.mp4"
        reader = imageio_ffmpeg.read_frames(str(video))
        assert next(reader)["fps"] == 60
        frames = [np.frombuffer(frame, np.uint8) for frame in reader]
        assert len(frames) == 12 and min(frame.mean() for frame in frames) > 20


def test_both_exports_compute_what_the_checkpoint_does(both: tuple[Path, Result]) -> None:
    folder, _ = both
    for form in ("onnx", "jit"):
        parity = metrics_of(folder, form)["parity"]
        assert parity["passed"] and parity["observations"] == "recorded"
        assert {line["batch_size"] for line in parity["results"]} == {1, 4, 64}
    observation = np.array([[0.5, 0.1, -0.2, 0.3]], dtype=np.float32)
    expected = observation @ np.array(CARTPOLE, dtype=np.float32).T
    session = onnxruntime.InferenceSession(folder / "outputs/exported/policy.onnx")
    np.testing.assert_allclose(session.run(["actions"], {"obs": observation})[0], expected, atol=1e-6)
    scripted = torch.jit.load(folder / "outputs/exported/policy.pt")
    np.testing.assert_allclose(scripted(torch.from_numpy(observation)).numpy(), expected, atol=1e-6)


def test_the_run_is_tracked_with_the_metrics_of_each_format(both: tuple[Path, Result]) -> None:
    folder, result = both
    logged = {name: value for _, values in told(folder, "metrics") for name, value in values.items()}
    assert logged["onnx/mean_episode_reward"] == pytest.approx(result.metrics["onnx"]["mean_episode_reward"])
    assert "jit/p95_inference_time_ms" in logged
    published = {where for _, where in told(folder, "publish")}
    assert {"exported", "metrics", "videos", "plots"} <= published
    assert told(folder, "close") == ["FINISHED"]


def test_the_report_shows_both_videos_and_where_the_policy_comes_from(both: tuple[Path, Result]) -> None:
    folder, _ = both
    page = (folder / "outputs" / "report.html").read_text(encoding="utf-8")
    assert page.count("data:video/mp4") == 2
    assert "model_7.pt" in page and "joint_pos_rel" in page
    assert FILMED == [0, 1], "two films of the same steps of the same world would show nothing new"


def test_the_report_fits_a_phone(both: tuple[Path, Result]) -> None:
    folder, _ = both
    with open_page() as page:
        page.resize(390, 844)
        page.open((folder / "outputs" / "report.html").as_uri())
        page.wait_for("document.readyState === 'complete'")
        page.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        cut = "[...document.querySelectorAll('.box')].filter((box) => box.scrollWidth > box.clientWidth + 1)"
        assert page.evaluate(f"{cut}.map((box) => box.textContent.trim().slice(0, 40))") == []


def test_one_broken_format_does_not_hide_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("the exporter gave up")

    whole = EXPORT_FORMATS.get
    formats = {"jit": whole("jit"), "onnx": dataclasses.replace(whole("onnx"), write=broken)}
    monkeypatch.setattr(EXPORT_FORMATS, "get", lambda name, *_: formats[name])
    result = run(tmp_path)
    assert (result.status, result.exit_code, result.passed) == ("failed", 1, False)
    assert result.error is not None
    assert "ONNX" in result.error["message"] and "the exporter gave up" in result.error["message"]
    assert result.error["hint"] == "TorchScript is whole"
    assert result.metrics["jit"]["mean_reward"] > 4.9
    assert "metrics/jit_metrics.json" in result.artifacts and "report.html" in result.artifacts
    assert told(tmp_path, "close") == ["FAILED"]


def test_an_export_that_disagrees_fails_the_job_and_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = infer.open_session

    def skewed(path: Path) -> Any:
        session = whole(path)
        act = session.act
        monkeypatch.setattr(session, "act", lambda observations: act(observations) + np.float32(1e-3))
        return session

    monkeypatch.setattr(infer, "open_session", skewed)
    result = run(tmp_path, format="jit")
    assert result.exit_code == JobFailed.exit_code
    assert result.error is not None and "does not compute what the checkpoint does" in result.error["message"]
    assert metrics_of(tmp_path, "jit")["parity"]["passed"] is False


@pytest.mark.parametrize(("form", "missing"), [("onnx", "policy.pt"), ("jit", "policy.onnx")])
def test_one_format_alone_can_be_asked_for(tmp_path: Path, form: str, missing: str) -> None:
    result = run(tmp_path, format=form, max_steps=5)
    assert list(result.metrics) == [form]
    assert not (tmp_path / "outputs" / "exported" / missing).exists()
    assert "no episode ended in 5 steps" in metrics_of(tmp_path, form)["reward_reason"]


def test_a_checkpoint_of_another_task_is_refused_before_anything_is_tracked(tmp_path: Path) -> None:
    other = write_checkpoint(tmp_path / "other.pt", [[0.1] * 48] * 12)
    with pytest.raises(UsageError) as refused:
        run(tmp_path, checkpoint_uri=str(other))
    assert "48" in refused.value.message and "4" in refused.value.message
    assert "Isaac-Velocity-Flat-Anymal-C-v0" in (refused.value.hint or "")
    assert not (tmp_path / "tracked.jsonl").exists()


def test_without_a_checkpoint_there_is_nothing_to_infer(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, StopRequest(), Progress(tmp_path))
    with pytest.raises(UsageError, match="needs a checkpoint"):
        infer.run(JOB, RunContext(), workspace)


def test_a_job_that_is_asked_to_stop_stops(tmp_path: Path) -> None:
    stop = StopRequest()
    stop.request("SIGTERM")
    with pytest.raises(Interrupted):
        run(tmp_path, stop=stop)


def test_a_machine_that_cannot_draw_figures_still_gets_its_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with caplog.at_level("WARNING", "gaitway_runtime"):
        result = run(tmp_path, format="jit", max_steps=5, video_length=3)
    assert result.status == "succeeded"
    assert "report.html" not in result.artifacts and "metrics/jit_metrics.json" in result.artifacts
    assert "videos/jit_play/rl-video-step-0.mp4" in result.artifacts, "what draws figures does not draw films"
    assert "there is no report" in caplog.text


def test_a_policy_that_falls_meets_no_gate_however_equal_its_exports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(infer, "run_steps", falling(infer.run_steps))
    result = run(tmp_path, video_length=0, format="onnx")
    assert (result.status, result.exit_code, result.passed) == ("succeeded", 0, False)
    assert (result.exports_equal, result.verdict) == (True, GateVerdict.NOT_MET)
    page = (tmp_path / "outputs" / "report.html").read_text()
    assert "Exports equal" in page and "Gate not met" in page and 'class="pill pass"' not in page


def test_a_gate_that_is_asked_for_and_not_met_fails_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(infer, "run_steps", falling(infer.run_steps))
    result = run(tmp_path, video_length=0, format="onnx", gate=True)
    assert (result.status, result.exit_code, result.exports_equal) == ("failed", 5, True)
    assert result.error is not None and "gate is not met" in str(result.error["message"])


def test_a_gate_is_judged_over_whole_episodes(tmp_path: Path) -> None:
    short = run(tmp_path / "short", video_length=0, format="onnx", max_steps=20)
    assert (short.verdict, short.passed) == (GateVerdict.NOT_JUDGED, True)
    whole = run(tmp_path / "whole", video_length=0, format="onnx", max_steps=20, gate=True)
    assert (whole.verdict, whole.exit_code) == (GateVerdict.MET, 0)


def test_a_policy_of_flat_ground_does_not_pass_on_rough(tmp_path: Path) -> None:
    """The real thing: its exports are equal, the robot falls on the stairs, and nothing of the report is green."""
    flat = Path(__file__).resolve().parents[3] / "samples" / "anymal-c-flat" / "model_194.pt"
    rough = {"task": "Isaac-Velocity-Rough-Anymal-C-v0", "num_envs": 2, "checkpoint_uri": str(flat)}
    result = run(tmp_path, format="onnx", gate=True, **rough)
    assert (result.status, result.exit_code) == ("failed", 5)
    assert (result.exports_equal, result.verdict, result.passed) == (True, GateVerdict.NOT_MET, False)
    page = (tmp_path / "outputs" / "report.html").read_text(encoding="utf-8")
    assert "Exports equal" in page and "Gate not met" in page and 'class="pill pass"' not in page


def falling(play):
    """A rollout in which every episode ends in a fall."""

    def played(*args, **kwargs):
        rollout = play(*args, **kwargs)
        fallen = (*rollout.episodes, *rollout.unfinished)
        episodes = tuple(dataclasses.replace(episode, ending=Ending.TERMINATED) for episode in fallen)
        return dataclasses.replace(rollout, episodes=episodes, unfinished=())

    return played
