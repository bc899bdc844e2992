"""A trained policy on either engine: apart in their last digits, alike in how they walk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gaitway_runtime.evaluation.rollout import Rollout, run_steps
from gaitway_runtime.evaluation.subject import read_subject
from gaitway_runtime.policies.sessions import checkpoint_session
from gaitway_runtime.simulators.mujoco.env import MujocoEnv

from .conftest import ANYMAL, OpenPair

SAMPLE = Path(__file__).parents[2] / "samples/anymal-c-flat/model_194.pt"
STEPS = 200


def walk(env: MujocoEnv) -> Rollout:
    """Play the sample policy."""
    subject = read_subject(SAMPLE, env.contract)
    return run_steps(env, subject.actor(checkpoint_session(subject.policy)), STEPS, seed=7)


def test_the_sample_policy_walks_as_on_the_cpu(open_pair: OpenPair) -> None:
    pair = open_pair(ANYMAL, num_envs=8)
    cpu, warp = walk(pair.cpu), walk(pair.warp)
    assert not [episode for episode in warp.episodes if episode.steps < STEPS], "nobody fell"
    for name in ("error_vel_xy", "error_vel_yaw"):
        assert warp.means[name] == pytest.approx(cpu.means[name], abs=0.02), name
    assert warp.reward_per_second == pytest.approx(cpu.reward_per_second, rel=0.03)
    assert np.isfinite(warp.recording.observations).all()
