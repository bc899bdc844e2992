"""The golden traces of Isaac Lab 3.0, lived through on MuJoCo-Warp's arrays, and each of their states stepped by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gaitway_runtime.tasks.environment import find_environment

from tests.fakes.replay import Replay, Trace

from .conftest import ANT, ANYMAL, CARTPOLE

DATA = Path(__file__).parents[1] / "data"
TASKS = {"cartpole": CARTPOLE, "ant": ANT, "anymal_c_flat": ANYMAL}


@pytest.mark.parametrize("name", TASKS)
def test_a_trace_says_the_same_on_both_engines(name: str) -> None:
    """With the test of the embedded simulator: observations, rewards and endings are Isaac Lab's here, too."""
    from gaitway_runtime.simulators.mujoco_warp.batch import warp_engine

    trace = Trace.read(DATA / f"isaaclab3_{name}.npz")
    replays = [Replay(find_environment(TASKS[name]), trace, physics) for physics in (None, warp_engine())]
    first, second = (replay.first_observations() for replay in replays)
    np.testing.assert_array_equal(second, first)
    for _ in range(trace.steps):
        one, other = (replay.step() for replay in replays)
        np.testing.assert_array_equal(other.observations["policy"], one.observations["policy"])
        np.testing.assert_array_equal(other.task_rewards, one.task_rewards)
        np.testing.assert_array_equal(other.terminated, one.terminated)
        np.testing.assert_array_equal(other.truncated, one.truncated)
    for replay in replays:
        replay.close()
