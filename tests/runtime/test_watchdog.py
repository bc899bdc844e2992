"""Processes that hang where simulators do: each test starts one, which the watchdog has to end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from gaitway_runtime.process import waiting
from gaitway_runtime.spec import result as results
from gaitway_runtime.spec.errors import UsageError

HEAD = """
import ctypes, sys, time
from pathlib import Path
from gaitway_runtime.process import lifecycle, waiting
from gaitway_runtime.spec.job import TrainJob
lifecycle.LAST_RESORT_S = 0.2
def end(error):
    lifecycle.leave(lifecycle.conclude(lifecycle.failure(TrainJob(), error), Path(sys.argv[1])))
lifecycle.on_hang(end)
"""
HOLD_THE_INTERPRETER = "ctypes.PyDLL(None).sleep(60)"


def run(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", HEAD + code, str(folder)], capture_output=True, text=True, timeout=50, check=False
    )


def test_a_simulator_that_does_not_start_ends_the_job_with_a_result_and_every_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAITWAY_START_TIMEOUT", "0.001")
    done = run(tmp_path, "def waiting_for_a_driver(): time.sleep(60)\nwith waiting.starting('Isaac Lab'):\n"
                         "    waiting_for_a_driver()")  # fmt: skip
    assert done.returncode == 1
    assert "waiting_for_a_driver" in done.stderr
    result = results.read(tmp_path)
    assert result is not None and result.error is not None
    assert result.error["message"] == "Isaac Lab did not start within 0.001 minutes"
    assert result.error["from"] == "env GAITWAY_START_TIMEOUT"


def test_a_library_that_holds_the_interpreter_is_ended_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GAITWAY_START_TIMEOUT", "0.001")
    done = run(tmp_path, f"with waiting.starting('Isaac Lab'):\n    {HOLD_THE_INTERPRETER}")
    assert done.returncode == 1
    assert "most recent call first" in done.stderr


def test_a_simulator_that_does_not_close_does_not_keep_the_process(tmp_path: Path) -> None:
    code = "lifecycle.END_S = 0.1\nlifecycle.add_exit_hook(lambda code: time.sleep(60))\nlifecycle.run_exit_hooks(5)"
    done = run(tmp_path, code)
    assert done.returncode == 5
    assert "did not close within 0.1 s" in done.stderr


def test_the_exit_code_is_the_jobs_whatever_the_simulator_ends_with(tmp_path: Path) -> None:
    code = (
        "import atexit\n"
        "atexit.register(lambda: print('a crash at the end of the interpreter'))\n"
        "lifecycle.add_exit_hook(lambda code: print('closed with', code))\n"
        "lifecycle.add_exit_hook(lambda code: sys.exit(0))\n"
        "lifecycle.run_exit_hooks(3)"
    )
    done = run(tmp_path, code)
    assert (done.returncode, done.stdout) == (3, "closed with 3\n")


def test_where_nothing_was_started_the_process_ends_by_itself(tmp_path: Path) -> None:
    assert run(tmp_path, "lifecycle.run_exit_hooks(3)\nprint('here')").stdout == "here\n"


def test_a_start_in_time_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAITWAY_START_TIMEOUT", "0.005")
    done = run(tmp_path, "with waiting.starting('Isaac Lab'): pass\ntime.sleep(1)\nprint('alive')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "alive\n", "")


@pytest.mark.parametrize("text", ["soon", "0", "-1", "inf"])
def test_a_time_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("GAITWAY_START_TIMEOUT", text)
    with pytest.raises(UsageError):
        waiting.start_seconds()
