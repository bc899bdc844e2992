"""The order of events in a step, what ends an episode, what is random, and what is not."""

import dataclasses
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gaitway_runtime.simulators import base
from gaitway_runtime.simulators.mujoco.env import MujocoEnv
from gaitway_runtime.simulators.mujoco.overrides import with_overrides
from gaitway_runtime.spec import catalog
from gaitway_runtime.spec.errors import UsageError
from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.tasks.environment import Reward, Shaping, VelocityCommand, find_environment
from gaitway_runtime.tasks.velocity.anymal_environment import FALL

from .conftest import OpenEnv

ANYMAL, ANT, CARTPOLE = "Isaac-Velocity-Flat-Anymal-C-v0", "Isaac-Ant-v0", "Isaac-Cartpole-v0"
EVERY_TASK = sorted(name for task in catalog.tasks() for name in (task.name, task.name.replace("-v0", "-Play-v0")))


def still(env: MujocoEnv) -> np.ndarray:
    return np.zeros((env.num_envs, env.num_actions), np.float32)


@pytest.mark.parametrize("task", EVERY_TASK)
@pytest.mark.parametrize("training", [True, False])
def test_a_step_gives_what_was_promised(open_env: OpenEnv, task: str, training: bool) -> None:
    env = open_env(task, num_envs=8, training=training)
    first = env.reset()
    transition = env.step(still(env))
    for observations in (first, transition.observations):
        assert {name: array.shape for name, array in observations.items()} == {
            name: (8, size) for name, size in env.observation_sizes.items()
        }
        assert all(array.dtype == np.float32 and np.isfinite(array).all() for array in observations.values())
    assert transition.rewards.dtype == transition.task_rewards.dtype == np.float32
    assert env.contract.observation_size == env.observation_sizes["policy"]
    assert env.contract.action_size == env.num_actions
    assert env.snapshot().shape == (8, env.engine.model.nq)
    total = np.sum(list(transition.reward_terms.values()), axis=0)
    assert total == pytest.approx(transition.rewards, abs=1e-6)
    own = np.sum([value for name, value in transition.reward_terms.items() if not name.startswith("shaping/")], axis=0)
    assert own == pytest.approx(transition.task_rewards, abs=1e-6)


@pytest.mark.parametrize("name", [name for name in EVERY_TASK if "-Play" not in name])
def test_the_catalog_says_of_a_task_what_it_is(name: str) -> None:
    task, info = find_environment(name), catalog.find(name)
    assert info is not None
    assert info.observations == sum(term.size for term in task.observations)
    assert info.actions == len(task.action.joint_names)
    assert info.control_hz == pytest.approx(1 / task.step_dt)
    assert info.episode_length_s == task.episode_length_s


@pytest.mark.parametrize("task", [ANYMAL, ANT, CARTPOLE])
def test_the_same_seed_gives_the_same_worlds_at_any_thread_count(task: str) -> None:
    def rollout(nthread: int, *, used: bool = False) -> list[np.ndarray]:
        env = MujocoEnv(find_environment(task), num_envs=16, training=True, seed=5, nthread=nthread)
        if used:  # an environment that has been used starts afresh from a seed
            env.reset()
            env.step(still(env))
            env.env_steps = 0
        found = [*env.reset(5).values()]
        rng = np.random.default_rng(0)
        env.episode_length = np.full(16, env.max_episode_length - 5)
        for _ in range(10):
            transition = env.step(rng.normal(size=(16, env.num_actions)).astype(np.float32))
            found += [*transition.observations.values(), transition.rewards]
        env.close()
        return found

    one = rollout(1)
    for other in (rollout(2), rollout(2, used=True)):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_time_out_is_no_failure_and_a_failure_no_time_out(open_env: OpenEnv) -> None:
    env = open_env(CARTPOLE)
    env.reset()
    env.episode_length = np.array([298, 299, 0, 299])
    env.engine.qpos[2, 0] = 3.5
    transition = env.step(still(env))
    assert transition.truncated.tolist() == [False, True, False, True]
    assert transition.terminated.tolist() == [False, False, True, False]
    assert transition.log["Episode_Termination/time_out"] == 2
    assert transition.log["Episode_Termination/cart_out_of_bounds"] == 1
    # Rewards are those of the step that ended the episode, observations those of the next one.
    assert transition.reward_terms["terminating"].tolist() == pytest.approx([0, 0, -2.0 / 60, 0])
    assert abs(transition.observations["policy"][2, 0]) <= 1.0
    assert env.episode_length.tolist() == [299, 0, 0, 0]


def test_rewards_are_of_the_old_command_and_observations_of_the_new(open_env: OpenEnv) -> None:
    task = dataclasses.replace(
        find_environment(ANYMAL), command=VelocityCommand(rel_standing_envs=0.0, rel_heading_envs=0.0)
    )
    env = open_env(task, num_envs=2)
    env.reset()
    env._commands.time_left[:] = (0.01, 5.0)
    old = env.state.command.copy()
    transition = env.step(still(env))
    shown = transition.observations["policy"][:, 9:12]
    assert not np.allclose(shown[0], old[0]), "the time was up: a new command"
    assert shown[1] == pytest.approx(old[1], abs=1e-6)
    for axis, name in enumerate(("command_vx", "command_vy", "command_wz")):
        assert transition.diagnostics[name] == pytest.approx(old[:, axis], abs=1e-6)
    x, y = transition.diagnostics["vel_x"], transition.diagnostics["vel_y"]
    error = (old[:, 0] - x) ** 2 + (old[:, 1] - y) ** 2
    expected = 0.02 * np.exp(-error / 0.25)
    assert transition.reward_terms["track_lin_vel_xy_exp"] == pytest.approx(expected, abs=1e-6)
    assert transition.diagnostics["error_vel_xy"] == pytest.approx(np.sqrt(error), abs=1e-6)


def test_heading_worlds_are_steered_and_standing_worlds_stand(open_env: OpenEnv) -> None:
    env = open_env(ANYMAL, num_envs=3)
    env.reset()
    commands = env._commands
    commands.is_standing[:] = (False, False, True)
    commands.is_heading[:] = (True, False, True)
    commands.command[:] = (0.3, 0.4, 0.5)
    commands.heading_target[:] = 3.0
    env.state.heading_w[:] = (-3.0, 0.0, 0.0)
    commands.steer(env.state)
    # From -3 to 3 rad it is shorter backwards: 6 - 2 pi = -0.283, times the stiffness of 0.5.
    assert commands.command[0] == pytest.approx([0.3, 0.4, 0.5 * (6.0 - 2.0 * np.pi)])
    assert commands.command[1] == pytest.approx([0.3, 0.4, 0.5])
    assert commands.command[2].tolist() == [0.0, 0.0, 0.0]


def test_commands_last_as_long_as_the_task_says(open_env: OpenEnv) -> None:
    training, evaluation = (open_env(ANYMAL, num_envs=2000, training=flag) for flag in (True, False))
    training.reset()
    evaluation.reset()
    times = training._commands.time_left
    assert (times >= 2.0).all() and (times <= 8.0).all() and times.std() == pytest.approx(6.0 / 12**0.5, rel=0.1)
    assert (evaluation._commands.time_left == 10.0).all()
    assert evaluation._commands.is_standing.mean() == pytest.approx(0.02, abs=0.015)
    for axis in (0, 1):
        vel = evaluation._commands.command[~evaluation._commands.is_standing, axis]
        assert np.abs(vel).max() <= 1.0 and vel.std() == pytest.approx(2.0 / 12**0.5, rel=0.1)


def test_resets_are_isaac_labs(open_env: OpenEnv) -> None:
    env = open_env(ANYMAL, num_envs=2000)
    env.reset()
    state, spec = env.state, env.engine.spec
    assert (np.abs(state.root_pos_w[:, :2]) <= 0.5).all() and (state.root_pos_w[:, 2] == 0.6).all()
    assert (state.joint_vel == 0.0).all()
    default = np.array(spec.default_joint_pos)
    assert (state.joint_pos[:, :4] == 0.0).all()
    factor = state.joint_pos[:, 4:] / default[4:]
    assert factor.min() >= 0.5 and factor.max() <= 1.5 and factor.std() == pytest.approx(1 / 12**0.5, rel=0.05)
    # The velocities drawn are those of the centre of mass in the world frame.
    world = np.einsum("nij,nj->ni", state.root_rot_w, state.root_lin_vel_b)
    assert np.abs(world).max() <= 0.5 + 1e-9 and world.std() == pytest.approx(1 / 12**0.5, rel=0.05)
    assert np.abs(state.root_ang_vel_b[:, 2]).max() <= 0.5


def test_randomised_bases_differ_in_mass_and_balance(open_env: OpenEnv) -> None:
    env = open_env(ANYMAL, num_envs=500, training=True)
    body = env.engine.model.body("base")
    added = env.engine.batch.expanded("body_mass")[:, body.id] - body.mass[0]
    assert np.abs(added).max() <= 5.0 and added.std() == pytest.approx(10 / 12**0.5, rel=0.1)
    inertia = env.engine.batch.expanded("body_inertia")[:, body.id]
    assert inertia == pytest.approx(np.outer(1 + added / body.mass[0], body.inertia))
    moved = env.engine.base_com - body.ipos
    assert (np.abs(moved).max(axis=0) <= [0.05, 0.05, 0.01]).all() and (np.abs(moved).max(axis=0) > 0.008).all()
    assert open_env(ANYMAL, num_envs=2).engine.batch.expanded("body_mass") is None


def test_randomised_drives_and_friction_differ_and_the_contract_says_so(open_env: OpenEnv) -> None:
    env = open_env(ANYMAL, num_envs=300, training=True)
    batch, model = env.engine.batch, env.engine.model
    gain, bias = (batch.expanded(f"actuator_{part}prm") for part in ("gain", "bias"))
    factors = (gain[:, :, 0] / 150.0, -bias[:, :, 2] / 5.0)
    for factor in factors:
        assert factor.min() >= 0.8 and factor.max() <= 1.2 and factor.std() == pytest.approx(0.4 / 12**0.5, rel=0.1)
    assert bias[:, :, 1] == pytest.approx(-gain[:, :, 0]), "the drive pulls towards its target"
    assert np.corrcoef(factors[0][:, 0], factors[0][:, 1])[0, 1] == pytest.approx(0.0, abs=0.2), "drive by drive"
    friction = batch.expanded("geom_friction")[:, :, 0] / model.geom_friction[:, 0]
    robot = model.geom_bodyid > 0
    assert (friction[:, ~robot] == 1.0).all() and (np.ptp(friction[:, robot], axis=1) < 1e-12).all()
    assert 0.7 <= friction[:, robot].min() < 0.72 and 1.28 < friction[:, robot].max() <= 1.3
    told = env.contract.randomization
    assert (told["stiffness_factor"], told["damping_factor"], told["friction_factor"]) == (
        [0.8, 1.2],
        [0.8, 1.2],
        [0.7, 1.3],
    )
    assert env.contract.robot.actuator == "implicit_pd" and env.contract.robot.stiffness == (150.0,) * 12


def test_a_payload_leaves_the_gains_that_a_policy_brought(open_env: OpenEnv) -> None:
    env = open_env(with_overrides(find_environment(ANYMAL), ("env.conditions.payload=5",)), num_envs=2)
    env.set_gains([100.0] * 12, [2.0] * 12)
    env.reset(1)
    assert (env.engine.batch.expanded("actuator_gainprm")[:, :, 0] == 100.0).all()


def test_a_push_changes_the_velocity_that_is_seen_next(open_env: OpenEnv) -> None:
    env = open_env(ANYMAL, num_envs=64, training=True)
    env.reset()
    pushes = env._pushes
    pushes.time_left[:] = 9.0
    pushes.time_left[:32] = 0.01
    before = env.engine.qvel[:, :2].copy()
    pushes.update(env.engine, env.state)
    change = env.engine.qvel[:, :2] - before
    assert (change[32:] == 0.0).all()
    assert (np.abs(change[:32]) <= 0.5).all() and change[:32].std() > 0.2
    assert (pushes.time_left[:32] >= 5.0).all() and (pushes.time_left[:32] <= 10.0).all()
    seen = np.einsum("nij,nj->ni", env.state.root_rot_w, env.state.root_lin_vel_b)
    com = np.einsum("nij,nj->ni", env.state.root_rot_w, env.engine.base_com)
    spin = np.einsum("nij,nj->ni", env.state.root_rot_w, env.state.root_ang_vel_b)
    assert seen[:, :2] == pytest.approx((env.engine.qvel[:, :3] + np.cross(spin, com))[:, :2])


def test_evaluation_and_play_are_without_noise_pushes_and_randomisation(open_env: OpenEnv) -> None:
    for env in (open_env(ANYMAL), open_env("Isaac-Velocity-Flat-Anymal-C-Play-v0", training=True)):
        assert env._pushes is None
        assert (env.engine.base_com == env.engine.base_com[0]).all()


def test_shaping_can_fade(open_env: OpenEnv) -> None:
    gone = Reward("gone", lambda state: np.ones(len(state.command)), 2.0, fade_steps=1000)
    task = find_environment(ANYMAL)
    task = replace(task, training=replace(task.training, shaping=Shaping(terms=(gone,))))
    env = open_env(task, num_envs=2, training=True)
    env.reset()
    worth = []
    for env_steps in (0, 498, 998, 5000):
        env.env_steps = env_steps
        worth.append(env.step(still(env)).reward_terms["shaping/gone"][0] / env.step_dt)
    assert worth == pytest.approx([1.996, 1.0, 0.0, 0.0])


def test_an_evaluation_may_be_asked_to_be_harder(open_env: OpenEnv) -> None:
    asked = ("env.conditions.noise=true", "env.conditions.push=1.5", "env.conditions.friction_scale=0.5")
    env = open_env(with_overrides(find_environment(ANYMAL), (*asked, "env.conditions.payload=5")), num_envs=40)
    first = env.reset()["policy"]
    model, nominal = env.engine.model, open_env(ANYMAL, num_envs=1).engine.model
    foot = model.geom("LF_FOOT").friction[0]
    assert foot == pytest.approx(0.5 * nominal.geom("LF_FOOT").friction[0])
    assert model.geom("ground").friction[0] == nominal.geom("ground").friction[0]
    base = model.body("base").id
    assert env.engine.batch.expanded("body_mass")[:, base] == pytest.approx(26.3732 + 5.0)
    assert np.abs(first[:, 24:36]).max() > 1.0, "joints at rest, seen through noise"
    assert env._pushes is not None and env._pushes.cfg.velocity == (-1.5, 1.5)


def test_a_fall_ends_the_episode(open_env: OpenEnv) -> None:
    env = open_env(ANYMAL, num_envs=2)
    env.reset()
    env.engine.qpos[1, 2], env.engine.qpos[1, 3:7] = 0.25, (0.0, 1.0, 0.0, 0.0)  # on its back, just above the ground
    env.engine.qvel[1] = 0.0
    fell = [env.step(still(env)).terminated for _ in range(15)]
    assert not np.any(fell, axis=0)[0]
    assert np.any(fell, axis=0)[1]


def test_a_fall_costs_below_the_floor_and_is_not_reported(open_env: OpenEnv) -> None:
    env = open_env("Isaac-Velocity-Rough-Anymal-C-v0", num_envs=2, training=True)
    env.reset()
    env.engine.qpos[1, 2] += 0.25 - 0.6
    env.engine.qpos[1, 3:7], env.engine.qvel[1] = (0.0, 1.0, 0.0, 0.0), 0.0  # on its back, just above the ground
    env.env_steps = 1_000_000  # half way up the ramp of penalties
    steps = [env.step(still(env)) for _ in range(15)]
    (fell,) = [step for step in steps if step.terminated[1]]
    assert fell.rewards[1] == pytest.approx(-0.5 * FALL, abs=0.1)
    assert fell.rewards[0] >= 0.0 and fell.reward_terms["shaping/fall"][0] == 0.0
    assert abs(fell.task_rewards[1]) < 1.0


def test_a_diverged_world_is_reset_and_counted_nowhere(open_env: OpenEnv) -> None:
    env = open_env(ANYMAL, num_envs=4, training=True)
    env.reset()
    env.step(still(env))
    env.engine.qvel[1] = np.nan
    env.engine.qvel[2, 8] = 5e4  # finite, but no robot
    transition = env.step(still(env))
    assert transition.diverged is not None
    assert transition.diverged.tolist() == [False, True, True, False]
    assert transition.terminated.tolist() == [False, True, True, False]
    assert transition.rewards[1:3].tolist() == transition.task_rewards[1:3].tolist() == [0.0, 0.0]
    assert all(np.isfinite(value).all() for value in transition.reward_terms.values())
    assert not [tag for tag in transition.log if tag.startswith(("Episode_Reward/", "Metrics/"))], "no mean over none"
    assert transition.log["Episode_Termination/diverged"] == 2
    assert all(np.isfinite(array).all() for array in transition.observations.values())
    after = env.step(still(env))
    assert not after.diverged.any()
    assert env.episode_length.tolist() == [3, 1, 1, 3]


def test_an_action_that_is_no_number_is_a_divergence_not_a_crash(open_env: OpenEnv) -> None:
    env = open_env(ANT, num_envs=2)
    env.reset()
    actions = still(env)
    actions[0, 3] = np.nan
    transition = env.step(actions)
    assert transition.diverged.tolist() == [True, False]
    assert np.isfinite(transition.observations["policy"]).all()


def test_air_times_are_those_of_isaac_labs_sensor() -> None:
    from gaitway_runtime.simulators.mujoco.engine import _no_contact, time_contacts

    contact = _no_contact(1, 1, timed=True)
    air, ground = [[[False]] * 4], [[[True]] * 4]
    late = [[[False], [False], [False], [True]]]
    for _ in range(5):
        time_contacts(contact, np.array(air), 0.005)
    assert contact.air_time == pytest.approx(0.1) and not contact.first_contact.any()
    time_contacts(contact, np.array(late), 0.005)
    # Three more steps in the air; the sensor adds the step of the touchdown to the flight.
    assert contact.last_air_time == pytest.approx(0.12)
    assert contact.air_time == 0.0 and contact.contact_time == pytest.approx(0.005) and contact.first_contact.all()
    time_contacts(contact, np.array(ground), 0.005)
    assert contact.contact_time == pytest.approx(0.025) and not contact.first_contact.any()


def test_shaping_is_beside_the_reward_and_can_be_left_out(open_env: OpenEnv) -> None:
    shaped, plain = (open_env(ANYMAL, num_envs=32, training=True, shaping=flag) for flag in (True, False))
    actions = np.random.default_rng(0).normal(size=(32, 12)).astype(np.float32)
    for env in (shaped, plain):
        env.reset()
    for _ in range(5):
        with_it, without = shaped.step(actions), plain.step(actions)
    assert np.array_equal(with_it.task_rewards, without.task_rewards)
    assert np.array_equal(without.rewards, without.task_rewards)
    assert not [name for name in without.reward_terms if name.startswith("shaping/")]
    assert (with_it.rewards >= 0.0).all() and (with_it.rewards != with_it.task_rewards).any()


def test_the_penalty_ramp_follows_the_environment_steps(open_env: OpenEnv) -> None:
    env = open_env(ANYMAL, num_envs=4, training=True)
    env.reset()
    penalties = ("lin_vel_z_l2", "ang_vel_xy_l2", "dof_torques_l2", "dof_acc_l2", "action_rate_l2", "feet_air_time")
    penalties += ("undesired_contacts", "flat_orientation_l2")
    for steps, relief in ((0, -0.7), (500_000, -0.35), (1_000_000, 0.0), (9_000_000, 0.0)):
        env.env_steps = steps - env.num_envs
        terms = env.step(still(env)).reward_terms
        expected = relief * np.sum([terms[name] for name in penalties], axis=0)
        assert terms["shaping/penalty_relief"] == pytest.approx(expected, abs=1e-6)


def test_the_log_has_isaac_labs_tags(open_env: OpenEnv) -> None:
    env = open_env(ANYMAL, num_envs=2, training=True)
    env.reset()
    sums = np.zeros(2)
    for _ in range(3):
        sums += env.step(still(env)).reward_terms["dof_torques_l2"]
    env.episode_length[0] = env.max_episode_length - 1
    transition = env.step(still(env))
    sums += transition.reward_terms["dof_torques_l2"]
    assert transition.log["Episode_Reward/dof_torques_l2"] == pytest.approx(sums[0] / 20.0, rel=1e-5)
    assert transition.log["Episode_Termination/time_out"] == 1.0
    assert {"Metrics/base_velocity/error_vel_xy", "Episode_Shaping/long_steps"} <= set(transition.log)
    assert env.step(still(env)).log == {}


def test_the_simulator_is_opened_from_a_job() -> None:
    simulator = base.load("mujoco")
    assert simulator.availability().present
    env = simulator.open_env(TrainJob(task="Isaac-Cartpole", shaping=False), num_envs=3, training=True, seed=0)
    assert env.task == "Isaac-Cartpole-v0"
    assert env.step_dt == pytest.approx(1 / 60) and env.max_episode_length == 300
    env.close()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads as Linux shows them")
def test_closing_ends_the_threads() -> None:
    def threads() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    before = threads()
    env = MujocoEnv(find_environment(ANYMAL), num_envs=4, training=False, seed=0, nthread=4)
    env.reset()
    env.step(still(env))
    assert threads() > before
    env.close()
    assert threads() == before


def test_overrides_reach_the_task() -> None:
    texts = ("env.command.lin_vel_x=[0.5,1.5]", "env.episode_length_s=4", "agent.seed=3")
    job = TrainJob(task=ANYMAL, overrides=texts)
    env = base.load("mujoco").open_env(job, num_envs=50, training=False, seed=0)
    env.reset()
    walking = env._commands.command[~env._commands.is_standing, 0]
    assert env.max_episode_length == 200
    assert walking.min() >= 0.5 and walking.max() > 1.0
    env.close()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("env.command.lin_vel_x=[1,-1]", "no range"),
        ("env.command.lin_vel=1", "unknown key"),
        ("env.command.lin_vel_x=fast", "is not"),
        ("env.decimation=0", "decimation"),
        ("env.decimation=8", "in training"),
        ("env.conditions.friction_scale=0", "friction_scale"),
        ("env.conditions.payload=-5", "payload"),
        ("env.rewards=none", "not a number"),
    ],
)
def test_an_override_that_cannot_be_right_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        base.load("mujoco").open_env(TrainJob(task=ANYMAL, overrides=(text,)), num_envs=1, training=False, seed=0)
