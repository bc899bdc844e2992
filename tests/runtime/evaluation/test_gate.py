import dataclasses
import math

import pytest
from gaitway_runtime.evaluation.gate import judge, wilson_interval
from gaitway_runtime.evaluation.metrics import RolloutMetrics, summarize
from gaitway_runtime.evaluation.rollout import Ending, Episode, run_episodes

from tests.fakes.env import FakeEnv, Obey

FLAT = "Isaac-Velocity-Flat-Anymal-C-v0"


def episode(ending: Ending = Ending.TIME_OUT, last: dict[str, float] | None = None, **means: float) -> Episode:
    return Episode(world=0, steps=1000, reward=20.0, ending=ending, means=means, last=last or means)


def metrics(**values: float) -> RolloutMetrics:
    rollout = run_episodes(FakeEnv(1), Obey(), 1, seed=0)
    base = summarize(rollout, format="checkpoint", simulator="fake")
    own = {key: values.pop(key) for key in list(values) if hasattr(base, key)}
    return dataclasses.replace(base, measurements=values, **own)


GOOD = dict(mean_reward=24.0, survival_rate=1.0, error_vel_xy=0.07, error_vel_yaw=0.06)


def test_a_time_out_within_bounds_is_a_success_for_a_walking_robot() -> None:
    verdict = judge(FLAT, [episode(error_vel_xy=0.07, error_vel_yaw=0.06)] * 10, metrics(**GOOD))
    assert verdict.passed
    assert (verdict.successes, verdict.episodes) == (10, 10)
    assert verdict.reasons == ()


def test_a_fall_is_none_whatever_the_reward() -> None:
    fallen = episode(Ending.TERMINATED, error_vel_xy=0.0, error_vel_yaw=0.0)
    verdict = judge(FLAT, [fallen] * 10, metrics(**GOOD))
    assert not verdict.passed
    assert "0% of the episodes succeeded, 70% are required" in verdict.reasons


def test_standing_still_while_asked_to_walk_is_no_success() -> None:
    standing = episode(error_vel_xy=0.78, error_vel_yaw=0.4)
    verdict = judge(FLAT, [standing] * 10, metrics(**{**GOOD, "error_vel_xy": 0.78, "error_vel_yaw": 0.4}))
    assert verdict.successes == 0
    assert any("error_vel_xy" in reason and "0.78" in reason for reason in verdict.reasons)


def test_diverged_worlds_are_in_neither_number() -> None:
    episodes = [*[episode(error_vel_xy=0.1, error_vel_yaw=0.1)] * 9, episode(Ending.DIVERGED)]
    verdict = judge(FLAT, episodes, metrics(**GOOD))
    assert (verdict.successes, verdict.episodes, verdict.passed) == (9, 9, True)


def test_a_policy_under_which_the_simulation_keeps_diverging_does_not_pass() -> None:
    episodes = [*[episode(error_vel_xy=0.1, error_vel_yaw=0.1)] * 8, *[episode(Ending.DIVERGED)] * 2]
    verdict = judge(FLAT, episodes, metrics(**GOOD))
    assert (verdict.success_rate, verdict.passed) == (1.0, False)
    assert verdict.reasons == ("2 of 10 episodes were lost to a diverged simulation, at most 10% may be",)


def test_an_unmeasured_bound_never_passes() -> None:
    verdict = judge(FLAT, [episode()] * 5, metrics(mean_reward=24.0, survival_rate=1.0))
    assert not verdict.passed
    assert any("not measured" in reason for reason in verdict.reasons)


def test_no_episode_is_no_pass() -> None:
    verdict = judge("Some-Task-v0", [], metrics())
    assert not verdict.passed
    assert verdict.success_rate is None


@pytest.mark.parametrize(("speed", "passed"), [(4.0, True), (2.0, False), (-4.0, False)])
def test_the_ant_must_run_forward(speed: float, passed: bool) -> None:
    verdict = judge("Isaac-Ant-v0", [episode(forward_speed=speed)] * 4, metrics(mean_forward_speed=speed))
    assert verdict.passed is passed


@pytest.mark.parametrize(("angle", "position", "success"), [(-0.1, 0.5, 1), (3.1, 0.5, 0), (0.0, -3.5, 0)])
def test_the_pole_must_be_upright_and_the_cart_on_its_rail_at_the_end(
    angle: float, position: float, success: int
) -> None:
    last = {"pole_angle": angle, "cart_position": position}
    ended = episode(last=last, pole_angle=0.0, cart_position=0.0)
    verdict = judge("Isaac-Cartpole-v0", [ended], metrics(mean_reward=4.8, mean_episode_length=300))
    assert verdict.successes == success


@pytest.mark.parametrize(("away", "turned", "success"), [(0.01, 0.1, 1), (0.01, 1.6, 0), (0.03, 0.1, 0)])
def test_the_hand_must_end_where_it_was_to_go_and_turned_as_asked(away: float, turned: float, success: int) -> None:
    ended = episode(position_error=away, orientation_error=turned)
    assert judge("Isaac-Reach-Franka-v0", [ended], metrics()).successes == success


def test_the_callers_threshold_wins_over_the_tasks() -> None:
    mixed = [episode()] * 8 + [episode(Ending.TERMINATED)] * 2
    assert judge("Some-Task-v0", mixed, metrics(), success_threshold=0.8).passed
    assert not judge("Some-Task-v0", mixed, metrics(), success_threshold=0.81).passed


def test_the_interval_is_wilsons() -> None:
    # Reference: scipy.stats.binomtest(8, 10).proportion_ci(method="wilson").
    assert wilson_interval(8, 10) == pytest.approx((0.4901624715366392, 0.9433178485456247), abs=1e-9)
    low, high = wilson_interval(100, 100)
    assert high == pytest.approx(1.0) and 0.96 < low < 0.97
    assert all(math.isfinite(bound) for bound in wilson_interval(0, 1))
