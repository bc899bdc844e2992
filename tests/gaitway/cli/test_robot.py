"""``gaitway robot new`` and ``robot check``, and the task that comes of it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.robots import dog, line_of, stool
from gaitway_runtime.simulators.mujoco.models import mjcf


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    empty = tmp_path / "folder"
    empty.mkdir()
    monkeypatch.chdir(empty)
    return empty


def apart(*words: str) -> Any:
    """Run ``gaitway`` in a process of its own: what a module registers stays there."""
    done = subprocess.run(
        [sys.executable, "-m", "gaitway", *words, "--json"], capture_output=True, text=True, timeout=120, check=True
    )
    return json.loads(done.stdout)


def test_a_robots_file_becomes_a_module_with_a_task(gaitway: Callable, folder: Path) -> None:
    source = folder / "my_dog.xml"
    source.write_text(re.sub(r"<(actuator|sensor)>.*?</\1>", "", mjcf("unitree_go2", timestep=0.005), flags=re.S))
    made = gaitway("robot", "new", str(source), "--json")
    assert made.code == 0, made.err
    assert (made.json["file"], made.json["task"]) == ("my_unitree_go2.py", "My-Unitree-Go2-Flat"), (
        "the other name is taken"
    )
    assert made.json["stands"]
    assert apart("robot", "check", "my_unitree_go2.py")["right"]

    again = gaitway("robot", "new", str(source))
    assert again.code == 2
    assert "--force writes over it" in again.err

    named = gaitway("robot", "new", str(source), "--name", "my_dog", "--json")
    assert named.json["task"] == "My-Dog-Flat"
    own = apart("tasks", "My-Dog-Flat", "--with", "my_dog.py", "--import", "my_dog")
    assert (own["observations"], own["actions"]) == (48, 12)
    assert own["settable"]["agent.symmetric"] and own["settable"]["agent.fast_update"], "as the dogs that ship"
    planned = apart("train", "--task", "My-Dog-Flat", "--with", "my_dog.py", "--import", "my_dog", "--dry-run")
    assert planned["plan"]["settings"]["num_envs"]["value"] == 512


def test_what_cannot_be_written_is_refused_and_leaves_nothing(gaitway: Callable, folder: Path) -> None:
    source = folder / "source.xml"
    text = re.sub(r"<(actuator|sensor)>.*?</\1>", "", mjcf("unitree_go2", timestep=0.005), flags=re.S)
    source.write_text(text.replace('model="unitree_go2"', 'model="random"'))
    for output, message in (("none/dog.py", "the folder none is missing"), (".", "no Python file"), ("a.txt", ".py")):
        refused = gaitway("robot", "new", str(source), "--output", output)
        assert refused.code == 2 and message in refused.err
    assert [path.name for path in folder.iterdir()] == ["source.xml"]
    made = gaitway("robot", "new", str(source), "--json")
    assert (made.json["robot"], made.json["file"]) == ("random", "my_random.py"), "random is a module of Python's own"
    assert {path.name for path in folder.iterdir()} == {"source.xml", "my_random.py"}


def test_the_examination_is_filmed(gaitway: Callable, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gaitway_runtime.simulators.mujoco.own_robot import filming

    states = filming.examination_states
    monkeypatch.setattr(filming, "examination_states", lambda robot: states(robot)[::40])
    source = folder / "my_dog.xml"
    source.write_text(re.sub(r"<(actuator|sensor)>.*?</\1>", "", mjcf("unitree_go2", timestep=0.005), flags=re.S))
    checked = gaitway("robot", "check", str(source), "--video", "dog.mp4")
    assert checked.code == 0, checked.err
    assert "film: dog.mp4" in checked.err
    assert (folder / "dog.mp4").read_bytes()[4:8] == b"ftyp"


def test_what_is_no_robot_is_refused_with_its_line(gaitway: Callable, folder: Path) -> None:
    source = folder / "table.xml"
    source.write_text("<mujoco><worldbody>\n<body name='top'><geom size='1' mass='1'/></body></worldbody></mujoco>")
    refused = gaitway("robot", "new", str(source))
    assert refused.code == 2
    assert "body 'top' has no free joint" in refused.err
    assert "table.xml:2" in refused.err


def test_what_mujoco_warns_of_is_said_in_our_words(folder: Path) -> None:
    """MuJoCo itself prints it, two of three ways past Python, and leaves a MUJOCO_LOG.TXT in the folder."""
    tail = """<joint name="still" type="revolute"><parent link="base"/><child link="tail"/>
      <limit lower="0" upper="0" effort="1" velocity="1"/></joint><link name="tail"><inertial><mass value="0.1"/>
      <inertia ixx="1e-3" iyy="1e-3" izz="1e-3" ixy="0" ixz="0" iyz="0"/></inertial></link>"""
    text = stool(more=tail).replace("<collision>", '<collision name="shape">')
    (folder / "stool.urdf").write_text(text)
    (folder / "dog.xml").write_text(dog().replace("<compiler ", '<statistic meaninertia="1"/><compiler ', 1))
    line = line_of(text, 'name="still"')
    told = {name: _said(folder, name) for name in ("stool.urdf", "dog.xml")}
    assert [name for name in told if "WARNING" in told[name] or "UserWarning" in told[name]] == []
    note = f"  guessed  MuJoCo says: joint 'still' has equal lower and upper limits, limit ignored (stool.urdf:{line})"
    assert note in told["stool.urdf"].splitlines()
    assert "MuJoCo says" not in told["dog.xml"], "a word that a later MuJoCo will not know concerns nobody here"
    assert {path.suffix for path in folder.iterdir()} == {".urdf", ".xml", ".py"}


def _said(folder: Path, name: str) -> str:
    """Return all that ``robot new`` writes to its streams, on a terminal that is wide enough."""
    command = [sys.executable, "-m", "gaitway", "robot", "new", name]
    environ = {**os.environ, "COLUMNS": "300"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environ, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr
