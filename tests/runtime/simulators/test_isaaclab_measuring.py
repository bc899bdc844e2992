"""Measurements of Isaac Lab beside rewards: chosen by the task's rule and gate, and by its commands."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from gaitway_runtime.simulators.isaaclab.measuring import measurements_of


class Commands:
    """A command manager with some terms."""

    def __init__(self, *names: str) -> None:
        self.active_terms = names

    def get_term(self, name: str) -> Any:
        """Return a term that measures itself."""
        return SimpleNamespace(
            metrics={"position_error": torch.tensor([0.01, 0.2]), "orientation_error": torch.tensor([0.1, 3.0])}
        )


def world(*commands: str) -> Any:
    """An environment with one robot whose two feet are the bodies 3 and 7."""
    contact = SimpleNamespace(
        find_bodies=lambda pattern: ([3, 7], ["left_ankle_link", "right_ankle_link"]),
        data=SimpleNamespace(
            last_air_time=torch.arange(20.0).reshape(2, 10),
            current_contact_time=torch.tensor([[0.0] * 7 + [0.2, 0.0, 0.0], [0.1] * 10]),
        ),
    )
    scene = SimpleNamespace(articulations={"robot": object()}, sensors={"contact_forces": contact})
    return SimpleNamespace(scene=scene, command_manager=Commands(*commands))


@pytest.mark.parametrize(
    ("task", "commands", "names"),
    [
        ("Isaac-Cartpole-v0", (), {"pole_angle", "cart_position"}),
        ("Isaac-Ant", (), {"forward_speed"}),
        ("Isaac-Reach-Franka", ("ee_pose",), {"position_error", "orientation_error"}),
        ("Somebodys-Own-Task", (), set()),
    ],
)
def test_what_a_rule_asks_for_is_measured(task: str, commands: tuple[str, ...], names: set[str]) -> None:
    assert set(measurements_of(world(*commands), task)) == names


@pytest.mark.parametrize("task", ["Isaac-Velocity-Flat-Anymal-C-v0", "Somebodys-Walker"])
def test_a_velocity_command_is_measured_whatever_the_task_is_called(task: str) -> None:
    assert {"error_vel_xy", "error_vel_yaw"} <= set(measurements_of(world("base_velocity"), task))


def test_a_bipeds_steps_are_measured() -> None:
    env = world("base_velocity")
    measured = measurements_of(env, "Isaac-Velocity-Flat-H1-v0")
    assert measured["flight_time"](env).tolist() == [3.0, 13.0]
    assert measured["single_stance"](env).tolist() == [1.0, 0.0]


def test_a_pose_is_measured_by_isaac_labs_own_term() -> None:
    env = world("ee_pose")
    measured = measurements_of(env, "Isaac-Reach-Franka-v0")
    assert measured["position_error"](env).tolist() == pytest.approx([0.01, 0.2])
    assert measured["orientation_error"](env).tolist() == pytest.approx([0.1, 3.0])
