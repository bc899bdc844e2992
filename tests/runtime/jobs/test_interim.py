"""Interim evaluations: the judged numbers while a policy trains, which train it no differently."""

import dataclasses
import importlib.util
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gaitway_runtime.evaluation import course as course_module
from gaitway_runtime.evaluation.course import course, read_curves, recorded_curve
from gaitway_runtime.jobs import interim, train
from gaitway_runtime.jobs.base import Workspace
from gaitway_runtime.jobs.interim import InterimEvaluations, TimeShare
from gaitway_runtime.process.lifecycle import Progress, StopRequest
from gaitway_runtime.simulators import base as simulators
from gaitway_runtime.spec import catalog
from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.spec.job_document import to_document
from gaitway_runtime.spec.result import Result, write_json
from gaitway_runtime.spec.run_context import RunContext
from gaitway_runtime.tracking import mlflow_tracker

from tests.fakes.tracker import RecordingTracker, open_tracker, told
from tests.fakes.weights import digest

RECORDER = Path(__file__).parents[3] / "benchmarks" / "record_curve.py"
TINY = {
    "rsl_rl": ("agent.num_steps_per_env=8", "agent.algorithm.num_learning_epochs=1"),
    "skrl": ("agent.rollouts=8", "agent.learning_epochs=1"),
}


def cartpole(backend: str, share: float) -> TrainJob:
    return TrainJob(
        task="Isaac-Cartpole-v0",
        simulator="mujoco",
        backend=backend,
        num_envs=8,
        max_iterations=3,
        overrides=TINY[backend],
        evaluation_share=share,
    )


def run(folder: Path, job: TrainJob) -> Result:
    workspace = Workspace(folder / "outputs", StopRequest(), Progress(folder / "outputs", stream=io.StringIO()))
    workspace.output_dir.mkdir(parents=True)
    return train.run(job, RunContext(run=folder.name), workspace)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluations that are expected to cost nothing: the first comes after the first iteration."""
    monkeypatch.setattr(interim, "EXPECTED_S", 0.0)
    monkeypatch.setattr(mlflow_tracker, "open_tracker", open_tracker)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("backend", ["rsl_rl", "skrl"])
def test_a_training_makes_the_same_weights_with_evaluations_and_without(tmp_path: Path, backend: str) -> None:
    results = {share: run(tmp_path / str(share), cartpole(backend, share)) for share in (0.0, 0.5)}
    weights = {digest(tmp_path / str(share) / "outputs" / "checkpoints" / "model_2.pt") for share in results}
    assert len(weights) == 1

    judged = results[0.5].metrics["evaluation"]
    assert judged["iteration"] == 1
    assert {"mean_reward", "mean_episode_length", "survival_rate", "success_rate"} <= judged.keys()
    tracked = {name: value for _, metrics in told(tmp_path / "0.5", "metrics") for name, value in metrics.items()}
    assert tracked["Evaluation/mean_reward"] == judged["mean_reward"]
    lines = (tmp_path / "0.5" / "outputs" / "progress.jsonl").read_text().splitlines()
    assert [json.loads(line).get("evaluation") for line in lines if '"total": 3' in line] == [None, judged, judged]
    assert "evaluation" not in results[0.0].metrics
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.usefixtures("at_once")
def test_an_evaluation_that_cannot_be_made_ends_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    module = simulators.load("mujoco")
    opened = module.open_env

    def broken(job: TrainJob, *, training: bool, **rest: object) -> object:
        if not training:
            raise RuntimeError("no room for another world")
        return opened(job, training=training, **rest)

    monkeypatch.setattr(module, "open_env", broken)
    assert run(tmp_path / "one", cartpole("rsl_rl", 0.5)).status == "succeeded"
    assert [text for text in caplog.messages if "no room for another world" in text] == [
        "the policy is not evaluated while it trains: RuntimeError: no room for another world"
    ]


def test_what_is_taken_stays_below_the_share() -> None:
    now = 0.0
    share = TimeShare(0.02, expected=1.0, clock=lambda: now)
    taken = 0
    for _ in range(10_000):
        now += 0.1
        if share.allows():
            now += 1.5
            share.take(1.5)
            taken += 1
        assert share.taken <= max(0.02 * now, 1.5 if taken == 1 else 0.0)
    assert taken >= 10
    nothing = TimeShare(0.0, expected=0.1, clock=lambda: 1e9)
    assert not nothing.allows()


def test_a_film_of_an_evaluation_is_drawn_beside_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy_file: Callable[[Path], None]
) -> None:
    monkeypatch.setattr(interim, "EXPECTED_S", 0.0)
    monkeypatch.setattr(interim, "FILM_EXPECTED_S", 0.0)
    job = dataclasses.replace(cartpole("rsl_rl", 0.5), films=True)
    workspace = Workspace(tmp_path / "outputs", StopRequest(), Progress(tmp_path / "outputs", stream=io.StringIO()))
    seconds = iter(range(10_000))
    looking = InterimEvaluations(job, workspace, RecordingTracker(workspace.output_dir), clock=lambda: next(seconds))
    looking.look(9, policy_file)
    assert looking._filming is not None
    looking._filming._process.wait()  # type: ignore[union-attr]
    looking.look(10, policy_file)
    looking.close()
    film = workspace.output_dir / "videos" / "training" / "iteration_000010.mp4"
    assert film.stat().st_size > 1000
    assert told(tmp_path, "publish") == [[film.name, "videos/training"]]


@pytest.fixture(scope="module")
def policy_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], None]:
    folder = tmp_path_factory.mktemp("policy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlflow_tracker, "open_tracker", open_tracker)
        run(folder / "one", dataclasses.replace(cartpole("rsl_rl", 0.0), max_iterations=1))
    content = (folder / "one" / "outputs" / "checkpoints" / "model_0.pt").read_bytes()
    return lambda path: (path.parent.mkdir(parents=True, exist_ok=True), path.write_bytes(content), None)[-1]


CURVE = ((1, 0.0), (50, 5.0), (100, 20.0))


@pytest.mark.parametrize(
    ("iteration", "reward", "words"),
    [
        (100, 19.0, "on its way"),
        (100, 8.0, "on its way"),
        (100, 2.0, "behind"),
        (150, 19.5, "on its way"),
        (1, -1, "on"),
    ],
)
def test_a_training_is_on_its_way_or_behind_its_recipes_recorded_curve(
    iteration: int, reward: float, words: str
) -> None:
    assert course(CURVE, iteration, reward).startswith(words)


def test_only_the_recipe_itself_is_compared_with_its_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    task = catalog.embedded("Isaac-Cartpole-v0")
    monkeypatch.setitem(catalog._tasks, task.name, dataclasses.replace(task, curve=CURVE))
    own = TrainJob(task=task.name, simulator="mujoco", num_envs=task.local.num_envs)
    assert recorded_curve(own) == CURVE
    for change in ({"num_envs": 8}, {"overrides": ("agent.gamma=0.9",)}, {"backend": "skrl"}, {"shaping": False}):
        assert recorded_curve(dataclasses.replace(own, **change)) == ()  # type: ignore[arg-type]
    assert course((), 10, 1.0) == ""


def test_every_recorded_curve_is_of_a_task_and_rises_within_its_training() -> None:
    curves = read_curves()
    assert {"Isaac-Cartpole-v0", "Isaac-Velocity-Flat-Anymal-C-v0"} <= set(curves)
    for name, points in curves.items():
        iterations = [iteration for iteration, _ in points]
        assert iterations == sorted(set(iterations)) and iterations[-1] <= catalog.embedded(name).local.max_iterations
        assert points[-1][1] > points[0][1]


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The benchmark that records curves, writing into a file of the test's."""
    spec = importlib.util.spec_from_file_location("record_curve", RECORDER)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(course_module, "CURVES", tmp_path / "curves.json")
    monkeypatch.setattr(module, "CURVES", tmp_path / "curves.json")
    (tmp_path / "curves.json").write_text('{"Isaac-Ant-v0": [[1, 2.0], [3, 4.0]]}')
    return module


def done(run_dir: Path, **changes: Any) -> Path:
    """Write the folder of a training that evaluated as it went on."""
    task = catalog.embedded("Isaac-Cartpole-v0")
    job = TrainJob(task=task.name, num_envs=task.local.num_envs, **changes)
    context = RunContext(run="r", run_id="a" * 32, platform="local")
    (run_dir / "outputs").mkdir(parents=True)
    (run_dir / "job.json").write_text(json.dumps(to_document(job, context)))
    result = Result(kind="train", task=task.name, status="succeeded", simulator="mujoco")
    write_json(dataclasses.asdict(result), run_dir / "outputs" / "result.json")
    lines = [{"evaluation": {"iteration": 10 * k, "mean_reward": float(k)}} for k in range(1, 10) for _ in range(2)]
    (run_dir / "outputs" / "progress.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run_dir


def test_a_training_that_has_been_done_becomes_a_curve(recorder: Any, tmp_path: Path) -> None:
    recorder.record(done(tmp_path / "run"))
    curves = read_curves()
    assert set(curves) == {"Isaac-Ant-v0", "Isaac-Cartpole-v0"}
    assert curves["Isaac-Cartpole-v0"][0] == (10, 1.5) and curves["Isaac-Cartpole-v0"][-1] == (90, 8.5)
    own = TrainJob(task="Isaac-Cartpole-v0", simulator="mujoco", num_envs=256)
    assert course(recorded_curve(own), 90, 8.0).startswith("on its way")


def judged(run_dir: Path, *, trained: tuple[str, ...] = (), played: tuple[str, ...] = ()) -> Path:
    """Write the folder of a benchmark's training that has been judged."""
    run_dir.mkdir()
    (run_dir / "run.json").write_text(json.dumps({"task": "Isaac-Cartpole-v0", "seed": 1, "overrides": trained}))
    rows = [{"iteration": 10 * k, "reward": k / 2, "overrides": played} for k in range(1, 8)]
    (run_dir / "judged.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return run_dir


def test_a_training_that_has_been_judged_becomes_a_curve(recorder: Any, tmp_path: Path) -> None:
    recorder.record_judged(judged(tmp_path / "run"))
    assert read_curves()["Isaac-Cartpole-v0"] == tuple((10 * k, k / 2) for k in range(1, 8))


@pytest.mark.parametrize("changed", [{"trained": ("agent.mirror=false",)}, {"played": ("env.episode_length_s=1",)}])
def test_a_judged_training_of_another_recipe_becomes_none(
    recorder: Any, tmp_path: Path, changed: dict[str, tuple[str, ...]]
) -> None:
    with pytest.raises(SystemExit, match="not the recipe"):
        recorder.record_judged(judged(tmp_path / "run", **changed))


def test_a_training_of_another_recipe_becomes_none(recorder: Any, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="is not the recipe of its task"):
        recorder.record(done(tmp_path / "run", overrides=("env.rewards.alive.weight=2",)))
    assert set(read_curves()) == {"Isaac-Ant-v0"}
