"""Symmetric networks: what a policy does in the mirror, and what is done where its networks cannot be symmetric."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from gaitway_runtime.policies.reader import read_checkpoint
from gaitway_runtime.simulators.base import Mirror, SignedPermutation

from tests.fakes.mass_env import DoubleIntegrator
from tests.runtime.learners.recording import start_from
from tests.runtime.learners.test_rsl_rl import load, same, train

SYMMETRIC = ("agent.mirror=true", "agent.symmetric=true", "agent.actor.obs_normalization=true", "agent.torch_threads=1")


def permuted(index: Sequence[int], sign: Sequence[int]) -> SignedPermutation:
    return SignedPermutation(np.array(index), np.array(sign, dtype=np.float32))


def mirror(name: str, index: tuple[int, int], sign: tuple[int, int]) -> Mirror:
    """Return the mirror that puts the two axes in an order, with signs."""
    places = [*index, *(axis + 2 for axis in index)]
    seen, critic = permuted(places, sign * 2), permuted([*places, 4], [*sign * 2, 1])
    return Mirror(name, {"policy": seen, "critic": critic}, permuted(index, sign))


FLIPS = (mirror("x", (0, 1), (-1, 1)), mirror("y", (0, 1), (1, -1)), mirror("both", (0, 1), (-1, -1)))
DIAGONALS = (mirror("swap", (1, 0), (1, 1)), mirror("anti", (1, 0), (-1, -1)), mirror("turn", (0, 1), (-1, -1)))


def mass(mirrors: Sequence[Mirror] = FLIPS) -> DoubleIntegrator:
    env = DoubleIntegrator(4, critic=True)
    env.mirrors = tuple(mirrors)
    return env


def asymmetry(checkpoint: Path, mirrors: Sequence[Mirror]) -> float:
    """Return how far the mirrored action is from the action in the mirror, at most, as a share of the largest."""
    policy, seen = read_checkpoint(checkpoint).module, torch.randn(64, 4)
    actions = policy(seen)

    def turned(values: torch.Tensor, by: SignedPermutation) -> torch.Tensor:
        return values[:, by.index] * torch.from_numpy(by.sign)

    misses = [
        (turned(actions, each.actions) - policy(turned(seen, each.observations["policy"]))).abs().max()
        for each in mirrors
    ]
    return float(max(misses) / actions.abs().max())


@pytest.mark.parametrize(
    ("mirrors", "fast"),
    [(FLIPS, True), (DIAGONALS, True), (DIAGONALS, False), (FLIPS[:1], False)],
    ids=["flips", "diagonals", "diagonals, rsl_rl's update", "one mirror, rsl_rl's update"],
)
def test_a_symmetric_policy_does_in_the_mirror_what_its_mirror_image_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mirrors: Sequence[Mirror], fast: bool
) -> None:
    caplog.set_level("INFO")
    outcome, _ = train(tmp_path, 4, *SYMMETRIC, f"agent.fast_update={fast}", env=mass(mirrors))
    assert "learning with symmetric networks, " in caplog.text
    assert asymmetry(outcome.final_checkpoint, mirrors) < 1e-5


def test_the_gradient_of_a_symmetric_network_is_that_of_the_batch_and_all_its_images(tmp_path: Path) -> None:
    """Copies of all images as samples of their own, for a network that begins symmetric: the same step."""
    start, _ = train(tmp_path / "start", 2, *SYMMETRIC, env=mass(DIAGONALS[:1]))
    once = ("agent.algorithm.num_mini_batches=1", "agent.algorithm.entropy_coef=0")
    weights = []
    for name, symmetric in (("tied", "true"), ("copies", "false")):
        outcome, _ = train(
            tmp_path / name,
            3,
            *SYMMETRIC,
            *once,
            f"agent.symmetric={symmetric}",
            start=start_from("resume", start.final_checkpoint),
            env=mass(DIAGONALS[:1]),
        )
        weights.append(load(outcome.final_checkpoint))
    for network in ("actor_state_dict", "critic_state_dict"):
        tied, copied = (each[network] for each in weights)
        for name in tied:
            if "mlp" in name:
                assert torch.allclose(tied[name], copied[name], rtol=1e-4, atol=1e-5), name


def test_a_resumed_training_stays_symmetric(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, _ = train(tmp_path / "a", 2, *SYMMETRIC, env=mass())
    caplog.clear()
    caplog.set_level("INFO")
    second, _ = train(tmp_path / "b", 4, *SYMMETRIC, start=start_from("resume", first.final_checkpoint), env=mass())
    assert "learning with symmetric networks, " in caplog.text
    assert asymmetry(second.final_checkpoint, FLIPS) < 1e-5
    assert not same(load(first.final_checkpoint)["actor_state_dict"], load(second.final_checkpoint)["actor_state_dict"])


def test_a_checkpoint_that_is_not_symmetric_goes_on_with_copies(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, _ = train(tmp_path / "a", 2, *SYMMETRIC, "agent.symmetric=false", env=mass())
    assert asymmetry(first.final_checkpoint, FLIPS) > 0.1
    caplog.set_level("INFO")
    train(tmp_path / "b", 3, *SYMMETRIC, start=start_from("warm-start", first.final_checkpoint), env=mass())
    assert "learning with mirrored copies (the checkpoint's networks are not symmetric), " in caplog.text


@pytest.mark.parametrize(
    ("mirrors", "override", "why"),
    [
        (FLIPS[:2], "", "two of the task's mirrors make one that it does not have"),
        ((FLIPS[0], DIAGONALS[0]), "", "two of the task's mirrors make one that it does not have"),
        (FLIPS, "agent.actor.hidden_dims=[6]", "a hidden layer's width, 6, is no multiple of 4 mirror images"),
    ],
)
def test_networks_that_cannot_be_symmetric_learn_from_copies(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mirrors: Sequence[Mirror], override: str, why: str
) -> None:
    caplog.set_level("INFO")
    train(tmp_path, 1, *SYMMETRIC, *filter(None, [override]), env=mass(mirrors))
    assert f"learning with mirrored copies ({why}), " in caplog.text
