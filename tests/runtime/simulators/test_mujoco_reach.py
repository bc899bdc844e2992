"""The arm: its hand where the published numbers put it, commands it is asked for, drives that no action moves."""

import math

import mujoco
import numpy as np
import pytest
from gaitway_runtime.simulators.mujoco.commands import quaternion
from gaitway_runtime.simulators.mujoco.kinematics import LinkChain
from gaitway_runtime.simulators.mujoco.models import compile_robot
from gaitway_runtime.tasks.environment import find_environment
from gaitway_runtime.tasks.mdp import observations, rewards, shaping
from gaitway_runtime.tasks.state import State
from mujoco.batch import Batch

from .conftest import OpenEnv

REACH = find_environment("Isaac-Reach-Franka-v0")
UR10 = find_environment("Isaac-Reach-UR10-v0")


def test_the_hand_is_where_the_joints_put_it(open_env: OpenEnv) -> None:
    env = open_env(REACH, num_envs=1)
    env.reset()
    env.engine.qpos[:] = (0.0, 0.0, 0.0, -math.pi / 2, 0.0, math.pi / 2, math.pi / 4, 0.04, 0.04)
    pos, quat = LinkChain(env.engine.model, "panda_hand").pose(env.engine.qpos)
    # Upper arm 0.316 m, elbow offset 0.0825 m, forearm 0.384 m, wrist offset 0.088 m, flange 0.107 m, pointing down.
    assert pos[0] == pytest.approx([0.384 + 0.088 + 0.0825, 0.0, 0.333 + 0.316 + 0.0825 - 0.107], abs=1e-3)
    assert abs(quat[0] @ (0.0, 1.0, 0.0, 0.0)) == pytest.approx(1.0, abs=1e-3)


CRANE = """
<mujoco>
  <worldbody>
    <body name="mast" pos="0.1 0.2 0.3" euler="20 30 40">
      <inertial pos="0 0 0" mass="1" diaginertia="1 1 1"/>
      <joint type="hinge" axis="1 2 3" pos="0.05 -0.02 0.1" ref="30"/>
      <body name="bracket" pos="0.2 0 0.1" euler="0 70 0">
        <inertial pos="0 0 0" mass="1" diaginertia="1 1 1"/>
        <body name="jib" pos="0 0.3 0" euler="0 0 25">
          <inertial pos="0 0 0" mass="1" diaginertia="1 1 1"/>
          <joint type="slide" axis="0 1 1" ref="0.2"/>
          <body name="hook" pos="0.1 0.1 0.1" euler="10 0 0">
            <inertial pos="0 0 0" mass="1" diaginertia="1 1 1"/>
            <joint type="hinge" axis="0 1 0" pos="0 0 0.3"/>
            <body name="tip" pos="0 0 -0.4" euler="0 0 90"><inertial pos="0 0 0" mass="1" diaginertia="1 1 1"/></body>
          </body>
        </body>
      </body>
    </body>
  </worldbody>
</mujoco>
"""
"""Turned bodies, hinges beside their body's origin, a slide, positions that do not count from zero."""


@pytest.mark.parametrize(
    ("robot", "body"), [("franka_panda", "panda_hand"), ("ur10", "ee_link"), (CRANE, "tip"), (CRANE, "hook")]
)
def test_the_hand_is_where_mujoco_puts_it(robot: str, body: str) -> None:
    model = mujoco.MjModel.from_xml_string(robot) if "<" in robot else compile_robot(robot, timestep=1 / 60)
    batch = Batch(model, 64, 1)
    batch.bind("qpos")[:] = np.random.default_rng(0).uniform(-3.0, 3.0, (64, model.nq))
    places, turns = (batch.bind(name).reshape(64, model.nbody, -1) for name in ("xpos", "xquat"))
    batch.forward()
    pos, quat = LinkChain(model, body).pose(batch.bind("qpos"))
    number = model.body(body).id
    assert pos == pytest.approx(places[:, number], abs=1e-12)
    assert quat == pytest.approx(turns[:, number], abs=1e-12)


def test_a_body_that_floats_has_no_chain() -> None:
    model = compile_robot("anymal_c", timestep=0.01)
    with pytest.raises(ValueError, match="a hinge or a slide"):
        LinkChain(model, model.body(2).name)


def test_poses_are_drawn_within_isaac_labs_ranges_and_last_four_seconds(open_env: OpenEnv) -> None:
    env = open_env(REACH, num_envs=64)
    first = env.reset()["policy"][:, 18:25].copy()
    assert (first[:, 0].min() >= 0.35, first[:, 0].max() <= 0.65) == (True, True)
    assert (first[:, 2].min() >= 0.15, first[:, 2].max() <= 0.5) == (True, True)
    assert np.linalg.norm(first[:, 3:], axis=1) == pytest.approx(np.ones(64))
    # Pitched by half a turn, whatever the yaw: the hand's axis points down.
    _, x, y, _ = first[:, 3:].T
    assert 1 - 2 * (x * x + y * y) == pytest.approx(-np.ones(64), abs=1e-5)
    still = np.zeros((64, 7), np.float32)
    for _ in range(119):
        seen = env.step(still).observations["policy"]
    assert np.array_equal(seen[:, 18:25], first)
    assert not np.array_equal(env.step(still).observations["policy"][:, 18:25], first)


def test_a_quaternion_of_roll_pitch_and_yaw() -> None:
    quarter = np.array([math.pi / 2])
    none = np.zeros(1)
    half = math.sqrt(0.5)
    assert quaternion(quarter, none, none)[0] == pytest.approx([half, half, 0, 0])
    assert quaternion(none, quarter, none)[0] == pytest.approx([half, 0, half, 0])
    assert quaternion(none, none, quarter)[0] == pytest.approx([half, 0, 0, half])


def multiplied(left: tuple[float, ...], right: np.ndarray) -> tuple[float, ...]:
    """Return the product of two quaternions w, x, y, z."""
    product = np.zeros(4)
    mujoco.mju_mulQuat(product, np.array(left), right)
    return tuple(product)


def about(axis: tuple[float, float, float], angle: float) -> np.ndarray:
    """Return the quaternion of a turn [rad]."""
    return np.array([math.cos(angle / 2), *(math.sin(angle / 2) * np.array(axis))])


DOWN = (0.0, 1.0, 0.0, 0.0)
"""The hand's axis points down."""


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["as drawn", "the same, the other sign"])
@pytest.mark.parametrize(
    ("hand", "angle", "tilt", "lacking"),
    [
        (DOWN, 0.0, 0.0, (0.0, 0.0, 0.0)),
        # Turned by 0.4 rad about its own axis, which points down: what it lacks is the way back.
        (multiplied(DOWN, about((0.0, 0.0, 1.0), 0.4)), 0.4, 0.0, (0.0, 0.0, -math.sin(0.2))),
        (multiplied(DOWN, about((0.0, 1.0, 0.0), 0.4)), 0.4, 0.4, (0.0, -math.sin(0.2), 0.0)),
        # Half a turn and a little more is less than half a turn the other way.
        (multiplied(DOWN, about((0.0, 0.0, 1.0), 3.4)), 2 * math.pi - 3.4, 0.0, (0.0, 0.0, math.sin(1.7))),
    ],
)
def test_a_hand_is_off_by_the_angle_of_the_shortest_turn(
    hand: tuple[float, ...], angle: float, tilt: float, lacking: tuple[float, ...], sign: float
) -> None:
    state = State(step_dt=1 / 30, max_episode_length=360)
    state.hand_quat = np.array([hand])
    state.command = np.array([(0.5, 0.0, 0.3, *(sign * np.array(DOWN)))])
    assert rewards.orientation_command_error(state) == pytest.approx([angle], abs=1e-6)
    assert shaping.hand_tilt(state) == pytest.approx([tilt], abs=1e-6)
    assert observations.hand_turn(state)[0] == pytest.approx(lacking)
    assert shaping.orientation_near(state, std=angle or 1.0) == pytest.approx(
        [1.0 - math.tanh(angle and 1.0)], abs=1e-6
    )


def test_the_critic_sees_what_the_hand_lacks_from_the_first_step_on(open_env: OpenEnv) -> None:
    env = open_env(REACH, num_envs=8, training=True)
    for _ in range(2):
        seen = env.reset()
        pos, _ = LinkChain(env.engine.model, "panda_hand").pose(env.engine.qpos)
        assert seen["critic"][:, 32:35] == pytest.approx(pos - env.state.command[:, :3], abs=1e-6)
        assert np.linalg.norm(seen["critic"][:, 35:], axis=1) == pytest.approx(
            np.sin(0.5 * rewards.orientation_command_error(env.state)), abs=1e-5
        )
        env.step(np.ones((8, 7), np.float32))


def test_the_fingers_stay_open_whatever_the_arm_does(open_env: OpenEnv) -> None:
    env = open_env(REACH, num_envs=4)
    env.reset()
    rng = np.random.default_rng(0)
    for _ in range(60):
        env.step(rng.normal(size=(4, 7)).astype(np.float32))
    assert env.state.joint_pos[:, 7:] == pytest.approx(np.full((4, 2), 0.04), abs=0.004)
    assert env.contract.action_size == 7
    assert env.contract.commands["ee_pose"]["resampling_time_s"] == [4.0, 4.0]


def test_fast_movements_cost_more_later(open_env: OpenEnv) -> None:
    env = open_env(REACH, num_envs=2)
    env.reset()
    action = np.ones((2, 7), np.float32)
    early = env.step(action).reward_terms["action_rate"]
    env.reset(0)
    env.env_steps = 4501 * 2
    late = env.step(action).reward_terms["action_rate"]
    assert late == pytest.approx(50 * early, rel=1e-4)


def test_a_stretched_ur10_ends_where_its_data_sheet_puts_it(open_env: OpenEnv) -> None:
    env = open_env(UR10, num_envs=1)
    env.reset()
    env.engine.qpos[:] = 0.0
    pos, _ = LinkChain(env.engine.model, "ee_link").pose(env.engine.qpos)
    # Arms of 0.612 m and 0.5723 m ahead, 0.1639 m and 0.0922 m beside, 0.1273 m up and 0.1157 m down.
    assert pos[0] == pytest.approx([0.612 + 0.5723, 0.1639 + 0.0922, 0.1273 - 0.1157], abs=1e-3)
    assert env.engine.model.body_mass.sum() == pytest.approx(32.7)


def test_the_ur10_is_asked_for_poses_that_point_down_and_starts_near_its_pose(open_env: OpenEnv) -> None:
    env = open_env(UR10, num_envs=64)
    seen = env.reset()["policy"]
    assert seen.shape == (64, 25)
    w, x, y, z = seen[:, 15:19].T
    assert 2 * (x * z - w * y) == pytest.approx(-np.ones(64), abs=1e-5), "the end effector's x axis points down"
    default = np.array([0.0, -1.712, 1.712, 0.0, 0.0, 0.0])
    assert (np.abs(seen[:, :6]) <= 0.25 * np.abs(default) + 1e-6).all()


def test_the_ur10s_drives_stay_calm_at_their_limit_and_keep_the_gains_of_its_contract(open_env: OpenEnv) -> None:
    env, same = open_env(UR10, num_envs=8), open_env(UR10, num_envs=8)
    robot = env.contract.robot
    assert (robot.stiffness, robot.damping, robot.effort_limits) == ((800.0,) * 6, (40.0,) * 6, (87.0,) * 6)
    assert same.set_gains(robot.stiffness, robot.damping)
    for one in (env, same):
        one.reset(0)
    rng = np.random.default_rng(0)
    for _ in range(30):
        action = rng.normal(scale=2.0, size=(8, 6)).astype(np.float32)
        transition, again = env.step(action), same.step(action)
        assert not transition.diverged.any() and np.abs(env.state.joint_vel).max() < 60.0
    assert np.array_equal(transition.observations["policy"], again.observations["policy"])
