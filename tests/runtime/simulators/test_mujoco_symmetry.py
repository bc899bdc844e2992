"""The mirror maps: algebra, and the physics in the mirror."""

from dataclasses import replace

import numpy as np
import pytest
from gaitway_runtime.simulators.base import Mirror, SignedPermutation
from gaitway_runtime.simulators.mujoco import contract
from gaitway_runtime.spec import catalog
from gaitway_runtime.tasks.environment import EnvCfg, find_environment
from gaitway_runtime.tasks.robots import ROBOTS

from .conftest import OpenEnv


def mirrors(task: EnvCfg) -> tuple[Mirror, ...]:
    return contract.mirrors(task, ROBOTS.get(task.robot))


def apply(mirror: SignedPermutation, values: np.ndarray) -> np.ndarray:
    return values[..., mirror.index] * mirror.sign


ANYMAL = find_environment("Isaac-Velocity-Flat-Anymal-C-v0")


def test_only_the_quadruped_has_mirrors() -> None:
    assert mirrors(find_environment("Isaac-Cartpole-v0")) == mirrors(find_environment("Isaac-Ant-v0")) == ()
    assert [mirror.name for mirror in mirrors(ANYMAL)] == ["left-right", "front-back", "both"]


@pytest.mark.parametrize("mirror", mirrors(ANYMAL), ids=lambda mirror: mirror.name)
def test_twice_in_the_mirror_is_nothing(mirror: Mirror) -> None:
    for size, each in ((48, mirror.observations["policy"]), (61, mirror.observations["critic"]), (12, mirror.actions)):
        values = np.random.default_rng(0).normal(size=(5, size)).astype(np.float32)
        assert not np.array_equal(apply(each, values), values)
        assert np.array_equal(apply(each, apply(each, values)), values)


def test_the_height_scan_is_mirrored_as_a_grid() -> None:
    left_right, front_back, _ = mirrors(find_environment("Isaac-Velocity-Rough-Anymal-C-v0"))
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


IN_MIRRORS = [
    (task.name, number)
    for task in catalog.tasks()
    if "Rough" not in task.name
    for number, _ in enumerate(mirrors(find_environment(task.name)))
]


@pytest.mark.parametrize(("name", "number"), IN_MIRRORS)
def test_physics_is_the_same_in_the_mirror(open_env: OpenEnv, name: str, number: int) -> None:
    """A robot that does the mirrored actions from the mirrored state makes the mirrored observations."""
    task = find_environment(name)
    alike = replace(task, training=replace(task.training, randomization=None, push=None, assist=None, terminations=()))
    env, mirror = open_env(alike, num_envs=2, training=True), mirrors(task)[number]
    x, y, _ = ROBOTS.get(task.robot).mirrors[number].axes
    env.reset()
    engine, ids = env.engine, np.arange(2)
    # The base's centre of mass lies in every mirror, and so do its axes of inertia.
    base = engine.model.body(engine.spec.base)
    engine.batch.expand("body_ipos")[:, base.id, :2] = engine.base_com[:, :2] = 0.0
    engine.base_com[:, 2] = base.ipos[2]
    engine.batch.expand("body_iquat")[:, base.id] = (1, 0, 0, 0)
    engine.batch.set_const()
    rng = np.random.default_rng(1)
    count = len(engine.spec.joint_names)
    joints = env.state.default_joint_pos + rng.normal(size=count) * 0.1
    rates = rng.normal(size=count)
    place = lambda values: np.stack((values, apply(mirror.actions, values)))  # noqa: E731
    engine.qpos[:, :7] = (0, 0, engine.spec.init_height - 0.08, 1, 0, 0, 0)
    engine.qpos[ids[:, None], engine.layout.joint_qpos] = place(joints)
    engine.qvel[ids[:, None], engine.layout.joint_dof] = place(rates)
    engine.qvel[0, :6] = (0.3, -0.2, 0.1, 0.2, -0.4, 0.5)
    engine.qvel[1, :6] = engine.qvel[0, :6] * (x, y, 1, y, x, x * y)
    env._commands.command[:], env._commands.is_heading[:], env._commands.is_standing[:] = 0.0, False, False
    env._commands.time_left[:] = 9.0
    for _ in range(10):
        action = rng.normal(size=count).astype(np.float32) * 0.3
        seen = env.step(place(action)).observations["critic"]
    mirrored = apply(mirror.observations["critic"], seen[0])
    # The torsos of H1 and G1 have their published centre of mass, 3 mm beside the middle.
    assert seen[1] == pytest.approx(mirrored, abs=2e-2, rel=2e-2)
    assert np.abs(seen[0] - mirrored).max() > 0.1
