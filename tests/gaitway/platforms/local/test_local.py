"""The local platform: what a run leaves, what its status says whatever happens, how it is ended."""

import dataclasses
import errno
import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from gaitway_runtime.distributed import group
from gaitway_runtime.spec.job import TrainJob, ValidateJob

import gaitway
from gaitway import locks
from gaitway.errors import ConfigError, PlatformError, UsageError
from gaitway.platforms.base import RunStatus
from gaitway.platforms.local import platform as local
from gaitway.platforms.local import processes
from gaitway.run_handle import Run

Start = Callable[..., Run]


def wait_for_line(run: Run, text: str) -> str:
    return next(line for line in run.logs(follow=True) if line.startswith(text))


def identity(run: Run) -> processes.Identity:
    return processes.Identity(**json.loads((run.run_dir / "process.json").read_text()))


def rewrite(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_run_leaves_its_whole_story(start: Start, home: Path) -> None:
    run = start()
    report = run.wait()
    assert report.status is RunStatus.SUCCEEDED
    assert run.run_dir == home / "runs" / "isaac-cartpole-v0-1"
    names = {path.name for path in run.run_dir.iterdir()}
    assert {"run.json", "job.json", "plan.json", "payload.json", "settings.json", "process.json", "log.txt"} <= names
    assert (run.run_dir / "payload" / "gaitway_runtime" / "__main__.py").is_file()
    assert not (run.run_dir / "payload.zip").exists()
    job = json.loads((run.run_dir / "job.json").read_text())
    assert job["context"]["tracking_uri"] == f"sqlite:///{home}/mlflow.db"
    assert job["context"]["tags"]["gaitway.payload_sha256"] == run.record.payload_sha256
    assert (home / ".gitignore").read_text() == "*\n"


def test_a_tracking_uri_of_the_users_is_not_written_anywhere(
    start: Start, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:hunter2@tracking.example.com")
    run = start()
    run.wait()
    assert json.loads((run.run_dir / "job.json").read_text())["context"]["tracking_uri"] is None
    assert not [path for path in run.run_dir.rglob("*.json") if "hunter2" in path.read_text()]


def test_a_relative_database_of_the_users_is_the_one_of_the_callers_folder(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///x.db")
    run = start()
    run.wait()
    context = json.loads((run.run_dir / "job.json").read_text())["context"]
    assert context["tracking_uri"] == f"sqlite:///{tmp_path}/mine/x.db"


def test_the_log_is_read_to_its_end(start: Start) -> None:
    run = start()
    lines = list(run.logs(follow=True))
    assert lines[0].startswith("started with")
    assert lines[-1] == "train 3/3 | reward 1.50"
    assert list(run.logs()) == lines


def test_a_failed_run_tells_why(start: Start) -> None:
    run = start("do=fail")
    run.wait()
    document = run.document()
    assert (document["status"], document["exit_code"], document["error"]["hint"]) == ("failed", 1, "mend it")


def test_a_run_that_is_killed_has_failed(start: Start) -> None:
    run = start("do=wait")
    wait_for_line(run, "ready")
    assert run.status().status is RunStatus.RUNNING
    os.kill(identity(run).pid, signal.SIGKILL)
    report = run.wait()
    assert report.status is RunStatus.FAILED
    assert report.detail == "the process ended without a result"


def test_a_run_that_crashes_has_failed(start: Start) -> None:
    assert start("do=crash").wait().status is RunStatus.FAILED


def kill(run: Run) -> None:
    """Kill a run's first process, and wait until its exit code is collected."""
    wait_for_line(run, "ready")
    os.kill(identity(run).pid, signal.SIGKILL)
    while processes.alive(identity(run)):
        pass


def test_a_number_that_is_another_process_now_is_not_the_run(start: Start) -> None:
    run = start("do=wait")
    kill(run)
    rewrite(run.run_dir / "process.json", pid=os.getpid())
    assert run.status().status is RunStatus.FAILED
    assert run.cancel().status is RunStatus.FAILED  # and this process goes on


def test_a_run_that_a_restart_has_ended_says_so(start: Start) -> None:
    run = start("do=wait")
    kill(run)
    rewrite(run.run_dir / "machine.json", boot="another")
    report = run.status()
    assert (report.status, "the machine was restarted" in report.detail) == (RunStatus.FAILED, True)


def test_a_run_of_another_machine_is_not_judged_from_here(start: Start) -> None:
    run = start("do=wait")
    kill(run)
    rewrite(run.run_dir / "machine.json", boot="another", host="far-away")
    report = run.status()
    assert (report.status, report.detail) == (RunStatus.UNKNOWN, "it was started on far-away; ask there")
    assert not (run.run_dir / "ended.json").exists()
    with pytest.raises(PlatformError, match="cannot be reached from here") as refused:
        run.cancel()
    assert "far-away" in (refused.value.hint or "")


def test_a_run_goes_on_while_any_of_its_processes_does(start: Start) -> None:
    run = start("do=wait", "child=yes")
    kill(run)
    assert run.status().status is RunStatus.RUNNING
    assert not (run.run_dir / "ended.json").exists()
    assert run.cancel().status is RunStatus.CANCELLED
    assert processes.members(identity(run)) == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere starts are known to a second")
def test_a_process_that_got_the_number_of_one_just_ended_is_another(start: Start) -> None:
    run = start("do=wait")
    mine = identity(run)
    assert processes.alive(mine)
    assert not processes.alive(dataclasses.replace(mine, started=mine.started - 0.5))
    assert processes.members(dataclasses.replace(mine, started=mine.started - 0.5)) == []
    run.cancel()


def test_cancelling_a_run_that_has_ended_ends_what_is_left_of_it(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "descriptors", lambda *_: ())  # as a process that has closed what it inherited
    run = start("do=wait", "child=yes")
    kill(run)
    assert run.status().status is RunStatus.FAILED
    assert processes.members(identity(run))
    assert run.cancel().status is RunStatus.FAILED
    assert processes.members(identity(run)) == []


def test_a_run_is_queued_while_it_is_being_launched(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[RunStatus] = []

    def look(*arguments: object) -> None:
        code = "import gaitway; print(*[run.status().status.value for run in gaitway.runs()])"
        asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        seen.extend(map(RunStatus, asked.stdout.split()))
        pack(*arguments)

    pack = local.pack
    monkeypatch.setattr(local, "pack", look)
    run = start()
    assert seen == [RunStatus.QUEUED]
    assert run.wait().status is RunStatus.SUCCEEDED


def test_a_job_whose_command_was_killed_before_it_noted_the_process_can_be_cancelled(start: Start) -> None:
    run = start("do=wait")
    wait_for_line(run, "ready")
    (run.run_dir / "process.json").unlink()
    assert run.status().status is RunStatus.RUNNING
    assert run.cancel().status is RunStatus.CANCELLED


def test_a_launch_that_was_killed_halfway_has_failed(start: Start) -> None:
    run = start("do=wait")
    kill(run)
    for name in ("process.json", "pid", "log.txt"):
        (run.run_dir / name).unlink()
    report = run.status()
    assert (report.status, "before the process was started" in report.detail) == (RunStatus.FAILED, True)


def test_the_log_is_the_users_alone(start: Start) -> None:
    run = start()
    run.wait()
    assert (run.run_dir / "log.txt").stat().st_mode & 0o077 == 0


def test_cancelling_lets_the_run_save_and_ends_its_whole_group(start: Start) -> None:
    run = start("do=wait", "child=yes")
    wait_for_line(run, "ready")
    report = run.cancel()
    assert report.status is RunStatus.CANCELLED
    assert list(run.logs())[-1] == "saved"
    assert processes.members(identity(run)) == []
    assert run.cancel().status is RunStatus.CANCELLED


def test_a_run_that_does_not_stop_is_killed(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "GRACE_S", 0.2)
    run = start("do=stubborn", "child=yes")
    wait_for_line(run, "ready")
    report = run.cancel()
    assert report.status is RunStatus.CANCELLED
    assert report.exit_code == 130
    assert "before it could save" in report.detail
    assert processes.members(identity(run)) == []


def test_runs_started_at_once_never_share_a_folder(start: Start) -> None:
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: start(), range(6)))
    assert len({run.name for run in runs}) == 6
    assert {run.wait().status for run in runs} == {RunStatus.SUCCEEDED}
    assert {run.name for run in gaitway.runs()} == {f"isaac-cartpole-v0-{number}" for number in range(1, 7)}


def test_a_taken_name_is_refused_and_touches_nothing(start: Start) -> None:
    run = start("do=wait", name="mine")
    with pytest.raises(UsageError, match="there is a run named 'mine'"):
        start(name="mine")
    assert run.status().status is RunStatus.RUNNING


def test_a_submission_that_fails_leaves_nothing(start: Start, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(PlatformError, match="cannot be started"):
        start()
    assert gaitway.runs() == []
    assert list((home / "runs").iterdir()) == []


def test_a_full_disk_leaves_nothing_and_says_so(start: Start, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(local, "pack", full)
    with pytest.raises(PlatformError, match="cannot be written down: No space left on device"):
        start()
    assert list((home / "runs").iterdir()) == []


def test_a_job_here_needs_pytorch(start: Start, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else real(name, *rest))
    with pytest.raises(ConfigError, match="not installed: torch"):
        start()
    assert list((home / "runs").iterdir()) == []


def test_a_half_written_result_is_no_result(start: Start) -> None:
    run = start("do=wait")
    wait_for_line(run, "ready")
    (run.run_dir / "outputs" / "result.json").write_text('{"status": "succ')
    assert run.status().status is RunStatus.RUNNING


def test_outputs_are_copied_by_pattern(start: Start, tmp_path: Path) -> None:
    run = start()
    run.wait()
    copied = run.fetch(tmp_path / "here", "checkpoints/*")
    assert copied == [tmp_path / "here" / "checkpoints" / "model_2.pt"]
    assert copied[0].read_bytes().endswith(b"weights")


def test_nothing_of_the_callers_python_path_reaches_the_job(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('not this one')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert start().wait().status is RunStatus.SUCCEEDED


def test_several_gpus_are_several_processes_of_one_training() -> None:
    planned = gaitway.plan(TrainJob, task="Isaac-Cartpole-v0", num_gpus=2)
    assert "-m gaitway_runtime.distributed.launcher --processes 2 --job ../job.json" in planned.request.body
    assert any("2 processes train together" in note for note in planned.request.notes)
    alone = gaitway.plan(ValidateJob, task="Isaac-Cartpole-v0", num_gpus=2)
    assert "-m gaitway_runtime --job ../job.json" in alone.request.body


def test_more_processes_than_this_machine_has_room_for_are_refused_with_what_it_has(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setattr(local, "GPUS", tmp_path / "gpus")
    monkeypatch.setattr(group, "available_cpus", lambda: 2)
    with pytest.raises(UsageError, match="has 2 cores, and no GPU"):
        start(num_gpus=3)
    (tmp_path / "gpus" / "0000:01:00.0").mkdir(parents=True)
    with pytest.raises(UsageError, match="has 1 GPU") as refused:
        start(num_gpus=2)
    assert refused.value.allowed == "1 to 1"


def test_this_machine_is_one_node() -> None:
    with pytest.raises(UsageError, match="one node") as refused:
        gaitway.plan(TrainJob, task="Isaac-Cartpole-v0", num_nodes=2)
    assert refused.value.hint == "--on osmo or --on azureml"


def test_data_by_flag_is_at_the_paths_in_the_jobs_variables(start: Start, project: Path) -> None:
    (project / "walks").mkdir()
    (project / "walks" / "walk.txt").write_text("left right")
    run = start(overrides=("do=copy",), data_inputs=("motions=walks",), data_outputs=("clips=made/clips",))
    assert run.wait().status is RunStatus.SUCCEEDED
    assert (project / "made" / "clips" / "copied.txt").read_text() == "left right"


def test_an_input_that_is_not_there_is_named(start: Start, project: Path) -> None:
    with pytest.raises(UsageError, match="there is no file or folder azureml:motions@latest") as caught:
        start(data_inputs=("motions=azureml:motions@latest",))
    assert "azureml: is for --on azureml" in str(caught.value.allowed)


def test_a_command_runs_beside_a_run_that_goes_on_and_not_after_it(start: Start, tmp_path: Path) -> None:
    run = start("do=wait")
    wait_for_line(run, "ready")
    platform = local.LocalPlatform()
    seen = str(tmp_path / "seen")
    code = f"import gaitway_runtime, pathlib; pathlib.Path({seen!r}).write_text(gaitway_runtime.__file__)"
    assert platform.execute(run.record.ref, run.run_dir, [sys.executable, "-c", code]) == 0
    assert (tmp_path / "seen").read_text().startswith(str(run.run_dir / "payload"))
    assert platform.execute(run.record.ref, run.run_dir, ["/bin/sh", "-c", "exit 7"]) == 7
    with pytest.raises(PlatformError, match="cannot be started"):
        platform.execute(run.record.ref, run.run_dir, ["/no/such/command"])
    run.cancel()
    with pytest.raises(UsageError, match="has ended"):
        platform.execute(run.record.ref, run.run_dir, ["true"])
