"""The mirror maps: algebra, and the physics in the mirror."""

from dataclasses import replace

import numpy as np
import pytest
from gaitway_runtime.simulators.base import Mirror, SignedPermutation
from gaitway_runtime.simulators.mujoco.tasks import TASKS, find_task
from gaitway_runtime.simulators.mujoco.tasks.symmetry import mirrors

from .conftest import OpenEnv


def apply(mirror: SignedPermutation, values: np.ndarray) -> np.ndarray:
    return values[..., mirror.index] * mirror.sign


ANYMAL = find_task("Isaac-Velocity-Flat-Anymal-C-v0")


def test_only_the_quadruped_has_mirrors() -> None:
    assert {name: len(mirrors(task)) for name, task in TASKS.items() if task.robot != "anymal_c"} == {
        "Isaac-Cartpole-v0": 0,
        "Isaac-Ant-v0": 0,
    }
    assert [mirror.name for mirror in mirrors(ANYMAL)] == ["left-right", "front-back", "both"]


@pytest.mark.parametrize("mirror", mirrors(ANYMAL), ids=lambda mirror: mirror.name)
def test_twice_in_the_mirror_is_nothing(mirror: Mirror) -> None:
    for size, each in ((48, mirror.observations["policy"]), (61, mirror.observations["critic"]), (12, mirror.actions)):
        values = np.random.default_rng(0).normal(size=(5, size)).astype(np.float32)
        assert not np.array_equal(apply(each, values), values)
        assert np.array_equal(apply(each, apply(each, values)), values)


def test_the_height_scan_is_mirrored_as_a_grid() -> None:
    left_right, front_back, _ = mirrors(find_task("Isaac-Velocity-Rough-Anymal-C-v0"))
    scan = np.arange(187, dtype=np.float32).reshape(11, 17)  # y by x
    whole = np.zeros(235, np.float32)
    whole[48:] = scan.ravel()
    assert np.array_equal(apply(left_right.observations["policy"], whole)[48:].reshape(11, 17), scan[::-1])
    assert np.array_equal(apply(front_back.observations["policy"], whole)[48:].reshape(11, 17), scan[:, ::-1])


def test_both_mirrors_one_after_the_other_are_the_third() -> None:
    left_right, front_back, both = (mirror.observations["critic"] for mirror in mirrors(ANYMAL))
    values = np.random.default_rng(0).normal(size=61).astype(np.float32)
    assert np.array_equal(apply(front_back, apply(left_right, values)), apply(both, values))


def test_signs_of_the_left_right_mirror() -> None:
    mirror = mirrors(ANYMAL)[0]
    names = ANYMAL.action.joint_names
    assert names[mirror.actions.index[names.index("LF_HAA")]] == "RF_HAA"
    assert mirror.actions.sign.tolist() == [-1] * 4 + [1] * 8
    assert mirror.observations["policy"].sign[:12].tolist() == [1, -1, 1, -1, 1, -1, 1, -1, 1, 1, -1, -1]


@pytest.mark.parametrize(("number", "flip"), [(0, (1, -1)), (1, (-1, 1)), (2, (-1, -1))])
def test_physics_is_the_same_in_the_mirror(open_env: OpenEnv, number: int, flip: tuple[int, int]) -> None:
    """A robot that does the mirrored actions from the mirrored state makes the mirrored observations."""
    alike = replace(ANYMAL, training=replace(ANYMAL.training, randomization=None))
    env, mirror = open_env(alike, num_envs=2, training=True), mirrors(ANYMAL)[number]
    env.reset()
    engine, ids = env.engine, np.arange(2)
    # The base's centre of mass lies in both mirrors.
    engine.batch.expand("body_ipos")[:, 1, :2] = engine.base_com[:, :2] = 0.0
    engine.base_com[:, 2] = engine.model.body("base").ipos[2]
    engine.batch.set_const()
    rng = np.random.default_rng(1)
    joints = env.state.default_joint_pos + rng.normal(size=12) * 0.1
    rates = rng.normal(size=12)
    place = lambda values: np.stack((values, apply(mirror.actions, values)))  # noqa: E731
    engine.qpos[:, :7] = (0, 0, 0.52, 1, 0, 0, 0)
    engine.qpos[ids[:, None], engine.layout.joint_qpos] = place(joints)
    engine.qvel[ids[:, None], engine.layout.joint_dof] = place(rates)
    x, y = flip
    engine.qvel[0, :6] = (0.3, -0.2, 0.1, 0.2, -0.4, 0.5)
    engine.qvel[1, :6] = engine.qvel[0, :6] * (x, y, 1, y, x, x * y)
    env._commands.command[:], env._commands.is_heading[:], env._commands.is_standing[:] = 0.0, False, False
    env._commands.time_left[:], env._pushes.time_left[:] = 9.0, 9.0
    for _ in range(10):
        action = rng.normal(size=12).astype(np.float32) * 0.3
        seen = env.step(place(action)).observations["critic"]
    mirrored = apply(mirror.observations["critic"], seen[0])
    assert seen[1] == pytest.approx(mirrored, abs=2e-3)
    assert np.abs(seen[0] - mirrored).max() > 0.1
