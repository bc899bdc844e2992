"""``gaitway tasks``: the tasks, and everything that can be set of one."""

from collections.abc import Callable
from pathlib import Path

import pytest

import gaitway as interface

STAND_IN = Path(__file__).parents[2] / "fakes" / "runtime"


@pytest.mark.parametrize(
    ("task", "some"),
    [
        (
            "Isaac-Velocity-Flat-Anymal-C-v0",
            ("env.rewards.feet_air_time.weight=0.5", "env.events.push_robot.params.velocity_range.x=-0.5,0.5"),
        ),
        ("Isaac-Velocity-Rough-H1-v0", ("env.commands.base_velocity.ranges.lin_vel_x=0,1", "env.terrain.kind=none")),
        ("Isaac-Cartpole-v0", ("env.events.reset_cart_position.params.position_range=-1,1",)),
    ],
)
def test_every_line_of_a_task_can_be_pasted_after_set(gaitway: Callable, task: str, some: tuple[str, ...]) -> None:
    shown = [line for line in gaitway("tasks", task).out.splitlines() if line.startswith(("env.", "agent."))]
    assert set(some) < set(shown)
    assert "agent.algorithm.gamma=0.99" in shown
    pasted = [line for line in shown if not line.endswith("(off)")]
    assert len(pasted) > 40
    plan = interface.plan("train", task=task, training_path=STAND_IN, set=pasted).plan
    assert len(plan.settings["overrides"].value) == len(pasted)


def test_an_event_that_a_task_has_not_is_shown_as_off(gaitway: Callable) -> None:
    shown = gaitway("tasks", "Isaac-Velocity-Flat-H1-v0").out
    assert "env.events.push_robot.interval_range_s=LOW,HIGH (off)" in shown.splitlines()


def test_one_task_as_json_has_its_values(gaitway: Callable) -> None:
    found = gaitway("tasks", "Isaac-Cartpole-v0", "--json", "--backend", "skrl").json
    assert found["observations"] == 4
    assert found["settable"]["env.rewards.alive.weight"] == 1.0
    assert found["settable"]["env.terminations.cart_out_of_bounds.params.bounds"] == [-3.0, 3.0]
    assert "agent.kl_threshold" in found["settable"]


def test_a_task_that_there_is_not_names_the_nearest(gaitway: Callable) -> None:
    ran = gaitway("tasks", "Isaac-Cartpol-v0")
    assert (ran.code, ran.out) == (2, "")
    assert "did you mean Isaac-Cartpole-v0," in ran.err
