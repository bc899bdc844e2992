import io
import json
import math
from pathlib import Path
from typing import Any

from gaitway_runtime.process.lifecycle import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]


def test_a_report_has_speed_and_time_left_and_lines_are_spaced(tmp_path: Path) -> None:
    clock, stream = Clock(), io.StringIO()
    progress = Progress(tmp_path, stream=stream, every=5.0, clock=clock)
    progress.phase("train")
    for done in range(1, 11):
        clock.now += 2.0
        progress.report(done, 10, steps=done * 100, reward=math.nan if done == 1 else 4.25, episode_length=290)
    first, *_, last = records(tmp_path)[1:]
    assert first == {
        "time": 1002.0,
        "phase": "train",
        "iteration": 1,
        "total": 10,
        "steps": 100.0,
        "episode_length": 290.0,
    }
    assert (last["steps_per_s"], last["eta_s"], last["reward"]) == (50.0, 0.0, 4.25)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "train 1/10 | length 290"
    assert lines[1] == "train 4/10 | training reward 4.25 | length 290 | 50 steps/s | 0:12 left"
    assert lines[-1].startswith("train 10/10")
    assert len(lines) == 4


def test_each_phase_measures_its_own_speed(tmp_path: Path) -> None:
    clock = Clock()
    progress = Progress(tmp_path, stream=io.StringIO(), clock=clock)
    progress.report(1, 2, steps=10)
    progress.phase("play onnx")
    clock.now += 100.0
    progress.report(1, 500, steps=1)
    clock.now += 1.0
    progress.report(2, 500, steps=5)
    assert records(tmp_path)[-1]["steps_per_s"] == 4.0


def test_a_full_disk_does_not_end_the_job(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    Progress(tmp_path / "file", stream=io.StringIO()).report(1, 1)
