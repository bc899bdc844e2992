"""What is known of an Isaac Lab before it is imported: which one it is, what a task is called, what can be set."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gaitway_runtime.simulators.isaaclab import availability, detect
from gaitway_runtime.simulators.isaaclab.application import Application
from gaitway_runtime.simulators.isaaclab.naming import known_name, registered_name
from gaitway_runtime.simulators.isaaclab.native import check_entry_point
from gaitway_runtime.simulators.isaaclab.overriding import check_overrides, of_sections
from gaitway_runtime.spec.errors import ConfigError, UsageError


def registry(*names: str) -> dict[str, Any]:
    return {name: SimpleNamespace(kwargs={"env_cfg_entry_point": "a:B"}) for name in names}


REGISTERED = registry(
    "Isaac-Cartpole",
    "Isaac-Velocity-Rough-AnymalD",
    "IsaacContrib-Velocity-Flat-AnymalC",
    "IsaacContrib-Velocity-Flat-AnymalC-Direct",
    "Own-Hopper",
)
REGISTERED["CartPole-v1"] = SimpleNamespace(kwargs={})
REGISTERED_IN_2 = registry(
    "Isaac-Cartpole-v0", "Isaac-Velocity-Rough-Anymal-D-v0", "Isaac-Velocity-Rough-Anymal-D-Play-v0"
)

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that makes packages of some files, by the package's name, visible to Python."""

    def make(**packages: tuple[str, ...]) -> Path:
        for package, files in packages.items():
            for name in ("__init__.py", *files):
                path = tmp_path / package / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("raise RuntimeError('nobody may import this')\n" if name == "__init__.py" else "")
        monkeypatch.setattr("sys.path", [str(tmp_path)])
        importlib.invalidate_caches()
        return tmp_path

    return make


def test_without_isaac_lab_there_is_a_hint(install: Install) -> None:
    install()
    assert detect.find() is None
    assert not availability().present
    for way in ("--python", "--on osmo", "--on azureml", "--simulator mujoco"):
        assert way in availability().reason


@pytest.mark.parametrize(
    ("files", "generation"),
    [
        (("app/app_launcher.py", "app/sim_launcher.py"), 3),
        (("app/app_launcher.py",), 2),
        (("source/isaaclab/isaaclab/app/app_launcher.py",), 2),
        (("something_else.py",), None),
    ],
)
def test_the_generation_is_told_from_files(install: Install, files: tuple[str, ...], generation: int | None) -> None:
    install(isaaclab=files)
    found = detect.find()
    assert (found.generation if found else None) == generation


def test_isaac_sim_and_the_release_are_told_from_files_too(install: Install) -> None:
    root = install(isaacsim=())
    source = root / "repo" / "source" / "isaaclab"
    (source / "isaaclab" / "app").mkdir(parents=True)
    (source / "isaaclab" / "__init__.py").write_text("")
    (source / "isaaclab" / "app" / "app_launcher.py").write_text("")
    (root / "repo" / "VERSION").write_text("2.3.2\n")
    import sys

    sys.path.insert(0, str(source))
    found = detect.find()
    assert found is not None
    assert (found.generation, found.release, found.kit) == (2, "2.3.2", True)


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("Isaac-Cartpole-v0", "Isaac-Cartpole"),
        ("Isaac-Cartpole", "Isaac-Cartpole"),
        ("Isaac-Velocity-Rough-Anymal-D-v0", "Isaac-Velocity-Rough-AnymalD"),
        ("Isaac-Velocity-Rough-Anymal-D-Play-v0", "Isaac-Velocity-Rough-AnymalD"),
        ("Isaac-Velocity-Flat-Anymal-C-v0", "IsaacContrib-Velocity-Flat-AnymalC"),
        ("Isaac-Velocity-Flat-Anymal-C-Direct-v0", "IsaacContrib-Velocity-Flat-AnymalC-Direct"),
        ("Own-Hopper", "Own-Hopper"),
    ],
)
def test_a_task_is_found_by_its_name_in_any_release(task: str, name: str) -> None:
    assert registered_name(task, REGISTERED, release="3.0.0") == name


@pytest.mark.parametrize("task", ["Isaac-Velocity-Rough-AnymalD", "Isaac-Velocity-Rough-Anymal-D-v0"])
def test_the_names_of_3_are_found_in_2(task: str) -> None:
    assert registered_name(task, REGISTERED_IN_2, release="2.3.2") == "Isaac-Velocity-Rough-Anymal-D-v0"


def test_a_task_that_is_not_registered_names_the_nearest_and_what_was_imported() -> None:
    with pytest.raises(UsageError) as caught:
        registered_name("Isaac-Cartpool-v0", REGISTERED, release="3.0.0", imports=["my_tasks"])
    assert "'Isaac-Cartpool-v0' is not registered in Isaac Lab 3.0.0" in caught.value.message
    assert "my_tasks" in str(caught.value.source)
    assert "Isaac-Cartpole" in str(caught.value.hint)
    with pytest.raises(UsageError) as caught:
        registered_name("Cartpole-v1", REGISTERED, release="3.0.0")
    assert "--import" in str(caught.value.source)
    assert "CartPole-v1" not in str(caught.value.hint)  # Gymnasium's own is no task of Isaac Lab


def test_the_gate_knows_a_task_by_the_catalogs_name() -> None:
    assert known_name("Isaac-Cartpole") == "Isaac-Cartpole-v0"
    assert known_name("Own-Hopper") == "Own-Hopper"


def test_a_task_without_settings_for_a_learner_names_those_it_has_some_for() -> None:
    assert check_entry_point("T", "skrl", {"skrl_cfg_entry_point": "x"}) == "skrl_cfg_entry_point"
    with pytest.raises(ConfigError) as caught:
        check_entry_point("T", "skrl", {"rsl_rl_cfg_entry_point": "x"})
    assert (caught.value.allowed, caught.value.hint) == ("rsl_rl", "--backend rsl_rl")


@dataclass
class Algorithm:
    learning_rate: float = 1e-3
    schedule: str = "adaptive"


@dataclass
class Config:
    algorithm: Algorithm = field(default_factory=Algorithm)
    hidden: list[int] = field(default_factory=lambda: [32, 32])
    scene: dict[str, Any] = field(default_factory=lambda: {"num_envs": 4, "robot": SimpleNamespace(mass=1.0)})


@pytest.mark.parametrize(
    "text",
    [
        "agent.algorithm.learning_rate=3e-4",
        "agent.algorithm.schedule=fixed",
        "agent.hidden.1=64",
        "agent.hidden=[8,8]",
        "env.scene.robot.mass=-2.5",
        "env.scene.num_envs=null",
    ],
)
def test_what_is_there_can_be_set(text: str) -> None:
    check_overrides([text], {"env": Config(), "agent": Config()})


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("agent.algorithm.learning_rat=3e-4", "unknown key 'agent.algorithm.learning_rat'", "algorithm.learning_rate"),
        ("env.scene.robot.weight=1", "unknown key", None),
        ("env.algorithm.learning_rate=fast", "'fast' is not a number", None),
        ("agent.algorithm.schedule.kind=1", "unknown key", None),
    ],
)
def test_what_is_not_there_is_an_error(text: str, message: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        check_overrides([text], {"env": Config(), "agent": Config()})
    assert message in caught.value.message
    assert caught.value.source == f"--set {text}"
    if hint:
        assert hint in str(caught.value.hint)


def test_an_evaluation_leaves_the_agents_settings_alone() -> None:
    texts = ("agent.algorithm.learning_rate=3e-4", "env.scene.num_envs=2")
    check_overrides(texts, {"env": Config()})
    assert of_sections(texts, {"env": Config()}) == ["env.scene.num_envs=2"]


def test_one_simulator_and_one_environment_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    left: list[Callable[[int], None]] = []
    monkeypatch.setattr("gaitway_runtime.process.lifecycle.add_exit_hook", left.append)

    def env(name: str) -> Any:
        return SimpleNamespace(close=lambda: told.append(f"close {name}"))

    application = Application()
    for name in ("first", "second"):
        application.start(lambda: told.append("launch") or "app", lambda app, code: told.append(f"end {app} {code}"))
        application.put(lambda name=name: told.append(f"make {name}") or env(name))
    assert told == ["launch", "make first", "close first", "make second"]
    while left:
        left.pop()(5)
    assert told[4:] == ["close second", "end app 5"]
