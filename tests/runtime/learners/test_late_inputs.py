"""Inputs that come in late: their weights are zero at first, stay so as long as asked, and then learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from gaitway_runtime.spec.contract import ObservationTerm, PolicyContract
from gaitway_runtime.spec.errors import UsageError

from tests.fakes.mass_env import DoubleIntegrator
from tests.runtime.learners.recording import RecordingCallbacks, resume_with_state
from tests.runtime.learners.test_rsl_rl import load, same, train

LATE = "agent.late_inputs=['scan']"
STEPS = 4 * 8
"""Environment steps of an iteration."""


class TwoTerms(DoubleIntegrator):
    """The task with a position and a scan as its observation."""

    @property
    def contract(self) -> PolicyContract:
        parts = (ObservationTerm(name="pos", start=0, stop=1), ObservationTerm(name="scan", start=1, stop=4))
        return replace(super().contract, observations=parts)


def first_weights(checkpoint: Path) -> list[torch.Tensor]:
    return [load(checkpoint)[f"{network}_state_dict"]["mlp.0.weight"] for network in ("actor", "critic")]


def test_late_inputs_have_no_say_at_first(tmp_path: Path) -> None:
    env = TwoTerms(4, critic=True)
    frozen = ("agent.algorithm.learning_rate=0", "agent.algorithm.schedule=fixed")
    outcome, _ = train(tmp_path / "frozen", 1, LATE, *frozen, env=env)
    for first in first_weights(outcome.final_checkpoint):
        assert (first[:, 1:4] == 0.0).all() and (first[:, 0] != 0.0).all()
    outcome, _ = train(tmp_path / "learning", 1, LATE, env=env)
    assert (first_weights(outcome.final_checkpoint)[0][:, 1:] != 0.0).any()
    with pytest.raises(UsageError, match="no observation 'height'"):
        train(tmp_path / "wrong", 1, "agent.late_inputs=['height']", env=env)


@pytest.mark.parametrize("update", ["agent.fast_update=true", "agent.fast_update=false"])
def test_they_come_in_after_as_many_steps_as_asked(tmp_path: Path, update: str) -> None:
    asked = (LATE, f"agent.late_steps={3 * STEPS}", update, "agent.torch_threads=1")
    outcome, _ = train(tmp_path, 5, *asked, env=TwoTerms(4, critic=True), save_interval=1)
    for number in range(5):
        for first in first_weights(outcome.final_checkpoint.with_name(f"model_{number}.pt")):
            assert (first[:, 1:4] != 0.0).any() == (number >= 3), "an iteration's steps come before its update"
            assert (first[:, 0] != 0.0).all()


def test_a_training_stopped_before_they_come_in_goes_on_bit_for_bit(tmp_path: Path) -> None:
    asked = (LATE, f"agent.late_steps={4 * STEPS}")
    whole, _ = train(tmp_path / "whole", 7, *asked, env=TwoTerms(4), save_interval=2)
    part = {"env": TwoTerms(4), "callbacks": RecordingCallbacks(stop_after=2)}
    stopped, _ = train(tmp_path / "part", 7, *asked, save_interval=2, **part)
    start = resume_with_state(stopped.final_checkpoint)
    resumed, _ = train(tmp_path / "rest", 7, *asked, env=TwoTerms(4), save_interval=2, start=start)
    assert same(load(resumed.final_checkpoint), load(whole.final_checkpoint))
