from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import yaml
from gaitway_runtime.learners.base import Learner, LearnerTraining, TrainingOutcome, TrainingStart
from gaitway_runtime.learners.monitor import Monitor
from gaitway_runtime.learners.rsl_rl import LEARNER as RSL_RL
from gaitway_runtime.learners.skrl import LEARNER
from gaitway_runtime.learners.skrl.agent import attach
from gaitway_runtime.policies.reader import read_checkpoint
from gaitway_runtime.simulators.base import Transition
from gaitway_runtime.spec.errors import JobFailed, UsageError
from gaitway_runtime.spec.job import TrainJob

from tests.fakes.mass_env import DoubleIntegrator
from tests.runtime.learners.recording import RecordingCallbacks, start_from

SMALL = ("agent.rollouts=8", "agent.hidden_dims=[8]", "agent.learning_epochs=1")


def job(iterations: int = 5, *overrides: str, **settings: Any) -> TrainJob:
    settings = {"save_interval": 2, "seed": 3, "backend": "skrl", **settings}
    return TrainJob(
        task="Fake-Mass-v0", num_envs=4, max_iterations=iterations, overrides=(*SMALL, *overrides), **settings
    )


def train(
    folder: Path, iterations: int = 5, *overrides: str, start: TrainingStart | None = None, **settings: Any
) -> tuple[TrainingOutcome, RecordingCallbacks]:
    callbacks = settings.pop("callbacks", None) or RecordingCallbacks()
    env = settings.pop("env", None) or DoubleIntegrator(4, critic=True)
    asked = job(iterations, *overrides, **settings)
    training = LearnerTraining(job=asked, env=env, output_dir=folder, start=start or TrainingStart())
    LEARNER.check(training)
    return LEARNER.train(training, callbacks, {"run_id": "run-1"}), callbacks


def check(learner: Learner, asked: TrainJob, env: DoubleIntegrator, start: TrainingStart) -> None:
    learner.check(LearnerTraining(job=asked, env=env, output_dir=Path(), start=start))


def load(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def test_iterations_checkpoints_and_metrics_are_told_as_with_rsl_rl(tmp_path: Path) -> None:
    outcome, callbacks = train(tmp_path, 12)
    assert (outcome.iterations, outcome.final_checkpoint.name, outcome.stopped) == (12, "model_11.pt", False)
    assert outcome.steps == 12 * 8 * 4
    assert callbacks.iterations == list(range(12))
    assert [name for name, _ in callbacks.checkpoints] == [f"model_{i}.pt" for i in (0, 2, 4, 6, 8, 10, 11)]
    assert {"Loss / Policy loss", "Loss / Value loss", "Train/mean_reward"} <= callbacks.metrics[-1].keys()
    agent = yaml.safe_load((tmp_path / "params" / "agent.yaml").read_text())
    assert (agent["rollouts"], agent["hidden_dims"]) == (8, [8])


def test_the_reported_reward_is_the_tasks_own_without_the_shaping(tmp_path: Path) -> None:
    env = DoubleIntegrator(4)
    env.max_episode_length = 8
    _, callbacks = train(tmp_path, 1, "agent.init_at_random_ep_len=false", env=env)
    seen = callbacks.metrics[0]
    assert seen["Train/mean_reward"] == pytest.approx(seen["Episode_Reward/near"], rel=1e-4)
    assert seen["Train/mean_episode_length"] == 8


def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    first, second = (load(train(tmp_path / name, 3)[0].final_checkpoint)["policy"] for name in "ab")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_policy_can_be_read_back(tmp_path: Path) -> None:
    outcome, _ = train(tmp_path, 1, "agent.activation=tanh", "agent.observation_preprocessor=true")
    policy = read_checkpoint(outcome.final_checkpoint)
    assert (policy.observation_size, policy.action_size) == (4, 2)
    assert policy.normalizer is not None


def test_resume_continues_the_numbering_and_the_optimiser(tmp_path: Path) -> None:
    first, _ = train(tmp_path / "a", 3)
    before = load(first.final_checkpoint)
    second, callbacks = train(tmp_path / "b", 6, start=start_from("resume", first.final_checkpoint))
    assert callbacks.iterations == [3, 4, 5]
    assert (second.iterations, second.final_checkpoint.name, second.steps) == (6, "model_5.pt", 3 * 8 * 4)
    assert callbacks.steps[-1] == 6 * 8 * 4
    after = load(second.final_checkpoint)
    assert after["optimizer"]["state"][0]["step"] == 2 * before["optimizer"]["state"][0]["step"]
    done, _ = train(tmp_path / "c", 6, start=start_from("resume", second.final_checkpoint))
    assert (done.iterations, done.steps) == (6, 0)


def test_warm_start_takes_weights_and_scalers_and_nothing_else(tmp_path: Path) -> None:
    scaled = "agent.observation_preprocessor=true"
    first, _ = train(tmp_path / "a", 4, scaled)
    before = load(first.final_checkpoint)
    second, callbacks = train(tmp_path / "b", 1, scaled, start=start_from("warm-start", first.final_checkpoint))
    after = load(second.final_checkpoint)
    assert callbacks.iterations == [0]
    assert after["optimizer"]["state"][0]["step"] == before["optimizer"]["state"][0]["step"] / 4
    counts = [content["observation_preprocessor"]["current_count"] for content in (before, after)]
    assert counts[1] > counts[0] > 1


def test_a_stop_saves_the_iteration_that_was_done(tmp_path: Path) -> None:
    outcome, _ = train(tmp_path, 100, callbacks=RecordingCallbacks(stop_after=3))
    assert (outcome.iterations, outcome.final_checkpoint.name, outcome.stopped) == (4, "model_3.pt", True)


def test_an_observation_that_is_no_number_ends_the_training_with_its_iteration(tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match="the observations 'policy' stopped being finite in iteration 3"):
        train(tmp_path, 20, env=DoubleIntegrator(4, nan_after=4 * 8 * 3 + 4))


def test_a_task_reward_that_is_no_number_ends_the_training_with_its_iteration(tmp_path: Path) -> None:
    class Broken(DoubleIntegrator):
        def step(self, actions: Any) -> Transition:
            found = super().step(actions)
            if self.env_steps > 4 * 8 * 2:
                found.task_rewards[0] = np.nan
            return found

    with pytest.raises(JobFailed, match="the task's rewards stopped being finite in iteration 2"):
        train(tmp_path, 20, env=Broken(4))


def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    first, _ = train(tmp_path / "a", 1)
    start = start_from("resume", first.final_checkpoint)
    env = DoubleIntegrator(4, critic=True)
    with pytest.raises(UsageError, match="policy is 4-8-2, this task's is 4-9-2"):
        check(LEARNER, job(5, "agent.hidden_dims=[9]"), env, start)
    with pytest.raises(UsageError, match="has an observation normaliser"):
        check(LEARNER, job(5, "agent.observation_preprocessor=false"), env, start)
    with pytest.raises(UsageError) as caught:
        check(RSL_RL, TrainJob(task="Fake-Mass-v0"), env, start)
    assert "is of skrl" in caught.value.message
    assert caught.value.hint == "--backend skrl"


def test_an_activation_that_nobody_knows_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nonsense"):
        train(tmp_path, 1, "agent.activation=nonsense")


def test_metrics_that_skrl_writes_without_naming_its_arguments_are_told(tmp_path: Path) -> None:
    """skrl 1.4 hands the time step on by position."""
    written: list[tuple[int, int]] = []

    class Agent:
        checkpoint_modules: ClassVar[dict[str, Any]] = {}

        def __init__(self) -> None:
            self.tracking_data: dict[str, list[float]] = {"Loss / Value loss": [1.0]}

        def post_interaction(self, timestep: int, timesteps: int) -> None:
            self.write_tracking_data(timestep, timesteps)

        def write_tracking_data(self, timestep: int, timesteps: int) -> None:
            written.append((timestep, timesteps))
            self.tracking_data.clear()

        def save(self, path: str) -> None:
            torch.save({"policy": {}}, path)

    callbacks, agent = RecordingCallbacks(), Agent()
    monitor = Monitor(callbacks, tmp_path, first=0, total=1)
    more: dict[str, Any] = {"steps": lambda: 4, "metrics": lambda tracked: {}, "marks": lambda iteration: {}}
    attach(agent, monitor, rollouts=1, first=0, last=0, save_interval=1, **more)
    agent.post_interaction(timestep=0, timesteps=1)
    assert (written, callbacks.metrics) == ([(0, 1)], [{"Loss / Value loss": 1.0}])
