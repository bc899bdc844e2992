"""Every observation slice, against MuJoCo's own kinematics or a value worked out by hand."""

import math
from collections.abc import Iterator

import mujoco
import numpy as np
import pytest
from gaitway_runtime.simulators.mujoco.engine import root_motion
from gaitway_runtime.simulators.mujoco.env import MujocoEnv

from .conftest import OpenEnv

ANYMAL, ANT, CARTPOLE = "Isaac-Velocity-Flat-Anymal-C-v0", "Isaac-Ant-v0", "Isaac-Cartpole-v0"


@pytest.fixture
def tumbled(open_env: OpenEnv) -> Iterator[object]:
    """Make an environment whose worlds are in random states, and MuJoCo's data of world 1 in that state."""

    def make(task: str) -> tuple[MujocoEnv, np.ndarray, mujoco.MjData]:
        env = open_env(task)
        env.reset()
        env.step(np.full((4, env.num_actions), 0.25, np.float32))
        rng = np.random.default_rng(0)
        engine = env.engine
        engine.qpos[:] = rng.normal(size=engine.qpos.shape)
        engine.qpos[:, 3:7] /= np.linalg.norm(engine.qpos[:, 3:7], axis=1, keepdims=True)
        engine.qvel[:] = rng.normal(size=engine.qvel.shape)
        engine.read_motion(env.state)
        data = mujoco.MjData(engine.model)
        data.qpos[:], data.qvel[:] = engine.qpos[1], engine.qvel[1]
        mujoco.mj_forward(engine.model, data)
        return env, env._observe()["policy"][1], data

    yield make


def terms(env: MujocoEnv) -> dict[str, slice]:
    return {term.name: slice(term.start, term.stop) for term in env.contract.observations}


def velocity_of(env: MujocoEnv, data: mujoco.MjData) -> np.ndarray:
    """Angular and linear velocity of the base's centre of mass in the base frame, as MuJoCo computes them."""
    model, found = env.engine.model, np.zeros(6)
    body = model.body(env.engine.spec.base).id
    mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_BODY, body, found, 0)
    turn = data.xmat[body].reshape(3, 3).T
    return np.concatenate((turn @ found[:3], turn @ found[3:]))


def test_anymal_layout_is_isaac_labs(open_env: OpenEnv) -> None:
    env = open_env(ANYMAL)
    assert [(term.name, term.start, term.stop) for term in env.contract.observations] == [
        ("base_lin_vel", 0, 3),
        ("base_ang_vel", 3, 6),
        ("projected_gravity", 6, 9),
        ("velocity_commands", 9, 12),
        ("joint_pos", 12, 24),
        ("joint_vel", 24, 36),
        ("actions", 36, 48),
    ]


def test_anymal_slices(tumbled) -> None:
    env, obs, data = tumbled(ANYMAL)
    at, motion = terms(env), velocity_of(env, data)
    base = data.body("base").xmat.reshape(3, 3)
    assert obs[at["base_lin_vel"]] == pytest.approx(motion[3:], abs=1e-6)
    assert obs[at["base_ang_vel"]] == pytest.approx(motion[:3], abs=1e-6)
    assert obs[at["projected_gravity"]] == pytest.approx(base.T @ [0, 0, -1], abs=1e-6)
    assert obs[at["velocity_commands"]] == pytest.approx(env.state.command[1], abs=1e-6)
    names = env.contract.robot.joint_names
    default = [0, 0, 0, 0, 0.4, -0.4, 0.4, -0.4, -0.8, 0.8, -0.8, 0.8]
    expected = [data.joint(name).qpos[0] - offset for name, offset in zip(names, default, strict=True)]
    assert obs[at["joint_pos"]] == pytest.approx(expected, abs=1e-6)
    assert obs[at["joint_vel"]] == pytest.approx([data.joint(name).qvel[0] for name in names], abs=1e-6)
    assert obs[at["actions"]].tolist() == [0.25] * 12


def test_the_base_velocity_is_that_of_the_centre_of_mass() -> None:
    # Upright, turned left by 90 degrees, 2 m/s along the world's y (its own x), 3 rad/s about z, COM 0.1 m to its left.
    quat = [math.sqrt(0.5), 0, 0, math.sqrt(0.5)]
    qpos, qvel = np.array([[0, 0, 0.5, *quat]]), np.array([[0, 2.0, 0, 0, 0, 3.0]])
    motion = root_motion(qpos, qvel, np.array([[0.0, 0.1, 0.0]]))
    assert motion["root_lin_vel_b"][0] == pytest.approx([2.0 - 0.3, 0.0, 0.0])
    assert motion["root_ang_vel_b"][0] == pytest.approx([0, 0, 3.0])
    assert motion["projected_gravity_b"][0] == pytest.approx([0, 0, -1])
    assert motion["heading_w"][0] == pytest.approx(math.pi / 2)


def test_ant_layout_is_isaac_labs(open_env: OpenEnv) -> None:
    env = open_env(ANT)
    sizes = [term.stop - term.start for term in env.contract.observations]
    assert sizes == [1, 3, 3, 2, 1, 1, 1, 8, 8, 24, 8]
    assert env.observation_sizes == {"policy": 60}
    assert any("does not carry over" in note for note in env.contract.conventions["notes"])


def test_ant_slices(tumbled) -> None:
    env, obs, data = tumbled(ANT)
    at, motion = terms(env), velocity_of(env, data)
    torso = data.body("torso").xmat.reshape(3, 3)
    yaw, roll = math.atan2(torso[1, 0], torso[0, 0]), math.atan2(torso[2, 1], torso[2, 2])
    x, y, z = data.body("torso").xpos
    to_target = np.array([1000.0 - x, -y])
    assert obs[at["base_height"]] == pytest.approx([z], abs=1e-6)
    assert obs[at["base_lin_vel"]] == pytest.approx(motion[3:], abs=1e-6)
    assert obs[at["base_ang_vel"]] == pytest.approx(motion[:3], abs=1e-6)
    assert obs[at["base_yaw_roll"]] == pytest.approx([yaw, roll], abs=1e-6)
    bearing = math.atan2(to_target[1], to_target[0]) - yaw
    assert obs[at["base_angle_to_target"]] == pytest.approx(
        [math.atan2(math.sin(bearing), math.cos(bearing))], abs=1e-5
    )
    assert obs[at["base_up_proj"]] == pytest.approx([torso[2, 2]], abs=1e-6)
    heading = torso[:2, 0] @ to_target / np.linalg.norm(to_target)
    assert obs[at["base_heading_proj"]] == pytest.approx([heading], abs=1e-6)
    joints = [data.joint(name) for name in env.contract.robot.joint_names]
    ranges = [env.engine.model.joint(name).range for name in env.contract.robot.joint_names]
    normal = [(2 * j.qpos[0] - low - high) / (high - low) for j, (low, high) in zip(joints, ranges, strict=True)]
    assert obs[at["joint_pos_norm"]] == pytest.approx(normal, abs=1e-5)
    assert obs[at["joint_vel_rel"]] == pytest.approx([0.2 * joint.qvel[0] for joint in joints], abs=1e-6)
    assert obs[at["actions"]].tolist() == [0.25] * 8


def test_the_foot_wrench_carries_the_foot(open_env: OpenEnv) -> None:
    """At rest the leg's pull on a foot, the ground's push and the foot's weight add up to nothing."""
    env = open_env(ANT, num_envs=1)
    env.reset()
    for _ in range(240):
        transition = env.step(np.zeros((1, 8), np.float32))
    assert not transition.terminated.any()
    model, data = env.engine.model, env.engine.batch.get_data(0)
    mujoco.mj_forward(model, data)
    assert np.abs(data.qvel).max() < 0.05, "the ant has not come to rest"
    wrench = transition.observations["policy"][0, terms(env)["feet_body_forces"]].reshape(4, 6) / 0.1
    for number, foot in enumerate(env.engine.spec.wrench_bodies):
        body, turn = data.body(foot), data.body(foot).xmat.reshape(3, 3)
        weight = model.body(foot).mass[0] * model.opt.gravity
        loads = [(body.xipos, weight), *ground_forces(model, data, foot)]
        force = sum(load for _, load in loads)
        torque = sum(np.cross(point - body.xpos, load) for point, load in loads)
        assert turn @ wrench[number, :3] == pytest.approx(-force, abs=0.01)
        assert turn @ wrench[number, 3:] == pytest.approx(-torque, abs=0.01)


def ground_forces(model: mujoco.MjModel, data: mujoco.MjData, body: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Points and forces of the ground on a body, in the world frame."""
    found = []
    for number, contact in enumerate(data.contact):
        if model.body(body).id in model.geom_bodyid[contact.geom]:
            force = np.zeros(6)
            mujoco.mj_contactForce(model, data, number, force)
            found.append((contact.pos, contact.frame.reshape(3, 3).T @ force[:3]))
    return found


def test_cartpole_slices(tumbled, open_env: OpenEnv) -> None:
    env = open_env(CARTPOLE)
    env.reset()
    env.engine.qpos[1], env.engine.qvel[1] = (0.5, -0.2), (1.5, 3.0)
    env.engine.read_motion(env.state)
    assert env._observe()["policy"][1] == pytest.approx([0.5, -0.2, 1.5, 3.0])


def test_noise_is_isaac_labs_and_only_in_training(open_env: OpenEnv) -> None:
    env = open_env(ANYMAL, num_envs=2000, training=True)
    observations = env.reset()
    noise = observations["policy"] - observations["critic"][:, :48]
    width = np.array([0.1] * 3 + [0.2] * 3 + [0.05] * 3 + [0.0] * 3 + [0.01] * 12 + [1.5] * 12 + [0.0] * 12)
    assert (np.abs(noise) <= width + 1e-6).all()
    assert noise.std(axis=0) == pytest.approx(width / math.sqrt(3), rel=0.1, abs=1e-6)
    assert noise.mean(axis=0) == pytest.approx(np.zeros(48), abs=0.08)
    assert list(open_env(ANYMAL).reset()) == ["policy"]


def test_privileged_observations(open_env: OpenEnv) -> None:
    env = open_env(ANYMAL, training=True)
    env.reset()
    feet = env.state.contacts["feet"]
    feet.air_time[0], feet.contact_time[0] = (0.1, 2.0, 0, 0), (0, 0, 0.3, 5.0)
    feet.touching[0] = (False, False, True, True)
    env.state.root_pos_w[0, 2] = 0.53
    privileged = env._observe()["critic"][0, 48:]
    assert privileged == pytest.approx([0.1, 1.0, 0, 0, 0, 0, 0.3, 1.0, 0, 0, 1, 1, 0.53])
