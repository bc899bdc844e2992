"""What can be said of MuJoCo-Warp without it: where it is missing, what it cannot step, how much room it gets.

That it steps as MuJoCo does is tested with it: ``make test-warp``.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import mujoco
import numpy as np
import pytest
from gaitway_runtime.simulators.base import choose
from gaitway_runtime.simulators.mujoco.engine import Physics
from gaitway_runtime.simulators.mujoco.env import MujocoEnv
from gaitway_runtime.simulators.mujoco.models import compile_robot
from gaitway_runtime.simulators.mujoco_warp.capacity import capacity_of
from gaitway_runtime.simulators.mujoco_warp.support import check_task
from gaitway_runtime.spec.errors import ConfigError, UsageError
from gaitway_runtime.tasks.environment import find_environment


def test_where_it_is_missing_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    there = importlib.util.find_spec

    def without_warp(name: str, *more: Any) -> Any:
        return None if name == "mujoco_warp" else there(name, *more)

    monkeypatch.setattr(importlib.util, "find_spec", without_warp)
    with pytest.raises(ConfigError, match="simulator mujoco-warp is not installed") as refused:
        choose("mujoco-warp")
    assert "[local,warp]" in (refused.value.hint or "")
    assert choose("mujoco") == "mujoco"


def test_rough_ground_is_refused_before_anything_is_built() -> None:
    check_task(find_environment("Isaac-Velocity-Flat-Anymal-C-v0"))
    rough = find_environment("Isaac-Velocity-Rough-Anymal-C-v0")
    physics = Physics("mujoco-warp 4", make=lambda model, count: pytest.fail("a batch was made"), check=check_task)
    with pytest.raises(UsageError, match="on rough ground MuJoCo-Warp keeps other contacts") as refused:
        MujocoEnv(rough, num_envs=1, training=True, seed=0, physics=physics)
    assert refused.value.hint == "--simulator mujoco"


@pytest.mark.parametrize("robot", ["cartpole", "ant", "anymal_c", "unitree_h1"])
def test_a_robot_that_lies_in_any_way_has_room_for_its_contacts(robot: str) -> None:
    model = compile_robot(robot, timestep=0.005)
    room, data, rng = capacity_of(model), mujoco.MjData(model), np.random.default_rng(0)
    most = 0
    for _ in range(40):
        mujoco.mj_resetData(model, data)
        data.qpos[:] += rng.normal(size=model.nq)
        data.qpos[2 if model.nq > 7 else 0] = 0.1  # into the ground
        data.qvel[:] = rng.normal(size=model.nv)
        mujoco.mj_forward(model, data)
        most = max(most, data.ncon)
        assert data.ncon <= room.contacts
        assert data.nefc <= room.rows
    assert most > 0 or robot == "cartpole"


def test_room_is_counted_by_the_pairs_that_can_touch() -> None:
    """The ANYmal touches the ground alone: a box 4 times, 8 capsules twice, 4 feet once."""
    room = capacity_of(compile_robot("anymal_c", timestep=0.005))
    assert room.contacts == 4 + 8 * 2 + 4
    assert room.rows == 24 * 4 + 2 * 12 + 18
