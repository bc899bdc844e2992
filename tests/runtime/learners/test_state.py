"""The companion of a checkpoint: written whole, opened safely, refused where it does not fit."""

from __future__ import annotations

import dataclasses
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gaitway_runtime.learners import state as states
from gaitway_runtime.learners.state import StateUnusable, TrainingIdentity, open_state, pack, write_state

HERE = TrainingIdentity(
    task="T",
    seed=5,
    num_envs=2,
    processes=1,
    simulator="fake 1",
    settings=("shaping=True",),
    libraries={"torch": "2.13.0"},
)
TREE: dict[str, Any] = {
    "env": {
        "physics": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "streams": {"noise": {"state": 2**127 + 1, "has_uint32": 0}},
        "levels": np.array([3, 4]),
        "none": np.zeros(0),
    },
    "recent": [0.1, float("inf")],
    "flag": True,
    "empty": {},
}


def written(folder: Path, iteration: int = 7, ranks: int = 1) -> Path:
    return write_state(folder, iteration, HERE, "ab12", [pack(TREE)] * ranks)


def test_a_state_comes_back_as_it_was_to_the_last_bit_and_the_memory_layout(tmp_path: Path) -> None:
    path = written(tmp_path, ranks=2)
    assert path.name == "state_7.npz"
    found = open_state(path)
    assert (found.iteration, found.checkpoint_sha256, found.identity, len(found.ranks)) == (7, "ab12", HERE, 2)
    for tree in found.ranks:
        env = states.subtree(tree, "env")
        physics = states.array_of(env, "physics")
        assert physics.tobytes("F") == TREE["env"]["physics"].tobytes("F") and physics.flags.f_contiguous
        assert env["streams"] == TREE["env"]["streams"]
        assert (tree["recent"], tree["flag"], tree["empty"]) == ([0.1, float("inf")], True, {})
    assert [path.name for path in tmp_path.iterdir()] == ["state_7.npz"]


def test_the_same_state_gives_the_same_bytes(tmp_path: Path) -> None:
    assert pack(TREE) == pack(TREE)


def test_only_the_last_two_are_kept(tmp_path: Path) -> None:
    for iteration in (0, 3, 12, 9):
        written(tmp_path, iteration)
    (tmp_path / "state_of_affairs.npz").touch()
    states.rotate(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state_12.npz", "state_9.npz", "state_of_affairs.npz"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task": "U"}, "its task is T, this job's is U"),
        ({"seed": 6}, "its seed is 5, this job's is 6"),
        ({"num_envs": 4}, "its --num-envs is 2, this job's is 4"),
        ({"processes": 2}, "its number of processes is 1, this job's is 2"),
        ({"simulator": "fake 2"}, "its simulator is fake 1, this job's is fake 2"),
        ({"settings": ("shaping=False",)}, "its environment settings is shaping=True, this job's is shaping=False"),
    ],
)
def test_a_companion_of_another_job_is_refused_with_what_differs(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(StateUnusable, match=said):
        open_state(written(tmp_path)).check(dataclasses.replace(HERE, **changes), "ab12")


def test_a_companion_of_another_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StateUnusable, match="belongs to another checkpoint"):
        open_state(written(tmp_path)).check(HERE, "cd34")


def test_other_releases_of_libraries_are_named_and_no_obstacle(tmp_path: Path) -> None:
    now = dataclasses.replace(HERE, libraries={"torch": "2.14.0", "numpy": "2.5"})
    found = open_state(written(tmp_path))
    found.check(now, "ab12")
    assert found.other_libraries(now) == "torch 2.13.0 then, 2.14.0 now"


def test_a_flipped_byte_anywhere_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path)
    whole = path.read_bytes()
    unnoticed = []
    for position in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        path.write_bytes(damaged)
        try:
            found = open_state(path)
        except StateUnusable:
            continue
        unnoticed.append(position)
        # What zip itself does not read (times, attributes) may be anything; the content is what was written.
        assert pack(found.ranks[0]) == pack(TREE) and found.identity == HERE
    assert len(unnoticed) < len(whole) // 7 / 2


@pytest.mark.parametrize("length", [0, 1, 100, -1, -30])
def test_a_cut_file_is_refused(length: int, tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(StateUnusable, match="damaged"):
        open_state(path)


def test_nothing_is_ever_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "state_7.npz"
    np.savez(path, header=np.array([{"schema": 1}], dtype=object))
    with pytest.raises(StateUnusable, match="damaged"):
        open_state(path)


def test_another_layout_is_refused_by_its_version(tmp_path: Path) -> None:
    path = tmp_path / "state_7.npz"
    np.savez(path, header=np.frombuffer(json.dumps({"schema": 9}).encode(), np.uint8))
    with pytest.raises(StateUnusable, match="its layout is version 9, this gaitway reads 1"):
        open_state(path)


def test_a_file_that_would_fill_the_memory_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "MAX_BYTES", 1 << 20)
    path = tmp_path / "state_7.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0/env/physics.npy", bytes(4 << 20))
    assert path.stat().st_size < 1 << 16
    with pytest.raises(StateUnusable, match="larger than 1 MiB"):
        open_state(path)


def test_a_state_of_other_shapes_or_parts_does_not_fit() -> None:
    wider = {**TREE, "env": {**TREE["env"], "physics": np.zeros((2, 4))}}
    with pytest.raises(StateUnusable, match=r"env/physics has shape \(2, 3\), here it has \(2, 4\)"):
        states.check_fits(TREE, wider)
    with pytest.raises(StateUnusable, match="does not have the parts of this training"):
        states.check_fits(TREE, {name: value for name, value in TREE.items() if name != "flag"})
    grown = {**TREE, "env": {**TREE["env"], "none": np.zeros(3)}}
    states.check_fits(TREE, grown)  # an empty array has no shape yet


def test_random_streams_go_on_where_they_were() -> None:
    def draw() -> tuple[float, float, float]:
        return random.gauss(), float(np.random.standard_normal()), float(torch.randn(1))

    draw()
    state = states.random_state()
    after = [draw() for _ in range(3)]
    states.set_random_state(state)
    assert [draw() for _ in range(3)] == after
