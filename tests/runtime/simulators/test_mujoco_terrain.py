"""Rough ground: the shapes of its tiles, what the robot sees of it, and how training makes it harder."""

import warnings

import mujoco
import numpy as np
import pytest
from gaitway_runtime.simulators.mujoco.models import build_model
from gaitway_runtime.simulators.mujoco.overrides import with_overrides
from gaitway_runtime.spec.errors import UsageError
from gaitway_runtime.tasks.environment import find_environment
from gaitway_runtime.tasks.mdp import observations
from gaitway_runtime.tasks.terrain import AROUND, COLUMNS, KINDS, LEVELS, TILE, rough_terrain

from .conftest import OpenEnv

ROUGH = "Isaac-Velocity-Rough-Anymal-C-v0"
PLAY = "Isaac-Velocity-Rough-Anymal-C-Play-v0"
TERRAIN = rough_terrain()


def tile(level: int, column: int) -> np.ndarray:
    cells = round(TILE / 0.1)
    return TERRAIN.heights[level * cells : (level + 1) * cells, column * cells : (column + 1) * cells]


def test_the_columns_are_isaac_labs() -> None:
    assert [(name, columns) for name, _, columns in KINDS] == [
        ("pyramid_stairs", 4),
        ("pyramid_stairs_inv", 4),
        ("boxes", 4),
        ("random_rough", 4),
        ("hf_pyramid_slope", 2),
        ("hf_pyramid_slope_inv", 2),
    ]
    assert TERRAIN.heights.shape == (800, 1600)
    assert TERRAIN.origins.shape == (LEVELS, COLUMNS, 3)


def test_stairs_have_seven_rises_of_the_levels_height() -> None:
    middle = tile(6, 0)[:, 40].astype(float)
    rises = np.diff(middle)
    step = rises[rises > 0]
    assert len(step) == 7 and step == pytest.approx(np.full(7, step[0]), abs=1e-6)
    assert 0.05 + 0.18 * 0.6 <= step[0] <= 0.05 + 0.18 * 0.7
    assert (middle[:10] == 0.0).all(), "a border of one metre"
    assert np.flatnonzero(rises > 0).tolist() == [9, 12, 15, 18, 21, 24, 27], "steps of 0.3 m"
    assert TERRAIN.origins[6, 0, 2] == pytest.approx(7 * step[0], abs=1e-6)
    assert TERRAIN.origins[6, 4, 2] == pytest.approx(tile(6, 4).min()), "in the pit of the inverted stairs"


def test_slopes_boxes_and_rough_ground() -> None:
    slope = tile(9, 16)
    assert 0.35 <= np.diff(slope[:, 40]).max() / 0.1 <= 0.4
    assert slope[30:50, 30:50].std() == pytest.approx(0.0, abs=1e-6), "a platform of two metres"
    boxes = tile(9, 8)
    assert 0.05 + 0.15 * 0.9 <= np.abs(boxes).max() <= 0.2
    assert len(np.unique(boxes)) <= 17 * 17 + 2
    for level in (0, 9):
        rough = tile(level, 12)
        assert np.unique(rough[5:-5, 5:-5]) == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])
        assert (rough[:2] == 0.0).all()


def test_every_tile_meets_its_neighbours_on_the_level() -> None:
    for level in range(LEVELS):
        for column in range(COLUMNS):
            heights = tile(level, column)
            assert (np.concatenate((heights[0], heights[-1], heights[:, 0], heights[:, -1])) == 0.0).all()


def test_the_contract_has_the_height_scan(open_env: OpenEnv) -> None:
    env = open_env(ROUGH)
    last = env.contract.observations[-1]
    assert (last.name, last.start, last.stop, last.clip, last.noise) == ("height_scan", 48, 235, (-1, 1), (-0.1, 0.1))
    assert env.contract.conventions["height_scan"]["points"] == [17, 11]


def test_the_scan_sees_what_rays_would_hit(open_env: OpenEnv) -> None:
    env = open_env(ROUGH, num_envs=40)
    env.reset()
    state = env.state
    scan = observations.height_scan(state, offset=0.5)
    for world in range(0, 40, 3):
        x, y, z = state.root_pos_w[world]
        cos, sin = np.cos(state.heading_w[world]), np.sin(state.heading_w[world])
        grid = [(gx, gy) for gy in np.arange(-5, 6) / 10 for gx in np.arange(-8, 9) / 10]
        points = np.array([(x + cos * gx - sin * gy, y + sin * gx + cos * gy, 20.0) for gx, gy in grid])
        dist, geom = env.engine.batch.ray(points, np.array([0.0, 0.0, -1.0]), ids=[world])
        ground = env.engine.model.geom_bodyid[geom[0]] == 0  # the rays of MuJoCo also meet the robot
        error = np.abs(scan[world] - (z - (20.0 - dist[0]) - 0.5))[ground]
        assert ground.sum() > 100
        # The nearest sample, against the surface between samples: they differ at walls only.
        assert np.median(error) < 0.015 and error.max() < 0.2


def test_standing_at_the_nominal_height_the_scan_reads_a_little_above_zero(open_env: OpenEnv) -> None:
    env = open_env(ROUGH, num_envs=1)
    env.reset()
    env.engine.qpos[0, :7] = (0.0, 90.0, 0.55, 1, 0, 0, 0)  # on the flat ground around the field
    env.engine.read_motion(env.state)
    assert env._observe()["policy"][0, 48:] == pytest.approx(np.full(187, 0.05), abs=1e-6)


def test_robots_start_on_their_tiles_and_stand_there(open_env: OpenEnv) -> None:
    env = open_env(ROUGH, num_envs=100)
    env.reset()
    home = TERRAIN.origins[env._ground.levels, env._ground.columns]
    assert (np.abs(env.state.root_pos_w[:, :2] - home[:, :2]) <= 0.5).all()
    assert env.state.root_pos_w[:, 2] == pytest.approx(home[:, 2] + 0.6)
    assert np.bincount(env._ground.kinds).tolist() == [20, 20, 20, 20, 10, 10]
    fallen = np.zeros(100, bool)
    for _ in range(25):
        fallen |= env.step(np.zeros((100, 12), np.float32)).terminated
    assert fallen.mean() < 0.1
    height = observations.base_height(env.state)
    assert np.median(height) == pytest.approx(0.52, abs=0.05)


def test_the_curriculum_is_isaac_labs(open_env: OpenEnv) -> None:
    env = open_env(ROUGH, num_envs=5, training=True)
    env.reset()
    ground, state = env._ground, env.state
    ground._beside[:] = False
    ground.rows[:] = (3, 3, 3, 9, 0)
    state.root_pos_w[:] = ground.origins
    state.command[:] = (0.5, 0.0, 0.0)  # asks for 10 m in an episode: 5 m are half of it
    walked = np.array([4.5, 3.9, 5.5, 4.5, 0.0])
    state.command[1] = (0.3, 0.0, 0.0)  # 3.9 m are more than half of 6 m
    state.root_pos_w[:, 0] += walked
    log = ground.choose(np.arange(5), state, 20.0, env_steps=0)
    assert ground.levels[:3].tolist() == [4, 3, 4]
    assert 0 <= ground.levels[3] < LEVELS, "beyond the last level: any"
    assert ground.levels[4] == 0, "not below the first"
    assert log == {"Curriculum/terrain_levels": pytest.approx(ground.levels.mean())}


def test_training_starts_beside_the_field_until_the_robot_walks(open_env: OpenEnv) -> None:
    env = open_env(ROUGH, num_envs=50, training=True)
    scan = env.reset()["critic"][:, 48:235]
    ground, drawn = env._ground, env._ground.levels.copy()
    outside = np.abs(env.state.root_pos_w[:, 0]) - ground.terrain.half_size[0]
    assert (np.abs(outside - AROUND / 2) <= 0.5).all()
    assert scan == pytest.approx(np.full((50, 187), 0.1), abs=1e-6), "flat, seen from 0.6 m"
    for env_steps, beside in ((0, True), (ground.cfg.flat_steps, False)):
        env.env_steps = env_steps
        env.episode_length = np.full(50, env.max_episode_length - 1)
        log = env.step(np.zeros((50, 12), np.float32)).log
        assert (np.abs(env.state.root_pos_w[:, 0]) > ground.terrain.half_size[0]).all() == beside
        assert (ground.levels == drawn).all(), "what happens there says nothing of the levels"
        assert log["Curriculum/terrain_levels"] == pytest.approx(drawn.mean())
    env.episode_length = np.full(50, env.max_episode_length - 1)
    env.step(np.zeros((50, 12), np.float32))
    assert ground.levels.mean() < drawn.mean(), "none of them walked"


def test_episodes_begin_on_isaac_labs_levels_and_evaluation_draws_them_anew(open_env: OpenEnv) -> None:
    evaluation, training = (open_env(ROUGH, num_envs=400, training=flag) for flag in (False, True))
    assert set(evaluation._ground.levels) == set(training._ground.levels) == set(range(6))
    play = open_env(PLAY, num_envs=400, training=True)
    assert set(play._ground.levels) == set(play._ground.terrain.levels.ravel())
    before = evaluation._ground.levels.copy()
    evaluation.reset()
    evaluation.episode_length = np.full(400, evaluation.max_episode_length - 1)
    transition = evaluation.step(np.zeros((400, 12), np.float32))
    assert transition.diagnostics["terrain_level"].tolist() == before.tolist(), "of the episode that ended"
    assert (evaluation._ground.levels != before).any()


def test_training_can_begin_at_the_lowest_level(open_env: OpenEnv) -> None:
    cfg = with_overrides(find_environment(ROUGH), ("env.terrain.easy_start=true", "env.terrain.levels=2,5"))
    training, evaluation = (open_env(cfg, num_envs=100, training=flag) for flag in (True, False))
    assert set(training._ground.levels) == {2} and len(set(training._ground.kinds)) == 6
    assert set(evaluation._ground.levels) == {2, 3, 4, 5}


@pytest.mark.parametrize("broken", [np.nan, 1e8])
def test_a_world_that_diverges_on_rough_ground_is_counted_and_reset(open_env: OpenEnv, broken: float) -> None:
    env = open_env(ROUGH, num_envs=20, training=True)
    env.env_steps = env._ground.cfg.flat_steps
    env.reset()
    level = env._ground.levels[3]
    env.engine.qpos[3, :2], env.engine.qvel[3, 0] = broken, broken
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        transition = env.step(np.zeros((20, 12), np.float32))
    assert np.flatnonzero(transition.diverged).tolist() == [3]
    assert transition.log["Episode_Termination/diverged"] == 1.0
    assert np.isfinite(transition.rewards).all() and transition.task_rewards[3] == 0.0
    assert all(np.isfinite(values).all() for values in transition.observations.values())
    assert env._ground.levels[3] == level, "it says nothing of the ground"


def test_a_level_can_be_chosen_but_not_one_that_does_not_exist() -> None:
    task = with_overrides(find_environment(ROUGH), ("env.terrain.levels=3,3",))
    assert task.terrain is not None and task.terrain.levels == (3, 3)
    with pytest.raises(UsageError, match="level of the terrain"):
        with_overrides(find_environment(ROUGH), ("env.terrain.levels=3,12",))


def test_one_kind_of_ground_can_be_asked_for(open_env: OpenEnv) -> None:
    only = ("env.terrain.kind=boxes", "env.terrain.levels=6,7")
    env = open_env(with_overrides(find_environment(ROUGH), only), num_envs=60)
    env.reset()
    assert set(env._ground.kinds) == {2} and set(env._ground.levels) == {6, 7}
    assert set(env._ground.columns) == {8, 9, 10, 11}
    with pytest.raises(UsageError, match="no ground of the kind 'stairs'") as caught:
        with_overrides(find_environment(ROUGH), ("env.terrain.kind=stairs",))
    assert "pyramid_stairs" in caught.value.allowed and "random_rough" in caught.value.allowed


def test_the_play_tasks_ground_is_five_by_five_tiles_of_any_kind(open_env: OpenEnv) -> None:
    env = open_env(PLAY, num_envs=300)
    env.reset()
    ground = env._ground
    assert ground.terrain.kinds.shape == (5, 5) and ground.terrain.heights.shape == (400, 400)
    assert len(set(ground.terrain.kinds[:, 0])) > 1, "a column is not of one kind"
    assert len({*zip(ground.rows, ground.columns, strict=True)}) == 25
    assert (env.state.terrain_kind == ground.kinds).all() and (env.state.terrain_level == ground.levels).all()
    assert np.abs(env.state.root_pos_w[:, :2] - ground.origins[:, :2]).max() <= 0.5
    assert env.contract.robot.joint_names == open_env(ROUGH, num_envs=1).contract.robot.joint_names
    with pytest.raises(UsageError, match="no tile"):
        with_overrides(find_environment(PLAY), ("env.terrain.kind=hf_pyramid_slope", "env.terrain.levels=9,9"))


def test_a_part_of_the_ground_is_where_the_whole_has_it() -> None:
    part = TERRAIN.around(np.array([[3.0, -20.0], [9.0, -18.0]]), margin=6.0)
    assert part.heights.size < TERRAIN.heights.size / 40
    x, y = np.random.default_rng(0).uniform((-2, -25), (14, -13), (500, 2)).T
    assert np.array_equal(part.height_at(x, y), TERRAIN.height_at(x, y))
    model = build_model(ROUGH, around=np.array([[3.0, -20.0], [9.0, -18.0]]))
    data = mujoco.MjData(model)
    data.qpos[2] = 50.0
    mujoco.mj_forward(model, data)
    for at in zip(x[:20], y[:20], strict=True):
        hit = 20.0 - mujoco.mj_ray(model, data, [*at, 20.0], [0, 0, -1.0], None, 1, -1, np.zeros(1, np.int32))
        assert hit == pytest.approx(TERRAIN.height_at(*np.array(at)[:, None])[0], abs=0.2)


def test_rough_rewards_differ_where_isaac_labs_do() -> None:
    flat, rough = (
        {term.name: term.weight for term in find_environment(name).rewards}
        for name in ("Isaac-Velocity-Flat-Anymal-C-v0", ROUGH)
    )
    changed = {name: weight for name, weight in rough.items() if weight != flat[name]}
    assert changed == {"dof_torques_l2": -1.0e-5, "feet_air_time": 0.125, "flat_orientation_l2": 0.0}
