"""Several processes on one machine: started, asked to stop, told of. Plain ones here; trainings in test_together.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from gaitway_runtime.distributed import failures, launcher
from gaitway_runtime.distributed import group as ranks
from gaitway_runtime.distributed.group import ALONE, Rank
from gaitway_runtime.process import lifecycle
from gaitway_runtime.spec import result as results
from gaitway_runtime.spec.errors import UsageError
from gaitway_runtime.spec.result import Result

pytestmark = pytest.mark.usefixtures("signals_as_before")


def run(folder: Path, code: str, processes: int = 2) -> tuple[int, list[launcher.ProcessExit]]:
    ended = launcher.run([sys.executable, "-c", code], launcher.rank_environments(processes), folder)
    return launcher.exit_code(ended, folder), ended


TELL = """
import os, sys
from pathlib import Path
from gaitway_runtime.distributed import group as ranks
from gaitway_runtime.spec import result as results
from gaitway_runtime.spec.result import Result
def tell(status, code=0, message=""):
    error = {"message": message, "from": None, "allowed": None, "hint": None, "exit_code": code} if message else None
    done = Result(kind="train", task="t", status=status, exit_code=code, error=error)
    results.write(done, ranks.current().folder(Path(os.environ["OUT"])))
    sys.exit(code)
first = os.environ.get("RANK", "0") == "0"
"""


@pytest.fixture(autouse=True)
def _out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUT", str(tmp_path))


def test_the_processes_know_their_places_and_the_first_alone_prints(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = TELL + "print(os.environ['RANK'], os.environ['LOCAL_RANK'], os.environ['WORLD_SIZE'])\ntell('succeeded')"
    assert run(tmp_path, code)[0] == 0
    assert capfd.readouterr().out == "0 0 2\n"
    assert (tmp_path / "ranks" / "1" / launcher.LOG_FILE).read_text() == "1 1 2\n"


def test_a_request_to_stop_reaches_every_process(tmp_path: Path) -> None:
    code = TELL + (
        "import signal\n"
        "signal.signal(signal.SIGTERM, lambda *_: tell('cancelled', 130, 'stopped'))\n"
        "ready = Path(os.environ['OUT'], 'ready')\n"
        "if not first: ready.touch()\n"
        "while first and not ready.exists(): pass\n"
        "if first: os.kill(os.getppid(), signal.SIGTERM)\n"
        "while True: signal.pause()"
    )
    code_, ended = run(tmp_path, code)
    assert code_ == 130
    assert [found.code for found in ended] == [130, 130]


def test_the_result_decides_the_exit_code(tmp_path: Path) -> None:
    assert run(tmp_path, TELL + "tell('failed', 5, 'gate') if first else sys.exit(0)")[0] == 5
    assert run(tmp_path, TELL + "tell('succeeded') if first else sys.exit(0)")[0] == 0


def test_a_process_that_was_killed_is_named_whatever_the_first_one_made_of_it(tmp_path: Path) -> None:
    code = TELL + (
        "import psutil, signal\n"
        "pid = Path(os.environ['OUT'], 'pid')\n"
        "if not first:\n"
        "    pid.with_suffix('.new').write_text(str(os.getpid()))\n"
        "    pid.with_suffix('.new').rename(pid)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "def lives(number): return psutil.pid_exists(number) and psutil.Process(number).status() != 'zombie'\n"
        "while not pid.exists() or lives(int(pid.read_text())): pass\n"
        "tell('failed', 1, 'connection closed by peer')"
    )
    assert run(tmp_path, code)[0] == 137
    result = results.read(tmp_path)
    assert result is not None and result.error is not None
    assert result.error["message"] == "process 2 of 2 was ended by SIGKILL"
    assert "fewer --num-envs" in result.error["hint"]


def test_a_process_that_hangs_after_another_failed_is_ended_and_the_failure_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "GRACE_S", 0.1)
    code, ended = run(tmp_path, TELL + "import signal\nsignal.pause() if first else tell('failed', 3, 'no GPU 1')")
    assert (code, [found.killed for found in ended]) == (3, [False, True])
    result = results.read(tmp_path)
    assert result is not None and result.error is not None
    assert result.error["message"] == "no GPU 1"


def test_a_first_process_that_is_killed_leaves_a_result(tmp_path: Path) -> None:
    code = TELL + "import signal\nos.kill(os.getpid(), signal.SIGKILL) if first else sys.exit(0)"
    assert run(tmp_path, code)[0] == 137
    result = results.read(tmp_path)
    assert result is not None and result.error is not None
    assert result.error["message"] == "process 1 of 2 was ended by SIGKILL"


@pytest.mark.parametrize(
    ("code", "exit_code", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 137, "was ended by SIGKILL"),
        ("import os; os._exit(3)", 1, "ended with exit code 3 and without a result"),
    ],
)
def test_a_process_alone_that_ends_without_a_word_leaves_a_result(
    tmp_path: Path, code: str, exit_code: int, said: str
) -> None:
    assert launcher.rank_environments(1) == [{}]
    assert run(tmp_path, code, 1)[0] == exit_code
    result = results.read(tmp_path)
    assert result is not None and result.error is not None
    assert result.error["message"] == f"the job's process {said}"


@pytest.mark.parametrize("named", ["killed", "alive", "none"])
def test_a_process_whose_parent_was_killed_before_it_could_ask_is_stopped_too(named: str) -> None:
    code = (
        "import os\n"
        "from gaitway_runtime.process import lifecycle\n"
        "from gaitway_runtime.process.lifecycle import handle_signals\n"
        "stop = handle_signals()\n"
        "lifecycle.stop_with_parent()\n"
        "print(stop.reason, lifecycle.PARENT_VARIABLE in os.environ)\n"
    )
    killed = subprocess.Popen(["true"])
    os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)  # nobody has collected it yet
    # A living one that is not the direct parent has started a program in between.
    parent = {"killed": str(killed.pid), "alive": str(os.getppid()), "none": ""}[named]
    environ = {**os.environ, lifecycle.PARENT_VARIABLE: parent}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True)
    killed.wait()
    assert done.stdout.split() == (["SIGTERM", "False"] if named == "killed" else ["False"])


def test_a_job_that_is_none_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "job.json"
    path.write_text("{}")
    assert launcher.main(["--processes", "2", "--job", str(path)]) == 2
    assert "error: " in capsys.readouterr().err


def test_the_environment_says_which_process_this_is(tmp_path: Path) -> None:
    rank = ranks.rank_from({"RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"})
    assert rank == Rank(5, 1, 8, 4)
    assert (rank.device("cuda:0"), rank.device("cpu"), str(rank)) == ("cuda:1", "cpu", "process 6 of 8")
    assert rank.folder(tmp_path) == tmp_path / "ranks" / "5"
    assert ranks.rank_from({"RANK": "3", "WORLD_SIZE": "1"}) == ALONE
    assert (ALONE.device("cuda:2"), ALONE.folder(tmp_path)) == ("cuda:2", tmp_path)


@pytest.mark.parametrize("environ", [{"WORLD_SIZE": "two"}, {"WORLD_SIZE": "2", "RANK": "2"}])
def test_an_environment_that_contradicts_itself_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        ranks.rank_from(environ)


def test_a_library_can_be_kept_from_seeing_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with ranks.hidden_group():
        assert ranks.current() == ALONE
    assert ranks.current().world == 2


def test_results_of_the_others_are_not_taken_for_the_jobs(tmp_path: Path) -> None:
    results.write(Result(kind="train", task="t", status="failed"), tmp_path / "ranks" / "1")
    assert run(tmp_path, TELL + "tell('succeeded') if first else sys.exit(0)")[0] == 0
    assert json.loads((tmp_path / "result.json").read_text())["status"] == "succeeded"


def test_a_process_that_the_platform_has_given_its_place_speaks_for_itself_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Azure ML starts one process per GPU: the second has nothing to say of ``result.json``, which is not there yet."""
    for name, value in {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    assert run(tmp_path, TELL + "print('here')\ntell('succeeded')", 1)[0] == 0
    assert capfd.readouterr().out == "here\n"
    assert run(tmp_path, "import sys; sys.exit(3)", 1)[0] == 3
    assert results.read(tmp_path) is None


@pytest.mark.parametrize(
    ("rank", "said", "code"),
    [
        (Rank(0, 0, 2, 1), "[gloo/pair.cc:534] Connection closed by peer [10.0.0.4]:31072", 4),
        (Rank(0, 0, 2, 1), "NCCL error: remote process exited or there was a network error", 4),
        (Rank(0, 0, 2, 1), "shapes cannot be multiplied", 1),
        (Rank(0, 0, 2, 2), "[gloo/pair.cc:534] Connection closed by peer [127.0.0.1]:31072", 1),
    ],
)
def test_a_node_that_is_gone_is_the_platforms_failure_and_not_the_jobs(rank: Rank, said: str, code: int) -> None:
    assert failures.own_failure(rank, RuntimeError(said)).exit_code == code
    assert failures.rank_zero_lost(Rank(1, 0, 2, 1)).exit_code == 4, "the platform may start all of them again"
    assert failures.rank_zero_lost(Rank(1, 1, 2, 2)).exit_code == 1
