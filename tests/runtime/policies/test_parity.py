"""Parity: an export that disagrees is caught, at every batch size and over time."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from gaitway_runtime.policies.network import Policy
from gaitway_runtime.policies.parity import ParityReport, measure, observations_from_statistics
from gaitway_runtime.policies.reader import read_checkpoint
from gaitway_runtime.policies.sessions import PolicySession, checkpoint_session
from gaitway_runtime.spec.errors import JobFailed

from .samples import CHECKPOINTS, observations


def read(case: str) -> Policy:
    return read_checkpoint(CHECKPOINTS / case / "model.pt")


class Wrong(PolicySession):
    """A session with a fault: ``spoil`` changes its actions."""

    format, provider, contract, threads = "onnx", "test", None, 1

    def __init__(self, policy: Policy, spoil) -> None:
        super().__init__(policy.network)
        self.inner, self.spoil = checkpoint_session(policy), spoil

    def _run(self, observations, state):
        actions, state = self.inner._run(observations, state)
        return self.spoil(actions), state


def test_the_checkpoint_agrees_with_itself_exactly() -> None:
    policy = read("rsl_rl-5.5.1-normalized")
    report = measure(policy, {"jit": checkpoint_session(policy)}, observations())
    assert report.passed
    assert [(result.batch_size, result.max_abs_error) for result in report.results] == [(1, 0.0), (4, 0.0), (64, 0.0)]
    assert [result.comparisons for result in report.results] == [1000, 1000, 1024]
    report.require()


@pytest.mark.parametrize("error", [3e-5, 0.1, float("nan"), float("inf")])
def test_an_error_in_one_action_fails_the_job(error: float) -> None:
    policy = read("rsl_rl-5.5.1-normalized")

    def spoil(actions):
        actions = actions.copy()
        actions[0, 1] += np.float32(error)
        return actions

    report = measure(policy, {"onnx": Wrong(policy, spoil)}, observations())
    assert not report.passed
    with pytest.raises(JobFailed, match="exported onnx policy does not compute what the checkpoint does"):
        report.require()
    json.dumps(report.as_dict(), allow_nan=False)


def test_an_export_that_is_only_right_for_one_world_is_caught() -> None:
    policy = read("rsl_rl-5.5.1-normalized")
    report = measure(
        policy, {"onnx": Wrong(policy, lambda actions: actions[:1].repeat(len(actions), 0))}, observations()
    )
    assert [result.agrees for result in report.results] == [True, False, False]


@pytest.mark.parametrize("case", ["rsl_rl-5.5.1-lstm", "rsl_rl-5.5.1-gru"])
@pytest.mark.parametrize("recorded", [True, False])
def test_an_export_that_forgets_its_state_is_caught(case: str, recorded: bool) -> None:
    policy = read(case)
    session = checkpoint_session(policy)
    forgetful = Wrong(policy, lambda actions: actions)
    forgetful._run = lambda obs, state: (session._run(obs, tuple(np.zeros_like(s) for s in state))[0], state)
    values = observations().reshape(100, 10, 12) if recorded else observations()
    report = measure(policy, {"onnx": forgetful}, values)
    assert [result.agrees for result in report.results] == [False] * 3


def test_the_tolerance_grows_with_the_actions_and_not_with_the_error() -> None:
    policy = read("rsl_rl-2.3.3")
    with torch.no_grad():
        policy.module.trunk[-1].weight *= 1000
    spoiled = measure(policy, {"onnx": Wrong(policy, lambda a: a + np.float32(2e-3))}, observations())
    assert spoiled.passed and spoiled.results[0].max_abs_error > 1e-3
    assert not measure(policy, {"onnx": Wrong(policy, lambda a: a + np.float32(0.1))}, observations()).passed


def test_no_comparison_is_no_pass() -> None:
    report = ParityReport("recorded", ())
    assert not report.passed
    with pytest.raises(JobFailed, match="no export was compared"):
        report.require()


def test_one_formats_fault_does_not_hide_the_other() -> None:
    policy = read("rsl_rl-5.5.1-normalized")
    sessions = {"onnx": Wrong(policy, lambda a: a + 1), "jit": checkpoint_session(policy)}
    report = measure(policy, sessions, observations())
    assert not report.passed
    assert all(result.agrees == (result.format == "jit") for result in report.results)
    assert report.as_dict()["max_abs_error"] == pytest.approx(1, abs=1e-4)


def test_drawn_observations_follow_the_normalisers_statistics() -> None:
    policy = read("skrl-2.1.1-shared")
    assert policy.normalizer is not None
    drawn = observations_from_statistics(policy, 20_000)
    assert drawn.dtype == np.float32 and drawn.shape == (20_000, 12)
    np.testing.assert_allclose(drawn.mean(0), policy.normalizer.mean, atol=0.1)
    np.testing.assert_allclose(drawn.std(0), policy.normalizer.std, rtol=0.05)
    assert np.array_equal(drawn, observations_from_statistics(policy, 20_000))
    plain = read("rsl_rl-2.3.3")
    assert observations_from_statistics(plain, 20_000).std() == pytest.approx(1, abs=0.02)


def test_the_report_keeps_what_a_reader_asks_for() -> None:
    policy = read("rsl_rl-5.5.1-normalized")
    shown = measure(policy, {"jit": checkpoint_session(policy)}, observations(), source="drawn").as_dict()
    assert shown["passed"] is True and shown["observations"] == "drawn" and shown["tolerance"] == 1e-5
    assert [row["batch_size"] for row in shown["results"]] == [1, 4, 64]
    assert set(
        dataclasses.asdict(measure(policy, {"jit": checkpoint_session(policy)}, observations()).results[0])
    ) <= set(shown["results"][0])
