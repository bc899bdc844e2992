"""Stairs and boxes with vertical walls: what a foot meets, and what the scan says of it."""

from dataclasses import replace

import mujoco
import numpy as np
import pytest
from gaitway_runtime.simulators.mujoco.env import MujocoEnv
from gaitway_runtime.simulators.mujoco.overrides import with_overrides
from gaitway_runtime.tasks.environment import find_environment
from gaitway_runtime.tasks.terrain import rough_terrain

from .conftest import OpenEnv

ROUGH = "Isaac-Velocity-Rough-Anymal-C-v0"
STAIRS = with_overrides(find_environment(ROUGH), ("env.terrain.kind=pyramid_stairs", "env.terrain.levels=8,8"))
RAMPS = replace(STAIRS, terrain=replace(STAIRS.terrain, walls=False))


def before_a_riser(env: MujocoEnv) -> tuple[float, float]:
    """Put the robot on a step, its left front foot 3 cm before the next riser; return the riser's place and height."""
    env.reset()
    terrain = env._terrain
    origin = env._ground.origins[0]
    riser = float(origin[0] - 3.0 + 0.6)  # of the third step of six, up along x
    low, high = (float(terrain.height_at(np.array([riser + d]), np.array([origin[1]]))[0]) for d in (-0.05, 0.05))
    assert high - low > 0.18
    foot = env.engine.model.body("LF_FOOT")
    data = mujoco.MjData(env.engine.model)
    data.qpos[:] = env.engine.qpos[0]
    data.qpos[:7] = (0, 0, 0, 1, 0, 0, 0)
    data.qpos[7:] = np.array(env.engine.spec.default_joint_pos)[np.argsort(env.engine.layout.joint_qpos)]
    mujoco.mj_kinematics(env.engine.model, data)
    at = data.xpos[foot.id]
    env.engine.qpos[0] = data.qpos
    env.engine.qpos[0, :3] = (riser - 0.06 - at[0], origin[1] - at[1], low + 0.05 - at[2])
    env.engine.qvel[:] = 0.0
    env.engine.read_motion(env.state)
    return riser, high - low


def pushed_forward(env: MujocoEnv, riser: float) -> np.ndarray:
    """Push the robot forward; return how far its left front foot's front went beyond the riser at each step [m]."""
    foot = env.engine.spec.contact_bodies["feet"].index("LF_FOOT")
    beyond = []
    for _ in range(12):
        env.engine.qvel[0, 0] = 0.8
        env.step(np.zeros((1, 12), np.float32))
        beyond.append(env.state.foot_pos_w[0, foot, 0] + 0.03 - riser)
    return np.array(beyond)


def test_a_foot_stops_at_a_riser_and_before_it_at_a_ramp(open_env: OpenEnv) -> None:
    wall, ramp = open_env(STAIRS, num_envs=1), open_env(RAMPS, num_envs=1)
    riser, _ = before_a_riser(wall)
    stopped = pushed_forward(wall, riser)
    assert stopped[2:].min() > -0.01 and stopped.max() < 0.005, "it comes to the riser and no further"
    riser, _ = before_a_riser(ramp)
    assert pushed_forward(ramp, riser)[2:].max() < -0.02, "a ramp begins half a cell before the riser"


def test_what_a_foot_stands_on_is_what_the_scan_says(open_env: OpenEnv) -> None:
    kinds = with_overrides(find_environment(ROUGH), ("env.terrain.levels=5,9",))
    env = open_env(kinds, num_envs=40)
    env.reset()
    rng = np.random.default_rng(0)
    terrain, sides = env._terrain, 0
    # Anywhere on the tiles, not only at their level middles.
    env.engine.qpos[:, :2] += rng.uniform(-3.0, 3.0, (40, 2))
    env.engine.qpos[:, 2] += 3.0
    env.step(np.zeros((40, 12), np.float32))
    env._walls.place(env.state)
    env.engine.batch.forward()
    down = np.array([0.0, 0.0, -1.0])
    for world in range(0, 40, 3):
        for foot in range(4):
            x, y = env.state.foot_pos_w[world, foot, :2] + 0.01 * env.state.foot_vel_w[world, foot, :2]
            points = np.array([(x + dx, y + dy, 1.9) for dx in (-0.045, 0.0, 0.045) for dy in (-0.045, 0.0, 0.045)])
            dist, geom = env.engine.batch.ray(points, down, ids=[world])
            mocap = env.engine.model.body_mocapid[env.engine.model.geom_bodyid[geom[0]]] >= 0
            ground = mocap | (env.engine.model.geom_bodyid[geom[0]] == 0)
            seen = terrain.height_at(points[:, 0], points[:, 1])
            if env._ground.kinds[world] < 3:
                assert (1.9 - dist[0])[ground] == pytest.approx(seen[ground], abs=2e-3)
            sides += int(mocap.sum())
    assert sides > 50, "columns were met"


def test_slopes_and_random_ground_have_no_columns_and_walls_no_ramps() -> None:
    plain, walled = rough_terrain(), rough_terrain(walls=True)
    assert np.array_equal(plain.heights, walled.heights) and plain.columns is None
    stands = walled.columns > -10
    assert (walled.columns[stands] == walled.heights[stands]).all()
    assert (walled.field <= walled.heights).all()
    cells = 80
    for column, wanted in ((0, True), (4, True), (8, True), (12, False), (16, False), (18, False)):
        tile = (slice(5 * cells, 6 * cells), slice(column * cells, (column + 1) * cells))
        assert stands[tile].any() == wanted
        assert (walled.field[tile] != walled.heights[tile]).any() == wanted
    across = stands[6 * cells : 7 * cells, 40]
    assert across[9:13].tolist() == [False, True, True, False], "two of the three cells of a step stand"


def test_columns_are_no_part_of_the_robots_contract(open_env: OpenEnv) -> None:
    walled, plain = open_env(STAIRS, num_envs=1).contract, open_env(RAMPS, num_envs=1).contract
    assert walled.robot.body_names == plain.robot.body_names and walled.contacts == plain.contacts
    assert walled.robot.model_sha256 != plain.robot.model_sha256


def test_a_larger_foot_has_more_columns(open_env: OpenEnv) -> None:
    env = open_env(find_environment("Isaac-Velocity-Rough-H1-v0"), num_envs=2)
    env.reset()
    env.step(np.zeros((2, 19), np.float32))
    reach = np.hypot(0.15, 0.03) + 0.02
    assert env._walls._sides == [5, 5] and reach <= 5 * 0.05 - 0.05


@pytest.mark.parametrize("robot", ["Anymal-C", "Unitree-Go2", "H1", "G1"])
def test_ground_without_walls_carries_a_robot_as_before(open_env: OpenEnv, robot: str) -> None:
    slope = ("env.terrain.kind=hf_pyramid_slope", "env.terrain.levels=5,5")
    task = find_environment(f"Isaac-Velocity-Rough-{robot}-v0")
    found = []
    for walls in ("true", "false"):
        env = open_env(with_overrides(task, (*slope, f"env.terrain.walls={walls}")), num_envs=2)
        env.reset()
        for _ in range(25):
            env.step(np.zeros((2, env.num_actions), np.float32))
        found.append(env.engine.qpos.copy())
    assert found[0] == pytest.approx(found[1], abs=1e-6)


def test_columns_weigh_nothing(open_env: OpenEnv) -> None:
    walled, plain = (open_env(task, num_envs=1).engine.model.body_mass.sum() for task in (STAIRS, RAMPS))
    assert walled == pytest.approx(plain), "the robot's cost of transport goes by its mass"


@pytest.mark.parametrize("training", [False, True])
def test_feet_stand_on_steps_above_the_origin_where_masses_vary_too(open_env: OpenEnv, training: bool) -> None:
    env = open_env(with_overrides(STAIRS, ("env.terrain.flat_steps=0",)), num_envs=16, training=training)
    env.reset()
    env.engine.qpos[:, 0] += np.linspace(-2.5, 2.5, 16)
    env.engine.qpos[:, 2] += 0.1
    env.engine.read_motion(env.state)
    for _ in range(15):
        env.step(np.zeros((16, 12), np.float32))
    feet = env.state.foot_pos_w
    under = feet[:, :, 2] - 0.03 - env._terrain.height_at(feet[:, :, 0], feet[:, :, 1])
    assert under.min() > -0.02, "none has sunk into a step"
