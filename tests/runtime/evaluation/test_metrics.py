import dataclasses
import json

import numpy as np
from gaitway_runtime.evaluation.metrics import RolloutMetrics, finite, inference_time, summarize
from gaitway_runtime.evaluation.rollout import run_steps

from tests.fakes.env import FakeEnv, Obey

EARLIER_KEYS = {
    *("format", "task", "num_envs", "total_steps", "total_episodes", "throughput_steps_per_sec"),
    *(f"{statistic}_episode_reward" for statistic in ("mean", "std", "min", "max")),
    *(f"{statistic}_inference_time_ms" for statistic in ("mean", "std", "min", "max", "p50", "p95", "p99")),
}


def played(steps: int = 60, **options: object) -> RolloutMetrics:
    rollout = run_steps(FakeEnv(4, **options), Obey(), steps, seed=1)
    timing = inference_time(rollout.act_seconds, batch=4, provider="numpy", threads=1)
    return summarize(rollout, format="onnx", simulator="fake 1", inference=timing)


def test_the_document_has_the_keys_that_earlier_tools_wrote() -> None:
    document = played().document()
    assert document.keys() >= EARLIER_KEYS
    assert document["mean_episode_reward"] == document["mean_reward"] > 0
    assert document["total_steps"] == 60
    assert document["env_steps"] == 240


def test_the_document_is_json_without_nan() -> None:
    broken = dataclasses.replace(played(), measurements={"error_vel_xy": float("nan")}, mean_reward=float("inf"))
    document = json.loads(json.dumps(broken.document(), allow_nan=False))
    assert document["error_vel_xy"] is None
    assert document["mean_reward"] is None


def test_a_measurement_cannot_overwrite_a_metric() -> None:
    clash = dataclasses.replace(played(), measurements={"mean_reward": 1e9})
    assert clash.document()["mean_reward"] < 10


def test_the_warm_up_is_left_out_of_the_inference_time() -> None:
    timing = inference_time([1.0] * 10 + [0.002] * 90, batch=4, provider="numpy", threads=1)
    assert timing is not None
    assert timing.warm_up_calls == 10
    assert timing.calls == 90
    np.testing.assert_allclose([timing.mean_ms, timing.max_ms, timing.p99_ms], 2.0)


def test_one_call_is_too_few_to_say_anything_about_speed_without_failing() -> None:
    assert inference_time([], batch=1, provider="numpy", threads=1) is None
    timing = inference_time([0.001], batch=1, provider="numpy", threads=1)
    assert timing is not None and timing.calls == 1


def test_reward_terms_add_up_to_the_reward() -> None:
    metrics = played()
    np.testing.assert_allclose(sum(metrics.reward_terms.values()), metrics.reward_per_second, rtol=1e-6)


def test_every_number_that_is_not_finite_becomes_null_however_deep() -> None:
    assert finite({"a": [float("nan"), {"b": (1.0, float("-inf"))}], "c": True}) == {
        "a": [None, {"b": [1.0, None]}],
        "c": True,
    }
