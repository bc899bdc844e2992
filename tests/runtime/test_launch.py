"""Several processes on one machine: started, asked to stop, told of. Plain ones here; trainings in test_together.py."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from gaitway_runtime import launch, ranks
from gaitway_runtime import result as results
from gaitway_runtime.errors import UsageError
from gaitway_runtime.ranks import ALONE, Rank
from gaitway_runtime.result import Result


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def run(folder: Path, code: str, processes: int = 2) -> tuple[int, list[launch.Ended]]:
    ended = launch.run([sys.executable, "-c", code], launch.places(processes), folder)
    return launch.exit_code(ended, folder), ended


TELL = """
import os, sys
from pathlib import Path
from gaitway_runtime import ranks, result as results
from gaitway_runtime.result import Result
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
    assert (tmp_path / "ranks" / "1" / launch.LOG_FILE).read_text() == "1 1 2\n"


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
    monkeypatch.setattr(launch, "GRACE_S", 0.1)
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
    assert launch.places(1) == [{}]
    assert run(tmp_path, code, 1)[0] == exit_code
    result = results.read(tmp_path)
    assert result is not None and result.error is not None
    assert result.error["message"] == f"the job's process {said}"


def test_a_job_that_is_none_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "job.json"
    path.write_text("{}")
    assert launch.main(["--processes", "2", "--job", str(path)]) == 2
    assert "error: " in capsys.readouterr().err


def test_the_environment_says_which_process_this_is(tmp_path: Path) -> None:
    rank = ranks.of({"RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"})
    assert rank == Rank(5, 1, 8, 4)
    assert (rank.device("cuda:0"), rank.device("cpu"), str(rank)) == ("cuda:1", "cpu", "process 6 of 8")
    assert rank.folder(tmp_path) == tmp_path / "ranks" / "5"
    assert ranks.of({"RANK": "3", "WORLD_SIZE": "1"}) == ALONE
    assert (ALONE.device("cuda:2"), ALONE.folder(tmp_path)) == ("cuda:2", tmp_path)


@pytest.mark.parametrize("environ", [{"WORLD_SIZE": "two"}, {"WORLD_SIZE": "2", "RANK": "2"}])
def test_an_environment_that_contradicts_itself_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        ranks.of(environ)


def test_a_library_can_be_kept_from_seeing_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with ranks.unseen():
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
