"""Looking at runs: the list, damaged entries, a damaged home, logs, download."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gaitway.handles import Run
from gaitway.ledger import Ledger

Start = Callable[..., Run]


def test_runs_are_listed_oldest_first(gaitway: Callable, start: Start) -> None:
    for name in ("b", "a"):
        start(name=name).wait()
    ran = gaitway("runs")
    assert [line.split()[0] for line in ran.out.splitlines()] == ["RUN", "b", "a"]
    assert [run["status"] for run in gaitway("runs", "--json").json] == ["succeeded", "succeeded"]


def test_no_runs_is_no_error(gaitway: Callable, home: Path) -> None:
    ran = gaitway("runs")
    assert (ran.code, ran.out) == (0, "")
    assert gaitway("runs", "--json").json == []
    assert not home.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "other"}', "\x00\xff"])
def test_a_damaged_entry_is_told_and_hides_no_other(gaitway: Callable, start: Start, home: Path, text: str) -> None:
    good = start()
    good.wait()
    (home / "runs" / "broken").mkdir()
    (home / "runs" / "broken" / "run.json").write_text(text)
    ran = gaitway("runs", "--json")
    assert ran.code == 0
    assert {run["run"]: run["status"] for run in ran.json} == {"broken": "unknown", good.name: "succeeded"}
    assert ran.json[0].keys() == ran.json[1].keys()
    assert "warning: run 'broken' is damaged" in ran.err
    asked = gaitway("status", "broken")
    assert asked.code == 3
    assert f"  from: {home}/runs/broken/run.json" in asked.err
    assert start().wait().status.value == "succeeded"


def test_a_run_of_a_platform_that_is_not_here_hides_no_other(gaitway: Callable, start: Start, home: Path) -> None:
    run = start()
    run.wait()
    Ledger(home).write(dataclasses.replace(run.record, platform="mars"))
    (run.run_dir / "ended.json").unlink()
    [listed] = gaitway("runs", "--json").json
    assert (listed["status"], listed["detail"]) == ("unknown", "unknown platform 'mars'")


def test_a_home_that_is_no_folder_says_what_to_do(gaitway: Callable, home: Path, stand_in: list[str]) -> None:
    home.write_text("")
    for words in (["runs"], ["status", "x"], ["train", *stand_in], ["train", *stand_in, "--dry-run"]):
        ran = gaitway(*words)
        assert ran.code == 3
        assert ran.err.splitlines() == [
            "error: the runs of this folder cannot be used: Not a directory",
            f"  from: {home}",
            f"  hint: move it away (mv {home} {home}.old) or set GAITWAY_HOME to another folder",
        ]


def test_an_unknown_run_names_the_nearest(gaitway: Callable, start: Start) -> None:
    start(name="walker").wait()
    for verb in ("status", "logs", "cancel", "download"):
        ran = gaitway(verb, "walkr")
        assert ran.code == 2
        assert "  hint: did you mean walker?" in ran.err
    assert gaitway("status", "../../etc").code == 2


def test_logs_are_the_answer(gaitway: Callable, start: Start) -> None:
    run = start()
    ran = gaitway("logs", run.name, "-f")
    assert ran.out.endswith("train 3/3 | reward 1.50\n")
    assert ran.err == ""
    assert gaitway("logs", run.name).out == ran.out


def test_status_of_a_failed_run_shows_the_last_lines(gaitway: Callable, start: Start) -> None:
    run = start("do=crash")
    run.wait()
    ran = gaitway("status", run.name)
    assert ran.code == 0
    assert ran.out.startswith("isaac-cartpole-v0-1 failed\n")
    assert "| about to crash" in ran.err
    assert "error: the process ended without a result" in ran.err


def test_outputs_are_downloaded(gaitway: Callable, start: Start, tmp_path: Path) -> None:
    run = start()
    run.wait()
    target = tmp_path / "here"
    ran = gaitway("download", run.name, "--into", str(target), "--pattern", "*.pt", "--json")
    assert ran.json["files"] == [str(target / "checkpoints" / "model_2.pt")]
    nothing = gaitway("download", run.name, "--into", str(target), "--pattern", "*.onnx")
    assert nothing.code == 2
    assert "has no output that matches '*.onnx'" in nothing.err


def test_the_payload_is_shown_with_each_platforms_verdict(gaitway: Callable, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "code.py").write_text("x = 1\n")
    (tmp_path / "mine" / ".env").write_text("TOKEN=1")
    ran = gaitway("payload", "--training-path", str(tmp_path / "mine"))
    assert ran.code == 0
    assert "code.py" in ran.out and "local     fits: no limit" in ran.out
    assert "left out: .env  (may hold secrets)" in ran.err
    document = gaitway("payload", "--training-path", str(tmp_path / "mine"), "--json").json
    assert document["sha256"][:12] in ran.out
    assert {"platform": "local", "limit": None, "fits": True, "verdict": "fits: no limit"} in document["platforms"]
    assert "code.py" in [file["path"] for file in document["files"]]


def test_reading_a_ledger_changes_nothing_in_a_run_that_goes_on(gaitway: Callable, start: Start) -> None:
    run = start("do=wait")
    next(line for line in run.logs(follow=True) if line == "ready")
    before = {path: path.stat().st_mtime_ns for path in run.run_dir.rglob("*") if path.is_file()}
    gaitway("runs")
    gaitway("status", run.name)
    assert {path: path.stat().st_mtime_ns for path in run.run_dir.rglob("*") if path.is_file()} == before
    run.cancel()
    assert json.loads((run.run_dir / "ended.json").read_text())["status"] == "cancelled"
