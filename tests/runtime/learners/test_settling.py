"""Updates that become smaller towards the end: by how much, with either schedule, and across a resume."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from gaitway_runtime.learners.rsl_rl.settling import strength

from tests.runtime.learners.recording import RecordingCallbacks, resume_with_state
from tests.runtime.learners.test_fast_update import weights
from tests.runtime.learners.test_rsl_rl import load, same, train

SETTLES = "agent.settle=0.5"


@pytest.mark.parametrize(
    ("iteration", "share", "expected"),
    [(0, 0.0, 1.0), (99, 0.0, 1.0), (0, 0.4, 1.0), (60, 0.4, 1.0), (80, 0.4, 0.55), (100, 0.4, 0.1), (150, 0.4, 0.1)],
)
def test_the_rate_falls_to_a_tenth_over_the_last_share(iteration: int, share: float, expected: float) -> None:
    assert strength(iteration, 100, share) == pytest.approx(expected)


def distances(folder: Path, count: int) -> list[float]:
    """How far the weights went in each iteration after the first."""
    checkpoints = [weights(folder / f"model_{number}.pt") for number in range(count)]
    return [
        sum(float((after[name] - before[name]).square().sum()) for name in after if ".mlp." in f".{name}")
        for before, after in itertools.pairwise(checkpoints)
    ]


@pytest.mark.parametrize("update", ["true", "false"])
@pytest.mark.parametrize("schedule", ["fixed", "adaptive"])
def test_the_last_updates_change_little(tmp_path: Path, schedule: str, update: str) -> None:
    epochs = "agent.algorithm.num_learning_epochs=10"
    settings = (f"agent.algorithm.schedule={schedule}", f"agent.fast_update={update}", "agent.torch_threads=1", epochs)
    went = {}
    for name, asked in (("full", "agent.settle=0"), ("settling", SETTLES)):
        outcome, _ = train(tmp_path / name, 20, *settings, asked, save_interval=1)
        went[name] = distances(outcome.final_checkpoint.parent, 20)
    assert went["settling"][:8] == went["full"][:8], "nothing else changes before"
    assert sum(went["settling"][-3:]) < 0.2 * sum(went["full"][-3:])


@pytest.mark.parametrize("schedule", ["fixed", "adaptive"])
def test_a_training_stopped_while_it_settles_goes_on_bit_for_bit(tmp_path: Path, schedule: str) -> None:
    settings = (f"agent.algorithm.schedule={schedule}", SETTLES)
    whole, _ = train(tmp_path / "whole", 8, *settings, save_interval=2)
    stopped, _ = train(tmp_path / "part", 8, *settings, save_interval=2, callbacks=RecordingCallbacks(stop_after=5))
    start = resume_with_state(stopped.final_checkpoint)
    resumed, _ = train(tmp_path / "rest", 8, *settings, save_interval=2, start=start)
    assert same(load(resumed.final_checkpoint), load(whole.final_checkpoint))


def test_playing_beside_the_update_settles_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gaitway_runtime.learners.loop.available_cpus", lambda: 2)
    before = torch.get_num_threads()
    try:
        beside = ("agent.torch_threads=2", "agent.fast_update=true", "agent.overlap=true", SETTLES)
        outcomes = [train(tmp_path / name, 6, *beside)[0] for name in ("first", "second")]
    finally:
        torch.set_num_threads(before)
    assert same(*(load(outcome.final_checkpoint) for outcome in outcomes))
