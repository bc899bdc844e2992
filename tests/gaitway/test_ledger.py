"""The ledger: names that are never shared, records that are whole, damage that is told."""

import json
import multiprocessing
from pathlib import Path

import pytest
from gaitway_runtime.spec.result import Result
from hypothesis import given
from hypothesis import strategies as st

from gaitway.errors import ConfigError, UsageError
from gaitway.ledger import Ledger, RunRecord
from gaitway.platforms.base import RunStatus, StatusReport


def record(name: str, created: str = "2026-01-01T00:00:00+00:00", kind: str = "train") -> RunRecord:
    return RunRecord(name=name, platform="local", kind=kind, task="T", created=created, command=("gaitway",))


@pytest.fixture
def ledger(home: Path) -> Ledger:
    return Ledger(home)


def reserve(home: Path, start: object, names: object) -> None:
    start.wait()
    names.put([Ledger(home).reserve("walker").name for _ in range(20)])


def test_processes_that_reserve_at_once_never_share_a_name(ledger: Ledger) -> None:
    context = multiprocessing.get_context("spawn")
    start, names = context.Event(), context.Queue()
    processes = [context.Process(target=reserve, args=(ledger.home, start, names)) for _ in range(3)]
    for process in processes:
        process.start()
    start.set()
    got = sorted(name for _ in processes for name in names.get(timeout=60))
    for process in processes:
        process.join()
    assert got == sorted(f"walker-{number}" for number in range(1, 61))


def test_numbers_go_on_where_they_were(ledger: Ledger) -> None:
    for name in ("walker-2", "walker-10", "walker-x", "walker-2-infer-99", "other-50"):
        ledger.reserve(name, name)
    assert ledger.free_name("walker") == "walker-11"
    assert ledger.free_name("fresh") == "fresh-1"


def test_a_record_comes_back_as_it_was(ledger: Ledger) -> None:
    ledger.reserve("a", "a")
    ledger.write(record("a"))
    assert ledger.read("a") == record("a")


def test_looking_makes_nothing(ledger: Ledger) -> None:
    assert ledger.names() == []
    assert ledger.all() == ([], [])
    assert ledger.last("train", "a") is None
    assert not ledger.home.exists()


def test_the_last_run_is_of_the_same_kind_and_name(ledger: Ledger) -> None:
    for name, created, kind in (
        ("w-1", "2026-01-02", "train"),
        ("w-2", "2026-01-01", "train"),
        ("w-3", "2026-01-03", "infer"),
        ("w-2-2", "2026-01-04", "train"),
    ):
        ledger.reserve(name, name)
        ledger.write(record(name, created, kind))
    found = ledger.last("train", "w")
    assert found and found.name == "w-1"


def test_how_a_run_ended_is_kept_and_how_it_runs_is_not(ledger: Ledger) -> None:
    ledger.reserve("a", "a")
    ledger.record_end("a", StatusReport(RunStatus.RUNNING))
    assert ledger.ended("a") is None
    result = Result(kind="train", task="T", status="failed", metrics={"x": 1.0}, artifacts=("a",))
    ended = StatusReport(RunStatus.FAILED, "FAILED_IMAGE_PULL", "no such image", 1, result)
    ledger.record_end("a", ended)
    assert ledger.ended("a") == ended
    (ledger.run_dir("a") / "ended.json").write_text('{"status": "over"}')
    assert ledger.ended("a") is None


@given(st.one_of(st.binary(max_size=60), st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps)))
def test_no_record_whatever_it_holds_breaks_the_list(tmp_path_factory: pytest.TempPathFactory, content: object) -> None:
    ledger = Ledger(tmp_path_factory.mktemp("home"))
    for name in ("good", "bad"):
        ledger.reserve(name, name)
        ledger.write(record(name))
    path = ledger.run_dir("bad") / "run.json"
    path.write_bytes(content if isinstance(content, bytes) else str(content).encode())
    records, damages = ledger.all()
    assert [run.name for run in records] == ["good"]
    assert [damage.name for damage in damages] == ["bad"]
    with pytest.raises(ConfigError, match="damaged"):
        ledger.read("bad")


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "-a", "a b", "a" * 101, "ü", "a\n"])
def test_a_name_that_is_no_name_is_refused(ledger: Ledger, name: str) -> None:
    with pytest.raises(UsageError):
        ledger.run_dir(name)


def test_a_home_that_cannot_be_written_says_so(ledger: Ledger) -> None:
    ledger.home.mkdir()
    (ledger.home / "runs").write_text("")
    with pytest.raises(ConfigError, match="cannot be used"):
        ledger.reserve("a")
