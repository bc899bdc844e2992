"""Looking at runs: the list, damaged entries, a damaged home, logs, download."""

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from gaitway.ledger import Ledger
from gaitway.run_handle import Run

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
    assert "1 left out\n" in ran.out, "they are listed below: no word of where to look"
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


def test_a_run_that_goes_on_shows_its_progress(gaitway: Callable, start: Start) -> None:
    run = start("do=wait", "report=yes")
    next(line for line in run.logs(follow=True) if line == "ready")
    shown = gaitway("status", run.name)
    assert "  progress  train 3/3 · training reward 1.50 · 100 steps/s\n" in shown.out
    document = gaitway("status", run.name, "--json").json
    assert document["progress"]["iteration"] == 3
    listed = gaitway("runs").out.splitlines()[1].split()
    assert listed[:5] == [run.name, "running", "Isaac-Cartpole-v0", "local", "1.50"]
    run.cancel()


def test_the_mlflow_run_of_a_run_that_goes_on_is_known(gaitway: Callable, start: Start) -> None:
    run = start("do=wait")
    next(line for line in run.logs(follow=True) if line == "ready")
    for url, shown in (
        ("https://mlflow.example.com/#/experiments/1/runs/9e", "https://mlflow.example.com/#/experiments/1/runs/9e"),
        ("http://127.0.0.1:5000/#/experiments/1/runs/9e", "run 9e (gaitway ui)"),
    ):
        log = run.run_dir / "log.txt"
        log.write_text(f"ready\nView run at: {url}\n")
        assert f"  mlflow    {shown}\n" in gaitway("status", run.name).out
        assert gaitway("status", run.name, "--json").json["tracking_url"] == url
    run.cancel()


def names(ran: object) -> list[str]:
    return [line.split()[0] for line in ran.out.splitlines()[1:]]


def test_runs_are_filtered_sorted_and_cut(gaitway: Callable, start: Start) -> None:
    for name in ("c", "a", "b"):
        start(name=name).wait()
    start("do=fail", name="d").wait()
    assert names(gaitway("runs", "--status", "failed")) == ["d"]
    assert names(gaitway("runs", "--limit", "2")) == ["b", "d"]
    assert names(gaitway("runs", "--sort", "run", "--limit", "2")) == ["a", "b"]
    assert names(gaitway("runs", "--sort", "iterations"))[-1] == "d"
    assert names(gaitway("runs", "--task", "*Cartpole*")) == ["c", "a", "b", "d"]
    assert gaitway("runs", "--task", "Isaac-Ant-v0").out == ""
    assert [run["run"] for run in gaitway("runs", "--status", "failed", "--json").json] == ["d"]


def test_columns_are_chosen_and_a_wrong_one_names_the_nearest(gaitway: Callable, start: Start) -> None:
    start(name="a").wait()
    ran = gaitway("runs", "--columns", "run,gate,created")
    assert ran.out.splitlines()[0].split() == ["RUN", "GATE", "CREATED"]
    assert "." not in ran.out.splitlines()[1].split(maxsplit=1)[1], "a time has no fractions of a second"
    wrong = gaitway("runs", "--columns", "run,rewrd")
    assert (wrong.code, "did you mean" in wrong.err, "reward" in wrong.err) == (2, True, True)
    assert gaitway("runs", "--sort", "speed").code == 2


def test_runs_are_removed_all_or_none(gaitway: Callable, start: Start, home: Path) -> None:
    for name in ("a", "b"):
        start(name=name).wait()
    unasked = gaitway("runs", "rm", "a")
    assert (unasked.code, "--yes removes them" in unasked.err) == (2, True)
    assert gaitway("runs", "rm", "a", "nothing", "--yes").code == 2
    assert names(gaitway("runs")) == ["a", "b"]
    assert gaitway("runs", "rm", "a", "--yes", "--json").json == {"removed": ["a"]}
    assert names(gaitway("runs")) == ["b"]
    assert [path.name for path in (home / "runs").iterdir()] == ["b"]


def test_a_run_that_goes_on_and_one_whose_model_is_registered_are_kept(gaitway: Callable, start: Start) -> None:
    going = start("do=wait", name="going")
    next(line for line in going.logs(follow=True) if line == "ready")
    refused = gaitway("runs", "rm", "going", "--yes")
    assert (refused.code, "run 'going' is running" in refused.err) == (2, True)
    going.cancel()
    done = start(name="done")
    done.wait()
    result = done.run_dir / "outputs" / "result.json"
    model = {"name": "walker", "version": "3"}
    result.write_text(json.dumps({**json.loads(result.read_text()), "registered_model": model}))
    (done.run_dir / "ended.json").unlink()
    refused = gaitway("runs", "rm", "done", "--yes")
    assert (refused.code, "walker version 3, which is registered" in refused.err) == (2, True)
    assert names(gaitway("runs")) == ["going", "done"]


def test_a_verdict_has_a_name(gaitway: Callable, start: Start) -> None:
    failed = start("do=gate")
    failed.wait()
    assert re.search(r"^  gate +not met$", gaitway("status", failed.name).out, re.MULTILINE)
    assert "not met" in gaitway("runs").out
    plain = start()
    plain.wait()
    shown = gaitway("status", plain.name)
    assert re.search(r"^  gate +not judged$", shown.out, re.MULTILINE)
    assert "passed" not in shown.out


def test_a_time_has_no_fractions(gaitway: Callable, start: Start) -> None:
    start().wait()
    created = gaitway("runs", "--columns", "created").out.splitlines()[-1].strip()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", created)
