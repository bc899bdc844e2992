"""Isaac Lab's own keys on the embedded simulator: what they change, and what is refused."""

from collections.abc import Callable

import numpy as np
import pytest
from gaitway_runtime.simulators.isaaclab.spelling import check_spelling
from gaitway_runtime.simulators.mujoco.env import MujocoEnv
from gaitway_runtime.simulators.mujoco.overrides import settable, with_overrides
from gaitway_runtime.spec import catalog
from gaitway_runtime.spec.errors import UsageError
from gaitway_runtime.tasks.environment import EnvCfg, find_environment
from gaitway_runtime.tasks.isaac_keys import isaac_keys

OpenEnv = Callable[..., MujocoEnv]
ANYMAL, H1 = "Isaac-Velocity-Flat-Anymal-C-v0", "Isaac-Velocity-Flat-H1-v0"


def tuned(task: str, *texts: str) -> EnvCfg:
    return with_overrides(find_environment(task), [f"env.{text}" for text in texts])


def still(env: MujocoEnv) -> np.ndarray:
    return np.zeros((env.num_envs, env.num_actions), np.float32)


def test_a_weight_and_a_parameter_change_what_is_reported(open_env: OpenEnv) -> None:
    def reported(*texts: str) -> dict[str, np.ndarray]:
        env = open_env(tuned(ANYMAL, "commands.base_velocity.ranges.lin_vel_x=0.8,0.8", *texts), num_envs=8)
        env.reset(1)
        steps = [env.step(np.sin(np.arange(96, dtype=np.float32).reshape(8, 12) + k)) for k in range(40)]
        terms = {name: np.array([step.reward_terms[name] for step in steps]) for name in steps[0].reward_terms}
        return {**terms, "reported": np.array([step.task_rewards for step in steps])}

    plain = reported()
    heavier = reported("rewards.feet_air_time.weight=2")
    wider = reported("rewards.track_lin_vel_xy_exp.params.std=1.0", "rewards.feet_air_time.params.threshold=0.3")
    assert np.abs(plain["feet_air_time"]).max() > 0.0, "feet landed"
    assert heavier["feet_air_time"] == pytest.approx(4.0 * plain["feet_air_time"], rel=1e-5)
    assert heavier["reported"] - plain["reported"] == pytest.approx(3.0 * plain["feet_air_time"], abs=1e-6)
    # exp(-e / std^2) with a weight of 1 and a step of 0.02 s: twice the std is the fourth root.
    assert wider["track_lin_vel_xy_exp"] / 0.02 == pytest.approx(
        (plain["track_lin_vel_xy_exp"] / 0.02) ** 0.25, rel=1e-4
    )
    assert wider["feet_air_time"].sum() > plain["feet_air_time"].sum()


def test_pushes_masses_and_friction_are_set_by_isaac_labs_names(open_env: OpenEnv) -> None:
    task = tuned(
        H1,
        "events.push_robot.interval_range_s=3,4",
        "events.push_robot.params.velocity_range.x=1.0,2.0",
        "events.push_robot.params.velocity_range.y=[0,0]",
        "events.add_base_mass.params.mass_distribution_params=(1.0, 3.0)",
        "events.base_com.params.com_range.z=0.0,0.04",
        "events.physics_material.params.static_friction_range=0.3,0.5",
    )
    env = open_env(task, num_envs=200, training=True)
    env.reset(1)
    base = env.engine.model.body(env.engine.spec.base)
    added = env.engine.batch.expanded("body_mass")[:, base.id] - base.mass[0]
    assert 1.0 <= added.min() < 1.1 and 2.9 < added.max() <= 3.0
    moved = env.engine.base_com - base.ipos
    assert (moved[:, :2] == 0.0).all() and moved[:, 2].min() >= 0.0 and 0.038 < moved[:, 2].max() <= 0.04
    friction = env.engine.batch.expanded("geom_friction")[:, env.engine.model.geom_bodyid > 0, 0]
    touching = friction[:, friction.max(axis=0) <= 0.5 + 1e-9]
    assert touching.size and 0.3 <= touching.min() < 0.32 and touching.max() > 0.48
    assert env._pushes is not None
    assert (env._pushes.time_left >= 3.0).all() and (env._pushes.time_left <= 4.0).all()
    before = env.engine.qvel[:, :2].copy()
    env._pushes.time_left[:] = 0.0
    env._pushes.update(env.engine, env.state)
    change = env.engine.qvel[:, :2] - before
    assert (change[:, 0] >= 1.0).all() and (change[:, 0] <= 2.0).all() and change[:, 1] == pytest.approx(0.0, abs=1e-12)


def test_a_start_is_set_axis_by_axis(open_env: OpenEnv) -> None:
    asked = ("pose_range.x=1.0,1.0", "pose_range.yaw=0,0", "velocity_range.z=0.25,0.25")
    env = open_env(
        tuned(ANYMAL, *(f"events.reset_base.params.{text}" for text in asked), "reset.joint_pos_scale=1,1"), num_envs=50
    )
    env.reset(1)
    assert (env.state.root_pos_w[:, 0] == 1.0).all() and np.ptp(env.state.root_pos_w[:, 1]) > 0.8
    world = np.einsum("nij,nj->ni", env.state.root_rot_w, env.state.root_lin_vel_b)
    assert world[:, 2] == pytest.approx(0.25) and np.ptp(world[:, 0]) > 0.8
    pole = open_env(tuned("Isaac-Cartpole-v0", "events.reset_pole_position.params.position_range=0.1,0.1"), num_envs=9)
    pole.reset(1)
    assert pole.state.joint_pos[:, 1] == pytest.approx(0.1) and np.ptp(pole.state.joint_pos[:, 0]) > 0.5


def test_a_command_that_is_set_counts_in_training_too(open_env: OpenEnv) -> None:
    command = "commands.base_velocity"
    env = open_env(
        tuned(H1, f"{command}.ranges.lin_vel_x=0.1,0.15", f"{command}.resampling_time_range=5,5"),
        num_envs=100,
        training=True,
    )
    env.reset(1)
    moving = env.state.command[~env._commands.is_standing, 0]
    assert moving.min() >= 0.1 and moving.max() <= 0.15
    assert (env._commands.time_left == 5.0).all()


@pytest.mark.parametrize("name", [task.name for task in catalog.tasks()])
def test_every_key_keeps_the_task_where_it_is_set_to_what_it_is(name: str) -> None:
    task = find_environment(name)
    for key, found in isaac_keys(task).items():
        value = found.read(task)
        assert value is None or found.read(found.write(task, value)) == pytest.approx(value), key
    doubled = [
        key for key in settable(task) if key.startswith(("command.", "training.push.", "training.randomization."))
    ]
    assert doubled == [], "shown once, under Isaac Lab's name"


def test_the_last_of_two_names_of_one_value_counts() -> None:
    isaac, ours = "events.reset_base.params.velocity_range.x=1,1", "reset.root_velocity=0,0"
    assert tuned(ANYMAL, isaac, ours).reset.root_velocity == (0.0, 0.0)
    assert tuned(ANYMAL, ours, isaac).reset.root_velocity == ((1.0, 1.0), *[(0.0, 0.0)] * 5)


def test_a_reward_that_changes_later_keeps_its_pair_of_numbers() -> None:
    task = tuned(
        "Isaac-Reach-Franka-v0", "rewards.action_rate.weight=-0.0002", "curriculum.action_rate.params.num_steps=10"
    )
    assert {term.name: (term.weight, term.later) for term in task.rewards}["action_rate"] == (-0.0002, (10, -0.005))


@pytest.mark.parametrize(
    ("text", "message", "notes"),
    [
        ("rewards.feet_air_time.params.treshold=1", "unknown key", "rewards.feet_air_time.params.threshold"),
        ("events.push_robt.interval_range_s=1,2", "unknown key", "events.push_robot.interval_range_s"),
        ("events.push_robot.params.velocity_range.q=1,2", "unknown key", "events.push_robot.params.velocity_range.x"),
        ("rewards.track_lin_vel_xy_exp.params.std=0", "std is 0.0", "above 0"),
        ("rewards.feet_air_time.weight=nan", "weight is nan", "a number"),
        ("rewards.feet_air_time.weight=heavy", "'heavy' is not a number", "a number"),
        ("events.push_robot.interval_range_s=9", "'9' is not a list of 2 numbers", "a list of 2 numbers"),
        ("events.push_robot.interval_range_s=9,2", "is \\(9.0, 2.0\\)", "LOW,HIGH above 0"),
        ("events.physics_material.params.static_friction_range=-1,1", "is \\(-1.0, 1.0\\)", "0 or more"),
        ("commands.base_velocity.rel_standing_envs=2", "is 2.0", "0 to 1"),
        ("command.lin_vel_x=1,2,3", "is not a list of 2 numbers", ""),
    ],
)
def test_what_does_not_fit_is_refused_and_what_would_is_named(text: str, message: str, notes: str) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        tuned(ANYMAL, text)
    assert notes in f"{refused.value.allowed} {refused.value.hint}"
    assert len(refused.value.allowed or "") < 400, "what stands beside it, not all of the task"


def test_a_mass_that_leaves_nothing_of_the_base_is_refused(open_env: OpenEnv) -> None:
    with pytest.raises(UsageError, match=r"weighs 26\.4 kg"):
        open_env(
            tuned(ANYMAL, "events.add_base_mass.params.mass_distribution_params=-30,0"), num_envs=50, training=True
        )


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("rewards.feet_air_tim.weight=2", "rewards.feet_air_time"),
        ("rewards.feet_air_time.wieght=2", "rewards.feet_air_time.weight"),
        ("rewards.feet_air_time.params.treshold=2", "rewards.feet_air_time.params.threshold"),
        ("events.push_robott.interval_range_s=(1,2)", "events.push_robot"),
        ("reward.feet_air_time.weight=2", "rewards"),
        ("commands.base_velocity.ranges.lin_vel_xx=(0,1)", "commands.base_velocity.ranges.lin_vel_x"),
        ("rewards.feet_air_time.weight=heavy", ""),
        ("events.push_robot.interval_range_s=often", ""),
    ],
)
def test_a_job_for_isaac_lab_is_checked_for_misspelt_keys(text: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_spelling(find_environment(ANYMAL), [f"env.{text}"])
    assert hint in (refused.value.hint or "")


@pytest.mark.parametrize(
    "text",
    [
        "rewards.feet_air_time.weight=2",
        "rewards.feet_air_time=null",
        "rewards.dof_pos_limits.weight=-1.0",
        "rewards.a_reward_of_mine.weight=1",
        "rewards.feet_air_time.params.sensor_cfg.body_names=.*FOOT",
        "events.physics_material.params.restitution_range=(0,0.1)",
        "events.push_robot=null",
        "events.push_robot.params.velocity_range.yaw=(0,1)",
        "events.base_external_force_torque.params.force_range=(0,9)",
        "scene.num_envs=9",
        "sim.dt=0.002",
        "observations.policy.enable_corruption=false",
        "commands.base_velocity.heading_command=false",
        "curriculum.terrain_levels=null",
    ],
)
def test_what_isaac_lab_has_beside_them_is_left_to_the_job(text: str) -> None:
    check_spelling(find_environment(ANYMAL), [f"env.{text}"])
