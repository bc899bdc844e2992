"""Terms of a task that are not what they say: a new task's first mistake."""

from typing import Any

import numpy as np
import pytest
from gaitway_runtime.simulators.mujoco.managers import Observations, Rewards
from gaitway_runtime.spec.errors import ConfigError
from gaitway_runtime.tasks.environment import Observation, Reward

WORLDS = 4
STATE: Any = None
"""The terms here look at nothing."""


@pytest.mark.parametrize("shape", [(WORLDS,), (WORLDS, 1), (WORLDS, 2)])
def test_an_observation_of_another_size_is_named(shape: tuple[int, ...]) -> None:
    """A single column would be repeated over the others, and the policy learn on it."""
    term = Observation(name="joint_pos_rel", func=lambda state: np.ones(shape), size=3)
    found = shape[1] if len(shape) > 1 else 1
    with pytest.raises(ConfigError, match=rf"'joint_pos_rel' has {found} numbers in each world, its size says 3"):
        Observations((term,), (), None).compute(STATE, WORLDS)


@pytest.mark.parametrize("shape", [(), (WORLDS, 1), (WORLDS, 3), (1,)])
def test_a_reward_that_is_not_one_number_a_world_is_named(shape: tuple[int, ...]) -> None:
    rewards = Rewards((Reward("joint_vel_l2", lambda state: np.ones(shape), -1.0),), None, 0.02, WORLDS)
    with pytest.raises(ConfigError, match=r"'joint_vel_l2' has the shape .*, not one number a world: \(4,\)"):
        rewards.compute(STATE, np.zeros(WORLDS, bool), 0)
