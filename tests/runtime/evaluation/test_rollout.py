import numpy as np
import pytest
from gaitway_runtime.evaluation.metrics import summarize
from gaitway_runtime.evaluation.rollout import Ending, episode_quotas, run_episodes, run_steps

from tests.fakes.env import FakeEnv, Obey


def test_every_world_contributes_its_first_episodes_however_short_its_neighbours_are() -> None:
    env = FakeEnv(2, lengths=[[-5], [50]])
    rollout = run_episodes(env, Obey(), 6, seed=0)
    by_world = {world: [e.steps for e in rollout.episodes if e.world == world] for world in (0, 1)}
    assert by_world == {0: [5, 5, 5], 1: [50, 50, 50]}
    assert summarize(rollout, format="onnx", simulator="fake").survival_rate == 0.5


def test_what_happens_after_a_worlds_last_counted_episode_is_in_no_mean() -> None:
    env = FakeEnv(2, lengths=[[-5, 20], [20]])
    rollout = run_episodes(env, Obey(), 2, seed=0)
    assert rollout.steps == 20
    assert rollout.counted_steps == 5 + 20


@pytest.mark.parametrize(("episodes", "worlds"), [(100, 64), (10, 64), (7, 3), (64, 64)])
def test_the_number_of_episodes_is_exact(episodes: int, worlds: int) -> None:
    quotas = episode_quotas(episodes, worlds)
    assert quotas.sum() == episodes
    assert quotas.max() - quotas.min() <= 1


def test_unfinished_episodes_are_counted_apart_and_a_reward_is_not_made_up() -> None:
    metrics = summarize(run_steps(FakeEnv(3), Obey(), 20, seed=0), format="jit", simulator="fake").document()
    assert metrics["total_episodes"] == 0
    assert metrics["unfinished_episodes"] == 3
    assert metrics["mean_reward"] is None
    assert metrics["mean_episode_reward"] is None
    assert "lasts 50" in metrics["reward_reason"]
    assert metrics["reward_per_second"] > 0.5


def test_a_diverged_world_counts_in_neither_direction() -> None:
    env = FakeEnv(2, max_episode_length=10, diverge_at=[(4, 1)])
    rollout = run_steps(env, Obey(), 10, seed=0)
    metrics = summarize(rollout, format="onnx", simulator="fake")
    assert [e.ending for e in rollout.episodes] == [Ending.DIVERGED, Ending.TIME_OUT]
    assert (metrics.total_episodes, metrics.diverged_episodes, metrics.unfinished_episodes) == (1, 1, 1)
    assert metrics.survival_rate == 1.0
    assert np.isfinite(metrics.value("error_vel_xy"))


def test_a_world_that_ended_starts_with_a_fresh_recurrent_state() -> None:
    actor = Obey()
    run_steps(FakeEnv(2, lengths=[[-3], [50]]), actor, 4, seed=0)
    whole, after_fall = actor.resets
    assert whole is None
    assert after_fall.tolist() == [True, False]


def test_the_record_lines_up_observation_action_and_measurement() -> None:
    rollout = run_steps(FakeEnv(6), Obey(), 8, seed=3, snapshots=5)
    recording = rollout.recording
    assert recording.observations.shape == (8, 4, 4)
    assert recording.snapshots.shape == (5, 2)
    np.testing.assert_array_equal(recording.actions, recording.observations[..., 2:4])
    np.testing.assert_array_equal(recording.measurements["command_vx"], recording.observations[..., 2])


def test_the_same_seed_plays_the_same() -> None:
    first, second = (run_steps(FakeEnv(), Obey(0.5), 30, seed=9) for _ in range(2))
    np.testing.assert_array_equal(first.recording.observations, second.recording.observations)
    assert first.means == second.means


def test_a_rollout_can_be_stopped_from_outside() -> None:
    def stop(done: int, _: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_steps(FakeEnv(), Obey(), 100, seed=0, on_step=stop)
