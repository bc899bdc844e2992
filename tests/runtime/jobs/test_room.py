"""A training that memory does not hold is done with the environments that it holds, and says so."""

import dataclasses
from pathlib import Path

import pytest
from gaitway_runtime.distributed.group import ALONE, Rank
from gaitway_runtime.jobs import train
from gaitway_runtime.jobs.train import with_room
from gaitway_runtime.process import machine
from gaitway_runtime.simulators import base as simulators
from gaitway_runtime.spec.job import TrainJob

ASKED = TrainJob(task="Isaac-Cartpole-v0", num_envs=512, simulator="mujoco")


def memory(monkeypatch: pytest.MonkeyPatch, free: float) -> None:
    monkeypatch.setattr(machine, "memory", lambda: machine.Room("memory", 0, int(free)))


def test_half_the_memory_trains_half_the_environments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    each = train._size_of_one(ASKED, tmp_path)
    assert 4 << 10 < each < 16 << 10, "a world of Cartpole takes 4.3 KiB here"
    memory(monkeypatch, 256.4 * each / train.SHARE_OF_MEMORY)
    assert with_room(ASKED, ALONE, tmp_path) == dataclasses.replace(ASKED, num_envs=256)
    assert "memory holds about 256 of the 512 environments that are asked for" in caplog.text
    assert "training with 256" in caplog.text


def test_what_fits_is_trained_as_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    memory(monkeypatch, 64 << 20)
    assert with_room(ASKED, ALONE, tmp_path) is ASKED
    memory(monkeypatch, 1)
    several = Rank(number=0, local=0, world=2, local_world=2)
    assert with_room(ASKED, several, tmp_path) is ASKED, "others would not know"
    monkeypatch.setattr(simulators, "load", lambda name: pytest.fail("a world was made to count what it takes"))
    memory(monkeypatch, 16 << 30)
    assert with_room(ASKED, ALONE, tmp_path) is ASKED
    assert caplog.text == ""
