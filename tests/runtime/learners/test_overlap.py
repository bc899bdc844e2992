"""Playing beside the update: the same weights whichever is faster, across a resume too, and what it is off for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
import torch
from gaitway_runtime.learners import loop
from gaitway_runtime.learners.rsl_rl import embedded, overlap

from tests.fakes.mass_env import DoubleIntegrator
from tests.runtime.learners.recording import RecordingCallbacks, resume_with_state
from tests.runtime.learners.test_fast_update import weights
from tests.runtime.learners.test_rsl_rl import load, same, train

BESIDE = (
    "agent.torch_threads=2",
    "agent.fast_update=true",
    "agent.overlap=true",
    "agent.actor.hidden_dims=[16,8]",
    "agent.actor.obs_normalization=true",
)


@pytest.fixture(autouse=True)
def _two_processors(monkeypatch: pytest.MonkeyPatch) -> Any:
    before = torch.get_num_threads()
    monkeypatch.setattr(loop, "available_cpus", lambda: 2)
    yield
    torch.set_num_threads(before)


class First(ThreadPoolExecutor):
    """A pool whose work is done before the rollout beside it begins."""

    def submit(self, *work: Any) -> Future[Any]:  # type: ignore[override]
        done = super().submit(*work)
        wait((done,))
        return done


class Last:
    """A pool whose work is done once its result is waited for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def submit(self, work: Callable[[], Any]) -> Last:
        self.result = work
        return self

    def shutdown(self, *, wait: bool) -> None: ...


def alike(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.allclose(first[name], second[name], rtol=1e-4, atol=1e-6) for name in first)


@pytest.mark.parametrize(
    "settings",
    [(), ("agent.algorithm.use_mixed_precision=true", "agent.mirror=true", "agent.symmetric=true")],
    ids=["plain", "bfloat16, symmetric"],
)
def test_the_weights_are_the_same_whichever_is_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: tuple[str, ...]
) -> None:
    monkeypatch.setattr(embedded, "obstacle_to_bfloat16", lambda: "")
    found = []
    for name, pool in (("beside", ThreadPoolExecutor), ("first", First), ("last", Last)):
        monkeypatch.setattr(overlap, "ThreadPoolExecutor", pool)
        outcome, callbacks = train(tmp_path / name, 6, *BESIDE, *settings, env=DoubleIntegrator(64))
        found.append((load(outcome.final_checkpoint), callbacks.metrics[-1]["Loss/value"]))
    (learnt, loss), *others = found
    assert all(same(learnt, other) and loss == told for other, told in others)


def test_only_what_is_played_is_an_iteration_old_and_losses_are_told_an_iteration_later(tmp_path: Path) -> None:
    plain, told = train(tmp_path / "plain", 3, *BESIDE, "agent.overlap=false", save_interval=1)
    stale, told_later = train(tmp_path / "stale", 3, *BESIDE, save_interval=1)
    folders = [outcome.final_checkpoint.parent for outcome in (plain, stale)]
    # Both first rollouts are played with the networks as they were drawn: the first is learnt from alike.
    equal = [alike(*(weights(folder / f"model_{iteration}.pt") for folder in folders)) for iteration in range(3)]
    assert equal == [True, False, False]
    assert "Loss/value" not in told_later.metrics[0]
    assert told_later.metrics[1]["Loss/value"] == pytest.approx(told.metrics[0]["Loss/value"], rel=1e-3)


def test_a_training_that_was_stopped_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole, wanted = train(tmp_path / "whole", 7, *BESIDE, save_interval=2)
    stopped, _ = train(tmp_path / "part", 7, *BESIDE, save_interval=2, callbacks=RecordingCallbacks(stop_after=3))
    start = resume_with_state(stopped.final_checkpoint)
    resumed, found = train(tmp_path / "rest", 7, *BESIDE, save_interval=2, start=start)
    assert same(load(resumed.final_checkpoint), load(whole.final_checkpoint))
    for then, now in zip(wanted.metrics[4:], found.metrics, strict=True):
        assert {name: now[name] for name in now if not name.startswith("Perf/")} == {
            name: then[name] for name in then if not name.startswith("Perf/")
        }


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("agent.overlap=true", "the fast update, playing beside it, 2 threads"),
        ("agent.torch_threads=1", "the fast update, no playing beside it (there is one thread), 1 thread"),
        (
            "agent.fast_update=false",
            "float32, no playing beside it (that needs the fast update), 2 threads",
        ),
    ],
)
def test_the_log_says_whether_it_is_done_and_why_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, override: str, line: str
) -> None:
    caplog.set_level("INFO")
    train(tmp_path, 1, *BESIDE, override)
    assert line in caplog.text
