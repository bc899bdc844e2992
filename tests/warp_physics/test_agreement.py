"""MuJoCo-Warp against MuJoCo's batch engine: the same states and actions, the same next states, within float32.

Two things differ by definition and are kept out of the strict comparisons (docs/mujoco-warp.md): of a capsule within 30
degrees of upright MuJoCo-Warp turns the friction pyramid otherwise, and where the solver is stopped by its limit of
iterations the two stop elsewhere.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import mujoco
import numpy as np
import pytest
from gaitway_runtime.simulators.mujoco import env as environment
from gaitway_runtime.spec.errors import JobFailed, UsageError
from gaitway_runtime.tasks.environment import Assist, Imperfections, find_environment

from .conftest import ANT, ANYMAL, CARTPOLE, OpenPair, Pair

POSITION, VELOCITY = 2e-6, 3e-4
"""What a control step from the same state may differ by [rad, m] and [rad/s, m/s]; measured: 5e-7 and 8e-5."""
REWARD = 1e-5
"""The same of a step's reward."""
REACH, HAND = "Isaac-Reach-Franka-v0", 1e-5


def change_models(monkeypatch: pytest.MonkeyPatch, **options: int) -> None:
    """Compile every model with other solver options."""
    compiled = environment.compile_robot

    def changed(*arguments: Any, **words: Any) -> mujoco.MjModel:
        model = compiled(*arguments, **words)
        for name, value in options.items():
            setattr(model.opt, name, value)
        return model

    monkeypatch.setattr(environment, "compile_robot", changed)


def compare_steps(pair: Pair, steps: int, size: float, left: int | None = None) -> set[str]:
    """Let both engines take each step from the same state, and compare what they make of it; return what was met.

    Args:
        pair: The two.
        steps: How many.
        size: Of the actions.
        left: Steps of the worlds' episodes at most, at first; all of them when omitted.
    """
    rng, met = np.random.default_rng(0), set()
    pair.reset()
    if left is not None:
        pair.cpu.episode_length = pair.cpu.max_episode_length - rng.integers(1, left, pair.cpu.num_envs)
    for _ in range(steps):
        pair.put()
        one, other = pair.step(pair.actions(rng, size))
        np.testing.assert_array_equal(other.terminated, one.terminated)
        np.testing.assert_array_equal(other.truncated, one.truncated)
        for name, tolerance in (("qpos", POSITION), ("qvel", VELOCITY)):
            ours, theirs = getattr(pair.warp.engine, name), getattr(pair.cpu.engine, name)
            np.testing.assert_allclose(ours, theirs, atol=tolerance, rtol=1e-5, err_msg=name)
        for group, contact in pair.cpu.state.contacts.items():
            np.testing.assert_array_equal(pair.warp.state.contacts[group].touched, contact.touched, err_msg=group)
            met.add("contact" if contact.touched.any() else "no contact")
        np.testing.assert_allclose(other.task_rewards, one.task_rewards, atol=REWARD)
        np.testing.assert_allclose(other.rewards, one.rewards, atol=REWARD)
        met.add("end" if (one.terminated | one.truncated).any() else "no end")
    return met


def test_cartpole_steps_as_on_the_cpu(open_pair: OpenPair) -> None:
    assert "end" in compare_steps(open_pair(CARTPOLE, num_envs=8), 40, 1.0, left=40)


def test_the_anymal_stands_and_walks_as_on_the_cpu(open_pair: OpenPair) -> None:
    assert "contact" in compare_steps(open_pair(ANYMAL, num_envs=4), 25, 0.3)


def test_in_training_each_world_has_its_own_mass_balance_drives_and_friction(open_pair: OpenPair) -> None:
    """Noise and pushes are the host's; they come from the same dice."""
    pair = open_pair(ANYMAL, num_envs=4, training=True)
    masses = pair.warp.engine.batch._model.body_mass.numpy()  # type: ignore[attr-defined]
    assert len(np.unique(masses.sum(axis=1))) == 4
    assert "contact" in compare_steps(pair, 25, 0.3)


def test_the_ant_tumbles_as_on_the_cpu(open_pair: OpenPair, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a round friction cone, for which the directions of the pyramid's sides do not matter."""
    change_models(monkeypatch, cone=int(mujoco.mjtCone.mjCONE_ELLIPTIC))
    compare_steps(open_pair(ANT, num_envs=4), 25, 1.0)


def test_the_ants_wrenches_are_those_of_the_cpu_in_flight(open_pair: OpenPair) -> None:
    pair = open_pair(ANT, num_envs=2)
    pair.reset()
    pair.cpu.engine.qpos[:, 2] = 5.0
    pair.put()
    pair.step(pair.actions(np.random.default_rng(0), 1.0))
    wrenches = pair.cpu.state.incoming_wrench_b
    assert np.abs(wrenches).max() > 0.1
    np.testing.assert_allclose(pair.warp.state.incoming_wrench_b, wrenches, atol=2e-3)


def test_an_arms_hand_is_where_the_new_state_has_it(open_pair: OpenPair) -> None:
    pair = open_pair(REACH, num_envs=2)
    compare_steps(pair, 5, 1.0)
    np.testing.assert_allclose(pair.warp.state.hand_pos, pair.cpu.state.hand_pos, atol=HAND)


def test_gains_dry_friction_and_a_helping_hand_arrive(open_pair: OpenPair, monkeypatch: pytest.MonkeyPatch) -> None:
    change_models(monkeypatch, iterations=100, ls_iterations=50)  # dry friction takes the line search to its limit
    task = find_environment(ANYMAL)
    hard = Imperfections(joint_friction=(0.5, 3.0), motor_strength=(0.7, 1.0), action_delay=(0, 2))
    task = replace(task, training=replace(task.training, imperfections=hard, assist=Assist(drive=100.0)))
    pair = open_pair(task, num_envs=4, training=True)
    compare_steps(pair, 5, 0.3)
    for env in (pair.cpu, pair.warp):
        env.set_gains([80.0] * 12, [2.0] * 12)
    compare_steps(pair, 5, 0.3)


def test_many_steps_stay_together(open_pair: OpenPair) -> None:
    """From the same start, never brought together again: a quarter of an episode of Cartpole, a second of ANYmal."""
    for task, steps, size, tolerance in ((CARTPOLE, 75, 0.2, 1e-3), (ANYMAL, 50, 0.1, 2e-2)):
        pair, rng = open_pair(task, num_envs=4), np.random.default_rng(1)
        pair.reset()
        for _ in range(steps):
            one, other = pair.step(pair.actions(rng, size))
            np.testing.assert_array_equal(other.terminated, one.terminated)
        np.testing.assert_allclose(
            other.observations["policy"], one.observations["policy"], atol=tolerance, err_msg=task
        )


def test_a_saved_training_continues_bit_for_bit(open_pair: OpenPair) -> None:
    env, rng = open_pair(ANYMAL, num_envs=3, training=True).warp, np.random.default_rng(2)
    if env.not_restored:
        pytest.skip(f"not promised on this device: {env.not_restored}")
    actions = rng.normal(size=(8, 3, 12)).astype(np.float32)
    env.reset()
    for action in actions[:4]:
        env.step(action)
    saved = env.training_state()
    first = [env.step(action).observations["policy"].copy() for action in actions[4:]]
    env.load_training_state(saved)
    again = [env.step(action).observations["policy"].copy() for action in actions[4:]]
    np.testing.assert_array_equal(again, first)


def test_a_world_that_diverges_begins_anew_and_leaves_the_others_alone(open_pair: OpenPair) -> None:
    pair = open_pair(ANYMAL, num_envs=3)
    pair.reset()
    pair.put()
    pair.warp.engine.qvel[1, 0] = np.nan
    one, other = pair.step(np.zeros((3, 12), np.float32))
    assert other.diverged.tolist() == [False, True, False]
    assert np.isfinite(other.observations["policy"]).all()
    rest = [0, 2]
    np.testing.assert_allclose(other.observations["policy"][rest], one.observations["policy"][rest], atol=VELOCITY)
    assert not pair.warp.step(np.zeros((3, 12), np.float32)).diverged.any()


def test_what_it_does_not_know_is_refused_in_plain_words(open_pair: OpenPair, monkeypatch: pytest.MonkeyPatch) -> None:
    change_models(monkeypatch, enableflags=int(mujoco.mjtEnableBit.mjENBL_FWDINV))
    with pytest.raises(UsageError, match=r"MuJoCo-Warp cannot step this robot's model: .*FWDINV"):
        open_pair(CARTPOLE)


def test_contacts_without_room_are_an_error_and_not_lost(open_pair: OpenPair, monkeypatch: pytest.MonkeyPatch) -> None:
    from gaitway_runtime.simulators.mujoco_warp import batch
    from gaitway_runtime.simulators.mujoco_warp.capacity import Capacity

    monkeypatch.setattr(batch, "capacity_of", lambda model: Capacity(contacts=1, rows=5))
    env = open_pair(ANYMAL, num_envs=2).warp
    env.reset()
    with pytest.raises(JobFailed, match="no room for more than 1 contacts a world"):
        for _ in range(30):
            env.step(np.zeros((2, 12), np.float32))
