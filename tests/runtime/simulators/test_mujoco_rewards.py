"""Every reward term against a value worked out by hand."""

import math

import numpy as np
import pytest
from gaitway_runtime.tasks.mdp import rewards, shaping, terminations
from gaitway_runtime.tasks.state import Contact, State
from gaitway_runtime.tasks.terrain import rough_terrain


def state(**arrays: object) -> State:
    return State(
        step_dt=0.02,
        **{name: np.array(value) if not isinstance(value, dict) else value for name, value in arrays.items()},
    )


def feet(**arrays: object) -> dict[str, Contact]:
    count = len(next(iter(arrays.values())))
    values = {
        "touched": np.zeros((count, 4), bool),
        "touching": np.zeros((count, 4), bool),
        "contact_time": np.zeros((count, 4)),
        "air_time": np.zeros((count, 4)),
        "last_air_time": np.zeros((count, 4)),
        "first_contact": np.zeros((count, 4), bool),
    }
    return {"feet": Contact(**(values | {name: np.array(value) for name, value in arrays.items()}))}


WALK, STAND = [1.0, 0.0, 0.0], [0.05, 0.05, 0.9]


def test_tracking() -> None:
    two = state(
        command=[[1.0, 0.5, 0.2], [0.0, 0.0, 0.0]],
        root_lin_vel_b=[[0.7, 0.1, 9.0], [0.0, 0.0, 0.0]],
        root_ang_vel_b=[[9.0, 9.0, -0.3], [0.0, 0.0, 0.0]],
    )
    # 0.3^2 + 0.4^2 = 0.25: one variance away
    assert rewards.track_lin_vel_xy_exp(two, variance=0.25) == pytest.approx([math.exp(-1), 1.0])
    assert rewards.track_lin_vel_xy_exp(two, variance=1.0) == pytest.approx([math.exp(-0.25), 1.0])
    assert rewards.track_ang_vel_z_exp(two, variance=0.25) == pytest.approx([math.exp(-1), 1.0])


def test_base_motion() -> None:
    one = state(
        root_lin_vel_b=[[5.0, 5.0, -0.3]],
        root_ang_vel_b=[[0.5, -2.0, 7.0]],
        projected_gravity_b=[[0.6, -0.1, -0.79]],
    )
    assert rewards.lin_vel_z_l2(one) == pytest.approx([0.09])
    assert rewards.ang_vel_xy_l2(one) == pytest.approx([0.25 + 4.0])
    assert rewards.flat_orientation_l2(one) == pytest.approx([0.36 + 0.01])


def test_effort() -> None:
    one = state(
        applied_torque=[[3.0, -4.0, 12.0]],
        joint_acc=[[100.0, 0.0, -10.0]],
        joint_vel=[[-2.0, 0.5, 0.0]],
        action=[[1.0, -2.0, 0.5]],
        previous_action=[[0.0, -2.5, 0.5]],
    )
    assert rewards.joint_torques_l2(one) == pytest.approx([9 + 16 + 144])
    assert rewards.joint_acc_l2(one) == pytest.approx([10_100])
    assert rewards.action_rate_l2(one) == pytest.approx([1 + 0.25])
    assert rewards.action_l2(one) == pytest.approx([1 + 4 + 0.25])
    assert rewards.power_consumption(one) == pytest.approx([2.0 + 1.0])


def test_feet_air_time_pays_at_touchdown_and_only_when_walking() -> None:
    contacts = feet(
        last_air_time=[[0.7, 0.1, 0.9, 0.9]] * 2,
        first_contact=[[True, True, False, False]] * 2,
    )
    both = state(command=[WALK, STAND], contacts=contacts)
    assert rewards.feet_air_time(both, threshold=0.5) == pytest.approx([0.2 - 0.4, 0.0])
    # Shaping pays no more than `most` for one long flight.
    assert shaping.long_steps(both, threshold=0.3, most=0.2) == pytest.approx([0.2 - 0.2, 0.0])
    # Nor does it cost more than `least` where a foot only trembled.
    assert shaping.long_steps(both, threshold=0.3, most=0.2, least=-0.1) == pytest.approx([0.2 - 0.1, 0.0])


def test_contacts_count_bodies() -> None:
    contacts = feet(touched=[[True, False, True, False], [False] * 4])
    both = state(contacts=contacts)
    assert rewards.undesired_contacts(both, group="feet").tolist() == [2.0, 0.0]
    assert terminations.illegal_contact(both, group="feet").tolist() == [True, False]


def test_diagonal_gait() -> None:
    lf, lh, rf, rh = True, False, False, True
    contacts = feet(touching=[[lf, lh, rf, rh], [True] * 4, [True] * 4, [True, False, True, False], [True] * 4])
    five = state(command=[WALK, WALK, [0.0, 0.0, 0.1], WALK, [0.0, 0.0, 0.3]], contacts=contacts)
    assert shaping.diagonal_gait(five).tolist() == [1.0, 0.0, 1.0, 0.0, 0.0]


def test_foot_clearance() -> None:
    one = state(
        command=[WALK],
        # underside 3 cm too low while moving at 0.5 m/s; the other feet rest on the ground
        foot_pos_w=[[[0, 0, 0.08], [0, 0, 0.03], [0, 0, 0.03], [0, 0, 0.03]]],
        foot_vel_w=[[[0.3, 0.4, 9.0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]],
    )
    expected = math.exp(-(0.03**2) * math.tanh(1.0) / 0.02)
    assert shaping.foot_clearance(one, height=0.08, spread=0.02, sole=0.03) == pytest.approx([expected])


def test_a_foot_clears_the_step_that_it_swings_towards_and_not_the_one_that_it_leaves() -> None:
    terrain = rough_terrain()
    pyramid = int(np.argmax(terrain.kinds[8] == 0))
    x, y, top = terrain.origins[8, pyramid]
    edge = x + 1.2  # of the platform
    below = top - float(terrain.height_at(np.array([edge + 0.1]), np.array([y]))[0])
    rest = [x, y, top + 0.03]
    foot_pos_w = [[[edge + 0.15, y, top - below + 0.15], rest, rest, rest]] * 2  # on the step, underside at 0.12 m
    towards, away = ([[speed, 0.0, 0.0], *[[0.0, 0.0, 0.0]] * 3] for speed in (-1.5, 1.5))
    two = state(command=[WALK] * 2, foot_pos_w=foot_pos_w, foot_vel_w=[towards, away])
    two.terrain = terrain
    blind, ahead = (
        shaping.foot_clearance(two, height=0.12, spread=0.02, sole=0.03, ahead=ahead) for ahead in (0.0, 0.15)
    )
    assert blind == pytest.approx([1.0, 1.0], abs=1e-6)
    assert ahead == pytest.approx([math.exp(-(below**2) * math.tanh(3.0) / 0.02), 1.0], abs=1e-6)


def test_alive_and_terminated() -> None:
    both = state(terminated=[True, False])
    assert rewards.is_alive(both).tolist() == [0.0, 1.0]
    assert rewards.is_terminated(both).tolist() == [1.0, 0.0]


def test_cartpole_terms() -> None:
    one = state(joint_pos=[[3.1, 2 * math.pi + 0.2]], joint_vel=[[-2.0, 4.0]])
    assert rewards.joint_pos_target_l2(one, joint=1, target=0.0) == pytest.approx([0.04])
    assert rewards.joint_vel_l1(one, joint=0) == pytest.approx([2.0])
    assert terminations.joint_pos_out_of_range(one, joint=0, bounds=(-3.0, 3.0)).tolist() == [True]


def test_ant_terms() -> None:
    tilt, turn = math.radians(10), math.radians(60)
    rotation = np.array(  # yaw by 60 degrees
        [[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1]]
    )
    two = state(
        target_distance=[999.0, 1000.0],
        previous_target_distance=[999.1, 1000.0],
        projected_gravity_b=[[math.sin(tilt), 0, -math.cos(tilt)], [1.0, 0, 0]],
        root_pos_w=[[0.0, 0.0, 0.3], [0.0, 0.0, 0.32]],
        root_rot_w=[rotation, np.eye(3)],
        joint_pos=[[0.5, -0.995], [0.2, 0.2]],
        soft_joint_pos_limits=[[-1.0, 1.0], [-1.0, 1.0]],
    )
    assert rewards.progress_reward(two) == pytest.approx([0.1 / 0.02, 0.0])
    assert rewards.upright_posture_bonus(two, threshold=0.93).tolist() == [1.0, 0.0]
    assert rewards.move_to_target_bonus(two, target=(1000.0, 0.0), threshold=0.8) == pytest.approx([0.5 / 0.8, 1.0])
    assert rewards.joint_pos_limits_penalty_ratio(two, threshold=0.99) == pytest.approx([0.5, 0.0])
    assert terminations.root_height_below_minimum(two, minimum=0.31).tolist() == [True, False]


def pair(**arrays: object) -> dict[str, Contact]:
    """Contacts of a biped's two feet."""
    return {"feet": Contact(**{name: np.array(arrays.get(name, [[0.0, 0.0]])) for name in Contact.__slots__})}


def test_tracking_in_the_frame_of_the_yaw() -> None:
    # Pitched forward by 90 degrees and turned left by 90: the base's x axis points down, its z axis to the world's y.
    tilted = np.array([[[0.0, -1.0, 0.0], [0.0, 0.0, 1.0], [-1.0, 0.0, 0.0]]])
    one = state(
        root_rot_w=tilted,
        heading_w=[math.pi / 2],
        root_lin_vel_b=[[9.0, 0.2, 0.5]],
        root_ang_vel_b=[[-0.3, 5.0, 5.0]],
        command=[[0.5, 0.2, 0.3]],
    )
    # World velocity (-0.2, 0.5, -9): half a metre per second ahead and 0.2 to the left of the yaw.
    assert rewards.lin_vel_yaw_frame(one)[0] == pytest.approx([0.5, 0.2])
    assert rewards.track_lin_vel_xy_yaw_frame_exp(one, variance=0.25) == pytest.approx([1.0])
    assert rewards.track_ang_vel_z_world_exp(one, variance=0.25) == pytest.approx([1.0])


@pytest.mark.parametrize(
    ("contact", "air", "command", "expected"),
    [
        ([0.3, 0.0], [0.0, 0.2], WALK, 0.2),
        ([0.9, 0.0], [0.0, 0.8], WALK, 0.6),
        ([0.3, 0.1], [0.0, 0.0], WALK, 0.0),
        ([0.0, 0.0], [0.1, 0.2], WALK, 0.0),
        ([0.3, 0.0], [0.0, 0.2], STAND, 0.0),
    ],
)
def test_time_on_one_foot(contact: list[float], air: list[float], command: list[float], expected: float) -> None:
    one = state(command=[command], contacts=pair(contact_time=[contact], air_time=[air]))
    assert rewards.feet_air_time_positive_biped(one, threshold=0.6) == pytest.approx([expected])


def test_feet_that_slide() -> None:
    one = state(
        foot_vel_w=[[[0.3, 0.4, 9.0], [1.0, 0.0, 0.0]]],
        contacts=pair(touched=[[True, False]]),
    )
    assert rewards.feet_slide(one) == pytest.approx([0.5])


def test_joints_away_from_where_they_belong() -> None:
    one = state(
        joint_pos=[[0.5, -1.0, 2.0]],
        default_joint_pos=[0.1, -0.5, 0.0],
        soft_joint_pos_limits=[[-0.4, 0.4], [-0.9, 0.9], [-9.0, 9.0]],
        applied_torque=[[1.0, 2.0, 3.0]],
        joint_acc=[[1.0, 2.0, 3.0]],
    )
    assert rewards.joint_deviation_l1(one, joints=[0, 2]) == pytest.approx([0.4 + 2.0])
    assert rewards.joint_pos_limits(one) == pytest.approx([0.1 + 0.1])
    assert rewards.joint_pos_limits(one, joints=[1]) == pytest.approx([0.1])
    assert rewards.joint_torques_l2(one, joints=[0, 2]) == pytest.approx([10.0])
    assert rewards.joint_acc_l2(one, joints=[1]) == pytest.approx([4.0])


def test_one_foot_on_the_ground_is_a_bipeds_gait() -> None:
    four = state(
        command=[WALK, WALK, STAND, [0.0, 0.0, 0.0]],
        contacts=pair(touching=[[True, False], [True, True], [False, True], [True, True]]),
    )
    assert shaping.biped_gait(four).tolist() == [1.0, 0.0, 1.0, 1.0]


def test_height_and_tilt_of_the_base() -> None:
    two = state(
        root_pos_w=[[0.0, 0.0, 0.96], [0.0, 0.0, 0.6]], projected_gravity_b=[[0.0, 0.0, -1.0], [0.8, 0.0, -0.6]]
    )
    assert shaping.base_height(two, height=0.86, spread=0.01) == pytest.approx([math.exp(-1), math.exp(-6.76)])
    assert terminations.base_height_below(two, minimum=0.65).tolist() == [False, True]
    assert terminations.tilted(two, cosine=0.7).tolist() == [False, True]


def test_a_pose_to_reach() -> None:
    half = math.sqrt(0.5)
    two = state(
        hand_pos=[[0.3, 0.0, 0.4], [0.3, 0.0, 0.4]],
        hand_quat=[[1.0, 0.0, 0.0, 0.0], [-half, 0.0, 0.0, -half]],
        command=[[0.3, 0.3, 0.0, half, 0.0, 0.0, half], [0.3, 0.0, 0.4, half, 0.0, 0.0, half]],
        joint_vel=[[1.0, 2.0], [0.0, 0.0]],
    )
    assert rewards.position_command_error(two) == pytest.approx([0.5, 0.0])
    assert rewards.position_command_error_tanh(two, std=0.5) == pytest.approx([1 - math.tanh(1), 1.0])
    # A quarter turn apart; the other is the same orientation with the opposite quaternion.
    assert rewards.orientation_command_error(two) == pytest.approx([math.pi / 2, 0.0], abs=1e-6)
    assert rewards.joint_vel_l2(two) == pytest.approx([5.0, 0.0])
