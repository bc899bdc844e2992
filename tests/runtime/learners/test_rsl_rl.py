import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from gaitway_runtime.learners.base import LearnerTraining, TrainingOutcome, TrainingStart
from gaitway_runtime.learners.rsl_rl import LEARNER, embedded
from gaitway_runtime.policies.reader import read_checkpoint
from gaitway_runtime.simulators.base import Transition
from gaitway_runtime.spec.errors import JobFailed, UsageError
from gaitway_runtime.spec.job import TrainJob

from tests.fakes.mass_env import DoubleIntegrator
from tests.runtime.learners.recording import RecordingCallbacks, start_from

SMALL = (
    "agent.num_steps_per_env=8",
    "agent.actor.hidden_dims=[8]",
    "agent.critic.hidden_dims=[8]",
    "agent.algorithm.num_learning_epochs=1",
)


def job(iterations: int = 5, *overrides: str, **settings: Any) -> TrainJob:
    settings = {"save_interval": 2, "seed": 3, **settings}
    return TrainJob(
        task="Fake-Mass-v0", num_envs=4, max_iterations=iterations, overrides=(*SMALL, *overrides), **settings
    )


def train(
    folder: Path, iterations: int = 5, *overrides: str, start: TrainingStart | None = None, **settings: Any
) -> tuple[TrainingOutcome, RecordingCallbacks]:
    callbacks = settings.pop("callbacks", None) or RecordingCallbacks()
    env = settings.pop("env", None) or DoubleIntegrator(4)
    asked = job(iterations, *overrides, **settings)
    training = LearnerTraining(job=asked, env=env, output_dir=folder, start=start or TrainingStart())
    LEARNER.check(training)
    return LEARNER.train(training, callbacks, {"run_id": "run-1"}), callbacks


def check(asked: TrainJob, env: DoubleIntegrator, start: TrainingStart) -> None:
    LEARNER.check(LearnerTraining(job=asked, env=env, output_dir=Path(), start=start))


def load(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def test_every_iteration_is_told_and_every_interval_saved(tmp_path: Path) -> None:
    outcome, callbacks = train(tmp_path, 6)
    assert (outcome.iterations, outcome.final_iteration, outcome.stopped) == (6, 5, False)
    assert outcome.final_checkpoint == tmp_path / "checkpoints" / "model_5.pt"
    assert outcome.steps == 6 * 8 * 4
    assert callbacks.iterations == [0, 1, 2, 3, 4, 5]
    assert callbacks.totals == {6}
    assert callbacks.steps[-1] == outcome.steps
    assert callbacks.checkpoints == [("model_0.pt", 0), ("model_2.pt", 2), ("model_4.pt", 4), ("model_5.pt", 5)]
    names = [name for name, _ in callbacks.checkpoints]
    assert sorted(path.name for path in (tmp_path / "checkpoints").glob("*.pt")) == names
    tags = {"Loss/value", "Loss/surrogate", "Loss/learning_rate", "Perf/total_fps", "Policy/mean_std"}
    assert tags <= callbacks.metrics[-1].keys()


def test_a_last_iteration_that_is_also_an_interval_is_saved_once(tmp_path: Path) -> None:
    _, callbacks = train(tmp_path, 3)
    assert callbacks.checkpoints == [("model_0.pt", 0), ("model_2.pt", 2)]


def test_the_reported_reward_is_the_tasks_own_without_the_shaping(tmp_path: Path) -> None:
    env = DoubleIntegrator(4)
    env.max_episode_length = 8
    _, callbacks = train(tmp_path, 3, "agent.init_at_random_ep_len=false", env=env)
    seen = callbacks.metrics[0]
    assert seen["Train/mean_reward"] == pytest.approx(seen["Episode_Reward/near"], rel=1e-4)
    assert seen["Train/mean_episode_length"] == 8


def test_the_same_seed_gives_the_same_weights_bit_for_bit_and_another_seed_does_not(tmp_path: Path) -> None:
    first, _ = train(tmp_path / "a", 4, "agent.mirror=true", env=DoubleIntegrator(4, critic=True))
    second, _ = train(tmp_path / "b", 4, "agent.mirror=true", env=DoubleIntegrator(4, critic=True))
    other, _ = train(tmp_path / "c", 4, "agent.mirror=true", env=DoubleIntegrator(4, critic=True), seed=4)
    assert same(load(first.final_checkpoint), load(second.final_checkpoint))
    assert not same(load(first.final_checkpoint), load(other.final_checkpoint))


def test_bfloat16_products_leave_the_weights_and_the_first_ratio_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ratios: list[float] = []
    maximum = torch.max

    def note(first: torch.Tensor, *rest: Any, **more: Any) -> Any:
        # PPO's surrogate is the larger of two products with the ratio of new to old probabilities.
        if rest and not ratios:
            ratios.append((first - rest[0]).abs().max().item())
        return maximum(first, *rest, **more)

    monkeypatch.setattr(embedded, "obstacle_to_bfloat16", lambda: "")
    monkeypatch.setattr(torch, "max", note)
    own = ("agent.fast_update=false", "agent.algorithm.clip_param=0")
    outcome, _ = train(tmp_path / "mixed", 2, *own, "agent.algorithm.use_mixed_precision=true")
    # With a clip of nothing the two differ by how far the ratio is from one.
    assert ratios == [0.0]
    weights = load(outcome.final_checkpoint)["actor_state_dict"]
    assert {value.dtype for name, value in weights.items() if name.startswith("mlp")} == {torch.float32}
    plain, _ = train(tmp_path / "plain", 2, *own)
    assert not same(weights, load(plain.final_checkpoint)["actor_state_dict"]), "it makes no difference"


def test_a_quiet_start_begins_with_actions_of_about_zero(tmp_path: Path) -> None:
    frozen = ("agent.algorithm.learning_rate=0", "agent.algorithm.schedule=fixed")
    outcome, _ = train(tmp_path, 1, "agent.quiet_start=true", *frozen)
    weights = load(outcome.final_checkpoint)["actor_state_dict"]
    last = max(name for name in weights if name.startswith("mlp") and name.endswith("weight"))
    assert 0.0 < weights[last].abs().max() < 0.01 and not weights[last.replace("weight", "bias")].any()


def test_the_checkpoint_says_what_it_is(tmp_path: Path) -> None:
    outcome, _ = train(tmp_path, 2, "agent.actor.activation=tanh")
    marks = load(outcome.final_checkpoint)["infos"]["gaitway"]
    assert (marks["task"], marks["iteration"], marks["env_steps"], marks["run_id"]) == ("Fake-Mass-v0", 1, 64, "run-1")
    policy = read_checkpoint(outcome.final_checkpoint)
    assert (policy.observation_size, policy.action_size) == (4, 2)
    agent = yaml.safe_load((tmp_path / "params" / "agent.yaml").read_text())
    assert agent["actor"]["activation"] == "tanh"
    assert agent["actor"]["hidden_dims"] == [8]
    assert (agent["seed"], agent["max_iterations"], agent["save_interval"]) == (3, 2, 2)


def test_resume_continues_the_numbering_the_optimiser_and_the_learning_rate(tmp_path: Path) -> None:
    first, _ = train(tmp_path / "a", 3)
    before = load(first.final_checkpoint)
    loaded: dict[str, Any] = {}

    class Looking(DoubleIntegrator):
        """Sees the runner's state as the first iteration begins, through the weights it acts with."""

        def step(self, actions: Any) -> Any:
            loaded.setdefault("env_steps", self.env_steps)
            return super().step(actions)

    second, callbacks = train(tmp_path / "b", 6, start=start_from("resume", first.final_checkpoint), env=Looking(4))
    assert callbacks.iterations == [3, 4, 5]
    assert (second.iterations, second.final_checkpoint.name) == (6, "model_5.pt")
    assert second.steps == 3 * 8 * 4
    assert loaded["env_steps"] == before["infos"]["gaitway"]["env_steps"] == 96
    assert callbacks.steps[-1] == 192
    assert [name for name, _ in callbacks.checkpoints] == ["model_4.pt", "model_5.pt"]
    after = load(second.final_checkpoint)["optimizer_state_dict"]["state"][0]
    assert float(after["step"]) == 2 * float(before["optimizer_state_dict"]["state"][0]["step"])


def test_resume_takes_the_adaptive_learning_rate_over(tmp_path: Path) -> None:
    first, _ = train(tmp_path / "a", 2)
    edited = load(first.final_checkpoint)
    edited["optimizer_state_dict"]["param_groups"][0]["lr"] = 1.25e-4
    torch.save(edited, first.final_checkpoint)
    # A divergence that is never reached nor undercut leaves the rate as it was loaded.
    _, callbacks = train(
        tmp_path / "b",
        3,
        "agent.algorithm.schedule=fixed",
        start=start_from("resume", first.final_checkpoint),
    )
    assert callbacks.metrics[0]["Loss/learning_rate"] == 1.25e-4


def test_warm_start_takes_weights_and_normaliser_and_nothing_else(tmp_path: Path) -> None:
    first, _ = train(tmp_path / "a", 4)
    before = load(first.final_checkpoint)
    frozen = ("agent.algorithm.learning_rate=0", "agent.algorithm.schedule=fixed")
    second, callbacks = train(tmp_path / "b", 1, *frozen, start=start_from("warm-start", first.final_checkpoint))
    after = load(second.final_checkpoint)
    assert callbacks.iterations == [0]
    assert callbacks.steps == [32]
    for name, values in before["actor_state_dict"].items():
        if "normalizer" not in name:
            assert torch.equal(values, after["actor_state_dict"][name]), name
    count = "obs_normalizer.count"
    assert after["actor_state_dict"][count] == before["actor_state_dict"][count] + 32
    per_iteration = before["optimizer_state_dict"]["state"][0]["step"] / 4
    assert after["optimizer_state_dict"]["state"][0]["step"] == per_iteration


def older_layout(content: dict[str, Any], *, statistics_inside: bool) -> dict[str, Any]:
    """What rsl_rl 3.x (statistics among the weights) or 2.x (beside them) would have written."""
    state, beside = {}, {}
    for name, entry in (("actor", "obs_norm_state_dict"), ("critic", "privileged_obs_norm_state_dict")):
        for key, value in content[f"{name}_state_dict"].items():
            if key.startswith("mlp."):
                state[key.replace("mlp.", f"{name}.")] = value
            elif key.startswith("obs_normalizer.") and statistics_inside:
                state[key.replace("obs_normalizer.", f"{name}_obs_normalizer.")] = value
            elif key.startswith("obs_normalizer."):
                beside.setdefault(entry, {})[key.removeprefix("obs_normalizer.")] = value
            else:
                state["std"] = value.exp() if "log_std" in key else value
    return {"model_state_dict": state, **beside, "optimizer_state_dict": {}, "iter": 299, "infos": None}


@pytest.mark.parametrize("statistics_inside", [True, False])
def test_a_warm_start_takes_the_weights_of_older_releases(statistics_inside: bool, tmp_path: Path) -> None:
    first, _ = train(tmp_path / "a", 2)
    before = load(first.final_checkpoint)
    path = tmp_path / "model_299.pt"
    torch.save(older_layout(before, statistics_inside=statistics_inside), path)
    frozen = ("agent.algorithm.learning_rate=0", "agent.algorithm.schedule=fixed")
    second, callbacks = train(tmp_path / "b", 1, *frozen, start=start_from("warm-start", path))
    after = load(second.final_checkpoint)
    assert callbacks.iterations == [0]
    for network in ("actor_state_dict", "critic_state_dict"):
        for name, values in before[network].items():
            if "normalizer" not in name:
                torch.testing.assert_close(values, after[network][name])
    count = "obs_normalizer.count"
    assert after["actor_state_dict"][count] == before["actor_state_dict"][count] + 32
    with pytest.raises(UsageError, match="cannot continue from") as refused:
        check(job(), DoubleIntegrator(4), start_from("resume", path))
    assert "--checkpoint-mode warm-start" in (refused.value.hint or "")


def test_a_policy_whose_critic_saw_something_else_starts_with_a_new_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As a policy of Isaac Lab's does, whose critic sees no more than the policy."""
    first, _ = train(tmp_path / "a", 2)
    before = load(first.final_checkpoint)
    critic = before["critic_state_dict"]
    for name, values in critic.items():
        if values.ndim == 2 and values.shape[1] == 4:
            critic[name] = torch.cat((values, values[:, :3]), dim=1)
    path = tmp_path / "model_299.pt"
    torch.save(older_layout(before, statistics_inside=True), path)
    frozen = ("agent.algorithm.learning_rate=0", "agent.algorithm.schedule=fixed")
    caplog.set_level("INFO")
    second, _ = train(tmp_path / "b", 1, *frozen, start=start_from("warm-start", path))
    after = load(second.final_checkpoint)
    assert "the critic starts anew" in caplog.text
    for name, values in before["actor_state_dict"].items():
        if "normalizer" not in name:
            torch.testing.assert_close(values, after["actor_state_dict"][name])
    assert after["critic_state_dict"]["mlp.0.weight"].shape[1] == 4
    torch.save(before, path)
    with pytest.raises(UsageError, match="critic is 7-"):
        check(job(), DoubleIntegrator(4), start_from("resume", path))


def test_a_resume_that_has_nothing_left_to_do_succeeds_with_the_checkpoint_it_was_given(tmp_path: Path) -> None:
    first, _ = train(tmp_path / "a", 5)
    second, callbacks = train(tmp_path / "b", 5, start=start_from("resume", first.final_checkpoint))
    assert (second.iterations, second.steps, second.stopped) == (5, 0, False)
    assert second.final_checkpoint == tmp_path / "b" / "checkpoints" / "model_4.pt"
    assert same(load(second.final_checkpoint), load(first.final_checkpoint))
    assert callbacks.iterations == []


def test_a_stop_saves_the_iteration_that_was_done(tmp_path: Path) -> None:
    outcome, callbacks = train(tmp_path, 100, callbacks=RecordingCallbacks(stop_after=3))
    assert (outcome.iterations, outcome.final_checkpoint.name, outcome.stopped) == (4, "model_3.pt", True)
    assert callbacks.checkpoints[-1] == ("model_3.pt", 3)


def test_a_stop_in_the_last_iteration_stops_nothing(tmp_path: Path) -> None:
    outcome, _ = train(tmp_path, 4, callbacks=RecordingCallbacks(stop_after=3))
    assert (outcome.iterations, outcome.stopped) == (4, False)


def test_an_observation_that_is_no_number_ends_the_training_with_its_iteration(tmp_path: Path) -> None:
    with pytest.raises(JobFailed) as caught:
        train(tmp_path, 20, env=DoubleIntegrator(4, nan_after=4 * 8 * 3 + 4))
    assert caught.value.message == "the observations 'policy' stopped being finite in iteration 3"
    assert caught.value.hint is not None and "model_2.pt" in caught.value.hint
    assert (tmp_path / "checkpoints" / "model_2.pt").exists()


def test_a_task_reward_that_is_no_number_ends_the_training_with_its_iteration(tmp_path: Path) -> None:
    class Broken(DoubleIntegrator):
        def step(self, actions: Any) -> Transition:
            found = super().step(actions)
            if self.env_steps > 4 * 8 * 2:
                found.task_rewards[0] = np.nan
            return found

    with pytest.raises(JobFailed, match="the task's rewards stopped being finite in iteration 2"):
        train(tmp_path, 20, env=Broken(4))


def test_a_loss_that_is_no_number_ends_the_training_and_is_never_saved(tmp_path: Path) -> None:
    with pytest.raises(JobFailed) as caught:
        train(tmp_path, 20, "agent.algorithm.entropy_coef=nan")
    assert "stopped being finite in iteration" in caught.value.message
    assert not list((tmp_path / "checkpoints").iterdir())


def test_a_checkpoint_of_another_task_is_refused_with_both_shapes(tmp_path: Path) -> None:
    first, _ = train(tmp_path, 1)
    env = DoubleIntegrator(4)
    env.observation_sizes = {"policy": 48}
    with pytest.raises(UsageError) as caught:
        check(job(), env, start_from("warm-start", first.final_checkpoint))
    assert "actor is 4-8-2, this task's is 48-8-2" in caught.value.message
    assert caught.value.source is not None and "Fake-Mass-v0" in caught.value.source


@pytest.mark.parametrize(
    ("override", "message", "hint"),
    [
        ("agent.critic.hidden_dims=[9]", "critic is 4-8-1, this task's is 4-9-1", "agent.critic.hidden_dims=[8]"),
        (
            "agent.actor.obs_normalization=false",
            "checkpoint has an observation normaliser",
            "actor.obs_normalization=true",
        ),
    ],
)
def test_a_network_of_other_size_is_refused_with_the_override_that_fits(
    tmp_path: Path, override: str, message: str, hint: str
) -> None:
    first, _ = train(tmp_path, 1)
    with pytest.raises(UsageError) as caught:
        check(job(5, override), DoubleIntegrator(4), start_from("resume", first.final_checkpoint))
    assert message in caught.value.message
    assert caught.value.hint is not None and hint in caught.value.hint


def test_a_checkpoint_without_an_optimiser_is_for_warm_starts(tmp_path: Path) -> None:
    first, _ = train(tmp_path, 1)
    content = load(first.final_checkpoint)
    del content["optimizer_state_dict"]
    torch.save(content, first.final_checkpoint)
    check(job(), DoubleIntegrator(4), start_from("warm-start", first.final_checkpoint))
    with pytest.raises(UsageError, match="cannot be resumed: it has no optimiser"):
        check(job(), DoubleIntegrator(4), start_from("resume", first.final_checkpoint))


def test_a_checkpoint_of_the_other_learner_is_refused_by_name(tmp_path: Path) -> None:
    layer = {"net_container.0.weight": torch.zeros(8, 4), "net_container.0.bias": torch.zeros(8)}
    path = tmp_path / "agent_100.pt"
    torch.save({"policy": layer, "value": layer, "optimizer": {}}, path)
    with pytest.raises(UsageError) as caught:
        check(job(), DoubleIntegrator(4), start_from("resume", path))
    assert "is of skrl" in caught.value.message
    assert caught.value.hint == "--backend skrl"


def test_an_unknown_override_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown key 'agent\.algorithm\.learning_rat'"):
        train(tmp_path, 2, "agent.algorithm.learning_rat=1")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_last_good_checkpoint_and_says_which(tmp_path: Path) -> None:
    """A real limit on the size of files stands for a full disk: writes fail in the middle of a file."""
    size = train(tmp_path / "probe", 1)[0].final_checkpoint.stat().st_size

    class Filling(RecordingCallbacks):
        def on_checkpoint(self, path: Path, iteration: int) -> None:
            super().on_checkpoint(path, iteration)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, hard))

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with pytest.raises(JobFailed) as caught:
            train(tmp_path / "run", 9, callbacks=Filling())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.message.startswith("model_2.pt cannot be saved: the disk did not take it, ")
    assert caught.value.hint is not None and "model_0.pt" in caught.value.hint
    left = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert left == ["model_0.pt", "state_0.npz"]
    assert load(tmp_path / "run" / "checkpoints" / "model_0.pt")["iter"] == 0


def test_an_activation_that_nobody_knows_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nonsense"):
        train(tmp_path, 1, "agent.actor.activation=nonsense")


def test_a_machine_without_git_and_without_a_compiler_trains(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from tests.runtime.learners.test_rsl_rl import train;"
        f"print(train(Path({str(tmp_path)!r}), 1, 'agent.fast_update=true')[0].final_iteration)"
    )
    bare = {**os.environ, "PATH": str(tmp_path), "CC": "none", "CXX": "none", "PYTHONPATH": os.pathsep.join(sys.path)}
    bare.pop("GIT_PYTHON_REFRESH", None)
    done = subprocess.run([sys.executable, "-c", code], env=bare, capture_output=True, text=True)
    assert done.stdout.split()[-1:] == ["0"], done
