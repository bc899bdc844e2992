"""The fast update: rsl_rl's steps but for rounding, whatever the threads; and what is done where it cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from gaitway_runtime.learners import loop
from gaitway_runtime.learners.rsl_rl import embedded
from gaitway_runtime.process import machine as this_machine

from tests.fakes.mass_env import DoubleIntegrator
from tests.runtime.learners.recording import RecordingCallbacks
from tests.runtime.learners.test_rsl_rl import load, same, train

FAST = (
    "agent.torch_threads=1",
    "agent.fast_update=true",
    "agent.actor.hidden_dims=[16,8]",
    "agent.algorithm.num_learning_epochs=2",
    "agent.actor.obs_normalization=true",
)
LOG_STD = ("agent.actor.distribution_cfg.std_type=log", "agent.algorithm.entropy_coef=0.01")
BOLD = ("agent.algorithm.learning_rate=0.03", "agent.algorithm.schedule=fixed", "agent.algorithm.clip_param=0.05")
"""Steps so large that many ratios and values are clipped."""


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    content = load(checkpoint)
    return {**content["actor_state_dict"], **{f"critic {name}": v for name, v in content["critic_state_dict"].items()}}


@pytest.mark.parametrize(
    "overrides",
    [LOG_STD, BOLD, (*BOLD, "agent.algorithm.use_clipped_value_loss=false"), ("agent.algorithm.max_grad_norm=0.1",)],
    ids=["log", "bold", "values not clipped", "short gradients"],
)
def test_it_takes_the_steps_of_rsl_rls_own_update(tmp_path: Path, overrides: tuple[str, ...]) -> None:
    found = []
    for name, fast in (("fast", "true"), ("own", "false")):
        settings = (*FAST, *overrides, f"agent.fast_update={fast}")
        outcome, callbacks = train(tmp_path / name, 2, *settings, env=DoubleIntegrator(32, critic=True))
        found.append((weights(outcome.final_checkpoint), callbacks.metrics[-1]))
    (fast_weights, fast_told), (own_weights, own_told) = found
    assert fast_weights.keys() == own_weights.keys()
    for tensor, values in own_weights.items():
        assert torch.allclose(fast_weights[tensor], values, rtol=1e-3, atol=1e-4), tensor
    for loss in ("Loss/value", "Loss/surrogate", "Loss/entropy", "Loss/learning_rate"):
        assert fast_told[loss] == pytest.approx(own_told[loss], rel=1e-3, abs=1e-5), loss
    deviation = own_weights.get("distribution.std_param")
    if deviation is not None:
        assert fast_told["Policy/mean_std"] == pytest.approx(float(deviation.mean()), rel=1e-4)


def test_two_threads_learn_the_same_bits_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "available_cpus", lambda: 8)
    found = []
    for threads in (1, 2):
        asked = (*FAST, f"agent.torch_threads={threads}")
        outcome, _ = train(tmp_path / str(threads), 3, *asked, env=DoubleIntegrator(64, critic=True))
        assert torch.get_num_threads() == 1  # while playing
        found.append(load(outcome.final_checkpoint))
    assert same(*found)


def told(folder: Path, *overrides: str) -> RecordingCallbacks:
    return train(folder, 1, *FAST, *overrides)[1]


def test_acting_in_bfloat16_rounds_as_learning_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "obstacle_to_bfloat16", lambda: "")
    once = ("agent.algorithm.num_learning_epochs=1", "agent.algorithm.num_mini_batches=1")
    mixed = told(tmp_path, "agent.algorithm.use_mixed_precision=true", *once).metrics[0]
    # Advantages have a mean of zero: so has the loss, if every ratio of new to old probabilities is one.
    assert mixed["Loss/surrogate"] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("agent.algorithm.use_mixed_precision=true", "float32 (this processor has no instructions for bfloat16)"),
        ("agent.actor.activation=tanh", "rsl_rl's own update (an activation is not elu)"),
        ("agent.mirror=true", "mirrored copies, float32, rsl_rl's own update (mirrored copies are added)"),
        ("agent.torch_threads=1", "the fast update, 1 thread"),
        ("agent.torch_threads=64", "the fast update, 64 threads"),
    ],
)
def test_the_log_says_how_it_learns_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, override: str, line: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    monkeypatch.setattr(loop, "available_cpus", lambda: 64)
    caplog.set_level("INFO")
    threads = torch.get_num_threads()
    told(tmp_path, override)
    torch.set_num_threads(threads)
    assert line in caplog.text


def test_a_processor_whose_vector_instructions_are_off_learns_in_float32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    caplog.set_level("INFO")
    told(tmp_path, "agent.algorithm.use_mixed_precision=true")
    assert "float32 (torch uses no vector instructions: ATEN_CPU_CAPABILITY), the fast update" in caplog.text


@pytest.mark.parametrize(
    ("machine", "bound", "share", "line"),
    [
        (2, 1, "max 100000", "1 thread (this process is bound to 1 of 2 processors)"),
        (1, 1, "max 100000", "1 thread (the machine has one processor)"),
        (64, 64, "200000 100000", "2 threads (the container has a share of 2 of 64 processors)"),
        (64, 64, "max 100000", "4 threads"),
    ],
    ids=["bound to one core", "one core", "64 cores claimed", "64 cores"],
)
def test_as_many_threads_learn_as_there_are_processors_to_use(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    machine: int,
    bound: int,
    share: str,
    line: str,
) -> None:
    (tmp_path / "cpu.max").write_text(f"{share}\n")
    monkeypatch.setattr(this_machine.os, "cpu_count", lambda: machine)
    monkeypatch.setattr(this_machine.os, "sched_getaffinity", lambda pid: set(range(bound)))
    monkeypatch.setattr(this_machine, "CGROUP", tmp_path)
    caplog.set_level("INFO")
    before = torch.get_num_threads()
    told(tmp_path / "out", "agent.torch_threads=4")
    torch.set_num_threads(before)
    assert f"the fast update, {line}\n" in caplog.text
