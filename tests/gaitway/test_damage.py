"""One odd file in a run's folder breaks no command, least of all the list of the other runs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gaitway.run_handle import Run

FILES = (
    *(
        "run.json",
        "job.json",
        "plan.json",
        "payload.json",
        "settings.json",
        "process.json",
        "machine.json",
        "ended.json",
    ),
    *("outputs/result.json", "outputs/mlflow.json", "outputs/progress.jsonl", "log.txt", "pid"),
)
DAMAGES: dict[str, bytes] = {
    "empty": b"",
    "half": b'{"name": "isaac',
    "list": b"[1, 2]",
    "null": b"null",
    "number": b"12",
    "nan": b'{"seconds": NaN, "name": NaN, "status": "failed", "reward": NaN, "phase": "train", "iteration": NaN}\n',
    "bytes": b"\xff\xfe\x00",
    "deep": b"[" * 100_000,
    "types": json.dumps(
        {
            **{key: 5 for key in ("name", "created", "command", "seconds", "status", "host", "boot", "pid", "started")},
            **{key: [1] for key in ("final_checkpoint", "metrics", "error", "job", "context", "files", "run_id")},
            **{key: "x" for key in ("iteration", "reward", "total", "eta_s")},
            "phase": ["train"],
            "num_envs": 7,
            "seed": {"value": 3},
        }
    ).encode(),
}


@pytest.fixture
def pair(start: Callable[..., Run]) -> tuple[Run, Run]:
    runs = start(), start("do=fail")
    for run in runs:
        run.wait()
    return runs


def test_one_odd_file_breaks_nothing(gaitway: Callable, pair: tuple[Run, Run]) -> None:
    whole, odd = pair
    for name in FILES:
        path: Path = odd.run_dir / name
        before = path.read_bytes() if path.is_file() else None
        for damage, content in DAMAGES.items():
            path.write_bytes(content)
            for words in (
                ("runs",),
                ("runs", "--json"),
                ("status", odd.name),
                ("logs", odd.name),
                ("checkpoints",),
                ("compare", odd.name, whole.name),
                ("train", "--task", "Isaac-Cartpole-v0", "--dry-run"),
            ):
                ran = gaitway(*words)
                assert "unexpected" not in ran.err, f"{words} with {damage} in {name}: {ran.err}"
                if words[0] == "runs":
                    assert ran.code == 0
                    assert whole.name in ran.out, f"{words} with {damage} in {name}"
        path.unlink()
        if before is not None:
            path.write_bytes(before)


def test_a_folder_in_place_of_a_file_breaks_nothing(gaitway: Callable, pair: tuple[Run, Run]) -> None:
    whole, odd = pair
    for name in FILES:
        path: Path = odd.run_dir / name
        path.unlink(missing_ok=True)
        path.mkdir()
        ran = gaitway("runs")
        assert (ran.code, whole.name in ran.out) == (0, True), f"{name}: {ran.err}"
        for words in (("status", odd.name), ("logs", odd.name), ("checkpoints", odd.name)):
            assert "unexpected" not in gaitway(*words).err, f"{words} with a folder {name}"
