"""Bipeds: what their tasks ask for where Isaac Lab's differ from those of quadrupeds."""

import numpy as np
import pytest
from gaitway_runtime.tasks.environment import VelocityCommand, find_environment
from gaitway_runtime.tasks.velocity.biped import assist_for

from .conftest import OpenEnv


@pytest.mark.parametrize("robot", ["H1", "G1"])
def test_the_play_form_on_rough_ground_walks_straight_ahead_for_40_seconds(open_env: OpenEnv, robot: str) -> None:
    played = find_environment(f"Isaac-Velocity-Rough-{robot}-Play-v0")
    assert played.episode_length_s == 40.0
    assert isinstance(played.command, VelocityCommand)
    assert (played.command.lin_vel_x, played.command.heading) == ((1.0, 1.0), (0.0, 0.0))
    env = open_env(played, num_envs=200)
    env.reset()
    walking = ~env._commands.is_standing
    assert walking.mean() > 0.9 and (env.state.command[walking, 0] == 1.0).all()
    assert (env.state.command[:, 1] == 0.0).all() and not env._commands.heading_target.any()
    assert set(env.state.terrain_level) == set(np.unique(env._ground.terrain.levels)), "any level"


@pytest.mark.parametrize("robot", ["H1", "G1"])
def test_a_helping_hand_does_not_hold_a_robot_that_does_nothing(open_env: OpenEnv, robot: str) -> None:
    env = open_env(find_environment(f"Isaac-Velocity-Flat-{robot}-v0"), num_envs=32, training=True)
    env.reset()
    idle = np.zeros((32, env.num_actions), np.float32)
    fell = np.any([env.step(idle).terminated for _ in range(150)], axis=0)
    assert fell[env._assist._share > 0.5].mean() > 0.75, "it leans into its harness, and learns to stand there"


def test_a_helping_hand_is_weaker_for_a_smaller_robot() -> None:
    large, small = assist_for(50.0, 1.0), assist_for(5.0, 0.5)
    assert large.upright == pytest.approx(50 * 9.81) and small.upright == pytest.approx(large.upright / 20)
    assert small.turn == pytest.approx(large.turn / 40) and small.drive == pytest.approx(large.drive / 10)
