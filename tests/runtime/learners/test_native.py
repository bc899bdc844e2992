"""Learners on an environment that brings its own wrapper and the task's own settings, as Isaac Lab does."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from gaitway_runtime.learners import base
from gaitway_runtime.learners.base import LearnerTraining, TrainingOutcome, TrainingStart
from gaitway_runtime.learners.rsl_rl import native as rsl_rl_native
from gaitway_runtime.learners.rsl_rl.embedded import RslRlEnv
from gaitway_runtime.learners.skrl.models import SkrlEnv
from gaitway_runtime.policies.reader import read_checkpoint
from gaitway_runtime.simulators.base import Native
from gaitway_runtime.spec.errors import JobFailed, UsageError
from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.spec.learners import LEARNERS

from tests.fakes.mass_env import DoubleIntegrator
from tests.runtime.learners.recording import RecordingCallbacks, start_from

STEPS = 8

RSL_RL: Mapping[str, Any] = {
    "class_name": "OnPolicyRunner",
    "seed": 42,
    "num_steps_per_env": STEPS,
    "max_iterations": 7,
    "save_interval": 3,
    "clip_actions": 5.0,
    "obs_groups": {"actor": ["policy"], "critic": ["policy"]},
    "actor": {
        "class_name": "MLPModel",
        "hidden_dims": [8],
        "activation": "tanh",
        "obs_normalization": True,
        "distribution_cfg": {"class_name": "GaussianDistribution", "init_std": 1.0, "std_type": "scalar"},
    },
    "critic": {"class_name": "MLPModel", "hidden_dims": [8], "activation": "elu", "obs_normalization": False},
    "algorithm": {
        "class_name": "PPO",
        "learning_rate": 1e-3,
        "schedule": "adaptive",
        "desired_kl": 0.01,
        "num_learning_epochs": 1,
        "num_mini_batches": 2,
        "rnd_cfg": None,
        "symmetry_cfg": None,
    },
}
NETWORK = {"network": [{"name": "net", "input": "OBSERVATIONS", "layers": [8], "activations": "tanh"}]}
SKRL: Mapping[str, Any] = {
    "seed": 42,
    "models": {
        "separate": False,
        "policy": {"class": "GaussianMixin", "initial_log_std": 0.0, "output": "ACTIONS", **NETWORK},
        "value": {"class": "DeterministicMixin", "output": "ONE", **NETWORK},
    },
    "memory": {"class": "RandomMemory", "memory_size": -1},
    "agent": {
        "class": "PPO",
        "rollouts": STEPS,
        "learning_epochs": 1,
        "mini_batches": 2,
        "learning_rate": 1e-3,
        "learning_rate_scheduler": "KLAdaptiveLR",
        "learning_rate_scheduler_kwargs": {"kl_threshold": 0.008},
        "observation_preprocessor": "RunningStandardScaler",
        "observation_preprocessor_kwargs": {"size": 4},
        "experiment": {"write_interval": "auto", "checkpoint_interval": "auto"},
    },
    "trainer": {"class": "SequentialTrainer", "timesteps": 7 * STEPS},
}


class NativeMass(DoubleIntegrator):
    """A simulator whose environment offers itself to the libraries."""

    def __init__(self, num_envs: int = 4, **options: Any) -> None:
        super().__init__(num_envs, **options)
        self._native: dict[str, Native] = {}

    def native(self, library: str, wrap: Callable[[Any, Any], Native]) -> Native:
        if library not in self._native:
            wrapped = RslRlEnv(self, 1) if library == "rsl_rl" else SkrlEnv(self, 1, spread_episodes=False)
            self._native[library] = Native(
                env=wrapped,
                config={"rsl_rl": RSL_RL, "skrl": SKRL}[library],
                task_config={"decimation": 2, "func": math.sin},
                device="cpu",
                max_iterations=7,
                save_interval=3,
            )
        return self._native[library]


@pytest.fixture(params=["rsl_rl", "skrl"])
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def train(
    backend: str, folder: Path, iterations: int, start: TrainingStart | None = None, **given: Any
) -> tuple[TrainingOutcome, RecordingCallbacks]:
    callbacks, env = given.get("callbacks") or RecordingCallbacks(), given.get("env") or NativeMass()
    job = TrainJob(task="Fake-Mass-v0", num_envs=4, max_iterations=iterations, save_interval=3, seed=3)
    learner = base.load(backend)
    training = LearnerTraining(job=job, env=env, output_dir=folder, start=start or TrainingStart())
    learner.check(training)
    return learner.train(training, callbacks, {"run_id": "run-1"}), callbacks


def load(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(path, weights_only=True)
    return content


def test_every_iteration_is_told_and_tensorboard_stays(backend: str, tmp_path: Path) -> None:
    outcome, callbacks = train(backend, tmp_path, 5)
    assert (outcome.iterations, outcome.steps, outcome.stopped) == (5, 5 * STEPS * 4, False)
    assert callbacks.iterations == [0, 1, 2, 3, 4]
    assert callbacks.checkpoints == [("model_0.pt", 0), ("model_3.pt", 3), ("model_4.pt", 4)]
    loss = {"rsl_rl": "Loss/value", "skrl": "Loss / Value loss"}[backend]
    assert all(loss in metrics for metrics in callbacks.metrics)
    # From the first episode's end on, as in rsl_rl: also where none has ended in an iteration.
    told = ["Train/mean_reward" in metrics for metrics in callbacks.metrics]
    assert told == sorted(told)
    assert told[-1]
    assert len(list((tmp_path / "tensorboard").glob("events.out.tfevents.*"))) == 1
    assert not list(tmp_path.rglob("agent_*.pt"))


def test_the_tasks_own_settings_are_written_down_and_readable(backend: str, tmp_path: Path) -> None:
    train(backend, tmp_path, 1)
    agent = yaml.safe_load((tmp_path / "params" / "agent.yaml").read_text())
    assert (agent["seed"], agent["max_iterations"]) == (42, 7) if backend == "rsl_rl" else agent["models"]
    env = yaml.safe_load((tmp_path / "params" / "env.yaml").read_text())
    assert env["decimation"] == 2


def test_the_policy_can_be_read_without_its_surroundings(backend: str, tmp_path: Path) -> None:
    outcome, _ = train(backend, tmp_path, 1)
    alone = outcome.final_checkpoint.rename(tmp_path / "alone.pt")
    policy = read_checkpoint(alone)
    assert (policy.observation_size, policy.action_size) == (4, 2)
    assert policy.normalizer is not None
    assert policy.contract is not None and policy.contract.task == "Fake-Mass-v0"
    assert policy.parts.output_limit == (5.0 if backend == "rsl_rl" else None)


def test_a_stop_and_a_resume_lose_nothing(backend: str, tmp_path: Path) -> None:
    first, _ = train(backend, tmp_path / "a", 100, callbacks=RecordingCallbacks(stop_after=2))
    assert (first.stopped, first.final_checkpoint.name) == (True, "model_2.pt")
    second, callbacks = train(backend, tmp_path / "b", 6, start_from("resume", first.final_checkpoint))
    assert callbacks.iterations == [3, 4, 5]
    assert callbacks.steps[-1] == 6 * STEPS * 4
    key = {"rsl_rl": "optimizer_state_dict", "skrl": "optimizer"}[backend]
    before, after = load(first.final_checkpoint)[key], load(second.final_checkpoint)[key]
    assert after["state"][0]["step"] == 2 * before["state"][0]["step"]
    third, callbacks = train(backend, tmp_path / "c", 2, start_from("warm-start", second.final_checkpoint))
    assert callbacks.iterations == [0, 1]
    assert load(third.final_checkpoint)[key]["state"][0]["step"] == 2 / 3 * before["state"][0]["step"]


def test_a_checkpoint_that_does_not_fit_is_refused_before_anything_is_tracked(tmp_path: Path) -> None:
    paths = {name: train(name, tmp_path / name, 1)[0].final_checkpoint for name in LEARNERS}
    for backend, other in (("rsl_rl", "skrl"), ("skrl", "rsl_rl")):
        with pytest.raises(UsageError) as caught:
            train(backend, tmp_path / "x", 2, start_from("resume", paths[other]))
        assert caught.value.hint == f"--backend {other}"
        wider = NativeMass()
        wider.observation_sizes = {"policy": 9}
        with pytest.raises(UsageError, match=r"is 4-8-2, this task's is 9-8-2"):
            train(backend, tmp_path / "y", 2, start_from("resume", paths[backend]), env=wider)
    assert not (tmp_path / "x").exists()


def test_what_is_no_number_ends_the_training_with_its_iteration(backend: str, tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match="stopped being finite in iteration 2"):
        train(backend, tmp_path, 20, env=NativeMass(nan_after=4 * STEPS * 2 + 4))


def test_networks_are_understood_as_older_releases_have_them() -> None:
    older = {
        "empirical_normalization": {},
        "policy": {
            "class_name": "ActorCritic",
            "actor_hidden_dims": [32, 16],
            "critic_hidden_dims": [64],
            "activation": "elu",
            "actor_obs_normalization": True,
            "critic_obs_normalization": {},
        },
        "obs_groups": {"policy": ["policy", "scan"], "critic": ["privileged"]},
    }
    actor, critic = (rsl_rl_native.network_of(older, name) for name in ("actor", "critic"))
    assert (actor.hidden, actor.normalized, actor.groups) == ((32, 16), True, ("policy", "scan"))
    assert (critic.hidden, critic.normalized, critic.groups) == ((64,), False, ("privileged",))
    recurrent = {**older, "policy": {**older["policy"], "class_name": "ActorCriticRecurrent"}}
    assert not rsl_rl_native.network_of(recurrent, "actor").plain
