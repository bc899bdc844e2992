"""The recipe "Add a task" of CONTRIBUTING, carried out: in a module of the user's, and in an installed package."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from .conftest import Environment

TASK = '''
    """A pole that hangs."""

    from dataclasses import replace

    from gaitway_runtime.tasks import Gate, LocalScale, SuccessRule, Task, Threshold, register

    HANGING = Task(
        name="Hanging-Pole",
        aliases=("Hanging-Pole-Also",),
        summary="Let a pole hang from a cart",
        robot="cartpole",
        environment="hanging.environment:HANGING",
        observations=4,
        actions=1,
        control_hz=60,
        episode_length_s=1,
        success=SuccessRule(sentence="the cart is on its rail", last=(Threshold("cart_position", "<=", 3.0, "m"),)),
        gate=Gate(success_rate=0.1),
        local=LocalScale(8, 2, 1),
    )
'''
ENVIRONMENT = '''
    """The hanging pole as data."""

    from dataclasses import replace

    from gaitway_runtime.tasks.cartpole.environment import CARTPOLE
    from gaitway_runtime.tasks.environment import Reward
    from gaitway_runtime.tasks.mdp import rewards

    HANGING = replace(CARTPOLE, rewards=(Reward("alive", rewards.is_alive, 1.0),))
'''
REGISTERS = TASK + "\n    register(HANGING)\n"
ASKED = ("--task", "Hanging-Pole")


def own_package(folder: Path, text: str = REGISTERS) -> tuple[str, ...]:
    """Write the package beside nothing else; return the flags that bring it."""
    for name, source in (("__init__.py", text), ("environment.py", ENVIRONMENT)):
        path = folder / "mine" / "hanging" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
    return ("--with", "mine/hanging", "--import", "hanging")


def test_a_task_of_the_users_own_module(environment: Environment) -> None:
    brought = own_package(environment.folder)
    listed = {task["name"]: task for task in environment.gaitway("tasks", *brought, "--json").json}
    assert listed["Hanging-Pole"]["gate"]["success"] == "the cart is on its rail"
    assert not list(environment.folder.rglob("__pycache__"))

    planned = environment.gaitway("train", *ASKED, *brought, "--dry-run", "--json").json["plan"]["settings"]
    assert [planned[name]["value"] for name in ("num_envs", "max_iterations", "save_interval")] == [8, 2, 1]

    trained = environment.gaitway("train", *ASKED, *brought, "--json")
    assert trained.code == 0, trained.err
    assert trained.json["iterations"] == 2
    checkpoint = trained.json["final_checkpoint"]["path"]
    judged = environment.gaitway("validate", *ASKED, *brought, "-c", checkpoint, "--eval-episodes", "2", "--json")
    assert judged.code == 0, judged.err
    assert judged.json["passed"]
    assert judged.json["metrics"]["verdict"]["criterion"] == "the cart is on its rail"
    played = environment.gaitway(
        *("infer", "--task", "Hanging-Pole-Also", *brought, "-c", checkpoint, "--max-steps", "10", "-f", "onnx"),
        *("--video-length", "4", "--json"),
    )
    assert played.code == 0, played.err


def test_a_task_of_an_installed_package(environment: Environment) -> None:
    environment.install(
        "hanging",
        {"__init__.py": TASK, "environment.py": ENVIRONMENT},
        {"gaitway.tasks": {"hanging": "hanging:HANGING"}},
    )
    assert "Hanging-Pole" in environment.gaitway("tasks").out
    assert (
        environment.gaitway("train", *ASKED, "--dry-run", "--json").json["plan"]["settings"]["num_envs"]["value"] == 8
    )
    trained = environment.gaitway("train", *ASKED, "--json")
    assert trained.code == 0, trained.err


def test_a_module_that_registers_its_tasks_is_an_entry_point_too(environment: Environment) -> None:
    environment.install(
        "hanging", {"__init__.py": REGISTERS, "environment.py": ENVIRONMENT}, {"gaitway.tasks": {"hanging": "hanging"}}
    )
    assert "Hanging-Pole" in environment.gaitway("tasks").out


def test_a_package_that_cannot_be_imported_is_one_warning(environment: Environment) -> None:
    environment.install("broken", "raise RuntimeError('no licence')", {"gaitway.tasks": {"broken": "broken"}})
    listed = environment.gaitway("tasks")
    assert listed.code == 0
    assert "Isaac-Cartpole-v0" in listed.out
    assert listed.err.count("no licence") == 1
    assert "task module 'broken' of broken cannot be used" in listed.err


@pytest.mark.parametrize(
    ("left_out", "message"),
    [
        ("success", "task 'Hanging-Pole' has no success rule"),
        ("gate", "task 'Hanging-Pole' has no gate"),
        ("robot", "task 'Hanging-Pole' has no robot"),
        ("environment", "task 'Hanging-Pole' has no environment"),
    ],
)
def test_a_task_without_something_it_needs_is_refused(environment: Environment, left_out: str, message: str) -> None:
    text = "\n".join(line for line in REGISTERS.splitlines() if f" {left_out}=" not in line)
    refused = environment.gaitway("tasks", *own_package(environment.folder, text))
    assert refused.code == 2
    assert message in refused.err
    assert f"{left_out}=" in refused.err


def test_a_name_that_is_taken_is_refused(environment: Environment) -> None:
    text = REGISTERS.replace('"Hanging-Pole-Also"', '"Isaac-Cartpole"')
    refused = environment.gaitway("tasks", *own_package(environment.folder, text))
    assert refused.code == 2
    assert "task 'Isaac-Cartpole' is registered twice" in refused.err
    assert "Balance a pole on a cart" in refused.err


def test_a_module_without_the_task_is_named(environment: Environment) -> None:
    brought = own_package(environment.folder)
    refused = environment.gaitway("train", "--task", "Quite-Another", *brought, "--dry-run")
    assert refused.code == 2
    assert "hanging registers no task of that name" in refused.err


def test_numbers_that_are_not_the_environments_are_named(environment: Environment) -> None:
    brought = own_package(environment.folder, REGISTERS.replace("observations=4", "observations=5"))
    failed = environment.gaitway("train", *ASKED, *brought, "--json")
    assert failed.code == 3
    assert "is registered with 5 observations and 1 actions" in failed.err
