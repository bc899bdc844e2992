"""Jobs that run in another Python of this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gaitway.errors import ConfigError
from gaitway.platforms.local.processes import installed, interpreter


@pytest.fixture
def with_isaac_lab(tmp_path: Path) -> Path:
    """Return a Python that seems to have Isaac Lab and PyTorch."""
    packages = tmp_path / "packages"
    for name in ("isaaclab", "torch"):
        (packages / name).mkdir(parents=True)
        (packages / name / "__init__.py").write_text("raise RuntimeError('nobody may import this')")
    program = tmp_path / "bin" / "python"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH={packages} exec {sys.executable} -S "$@"\n')
    program.chmod(0o755)
    return program


def test_a_link_stands_for_its_environment(tmp_path: Path, with_isaac_lab: Path) -> None:
    link = tmp_path / "python"
    link.symlink_to(with_isaac_lab)
    assert interpreter(str(link)) == str(link)
    assert interpreter(None) == sys.executable


def test_what_a_python_has_is_asked_without_importing_it(with_isaac_lab: Path) -> None:
    assert installed(str(with_isaac_lab), ["torch", "isaaclab", "mujoco"]) == {"torch", "isaaclab"}


def test_a_program_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no Python at"):
        interpreter(str(tmp_path / "nowhere"))
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho it is broken >&2\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(ConfigError, match="it is broken"):
        installed(str(broken), ["torch"])


def test_the_laptops_scale_is_not_given_to_isaac_lab(gaitway: Callable[..., Any], with_isaac_lab: Path) -> None:
    words = ["train", "--task", "My-Own-v0", "--python", str(with_isaac_lab), "--dry-run", "--json"]
    ran = gaitway(*words)
    assert ran.code == 0, ran.err
    settings = ran.json["plan"]["settings"]
    assert settings["num_envs"]["value"] == 2048
    assert settings["max_iterations"]["value"] is None
    assert str(with_isaac_lab) in ran.json["request"]["body"]


def test_doctor_looks_at_the_python_that_runs_jobs(
    gaitway: Callable[..., Any], with_isaac_lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAITWAY_JOB_PYTHON", str(with_isaac_lab))
    assert f"{with_isaac_lab} has isaaclab" in gaitway("doctor").out
    monkeypatch.setenv("GAITWAY_JOB_PYTHON", "/nowhere/python")
    assert "there is no Python at /nowhere/python" in gaitway("doctor").out


def test_a_python_without_the_simulator_is_refused_before_anything_is_made(
    gaitway: Callable[..., Any], with_isaac_lab: Path, home: Path
) -> None:
    words = ["train", "--task", "Isaac-Cartpole-v0", "--simulator", "mujoco", "--python", str(with_isaac_lab)]
    ran = gaitway(*words)
    assert ran.code == 3
    assert "lacks simulator mujoco" in ran.err
    assert not list((home / "runs").glob("*")) or os.listdir(home / "runs") == []
