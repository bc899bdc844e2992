"""The sender: batches off the caller's thread, back-off, and nothing lost whatever the store does."""

from __future__ import annotations

import errno
import json
import resource
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from gaitway_runtime.tracking.delivery import REJECTED, Delivery, Patience, Sender
from gaitway_runtime.tracking.journal import (
    JOURNAL,
    Artifact,
    End,
    Journal,
    JournalBusy,
    Metrics,
    Open,
    Params,
    Record,
    Tags,
    from_line,
    read_journal,
    to_line,
)
from hypothesis import given
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    NOT_FOUND,
    REQUEST_LIMIT_EXCEEDED,
    TEMPORARILY_UNAVAILABLE,
)

LONGEST_S = 120.0
"""Longest wait for what happens at once on a machine that is not busy [s]."""

QUICK = Patience(flush=0.01, first_delay=0.001, longest_delay=0.01, at_end=LONGEST_S)
HEADER = Open(tracking_uri="http://127.0.0.1:1", experiment="e", name="r", run_id="1")


def metrics(step: int) -> Metrics:
    return Metrics(values={"reward": float(step)}, step=step, time_ms=step)


def assert_true(value: bool) -> None:
    assert value


class FakeStore:
    """A store that fails as scripted: ``trouble`` looks at what is sent and may raise."""

    def __init__(self) -> None:
        self.received: list[Record] = []
        self.calls = 0
        self.trouble: Callable[[Sequence[Record]], None] = lambda records: None

    def open(self) -> Open:
        self.trouble([HEADER])
        return HEADER

    def send_values(self, records: Sequence[Record]) -> None:
        self.calls += 1
        self.trouble(records)
        self.received += records

    def send_artifact(self, record: Artifact) -> str:
        self.send_values([record])
        return f"{record.artifact_path}/{record.path}"

    def send_end(self, record: End) -> None:
        self.send_values([record])


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


class Running:
    """A sender with the journal below it, as a job has them."""

    def __init__(self, store: FakeStore, folder: Path, *, opened: bool = True, patience: Patience = QUICK) -> None:
        self.journal = Journal(folder / JOURNAL)
        if not self.journal.contents().header:
            self.journal.append(HEADER)
        self.delivery = Delivery(store, self.journal, patience, opened=opened)
        self.sender = Sender(self.delivery, patience)
        self.add, self.drain = self.sender.add, self.sender.drain

    def stop(self) -> None:
        self.sender.stop()
        self.journal.close(delete=not self.delivery.count)


start = Running


def test_everything_arrives_once_in_order_and_the_journal_is_gone(store: FakeStore, tmp_path: Path) -> None:
    sender = start(store, tmp_path)
    sent: list[Record] = [metrics(step) for step in range(500)]
    sent += [Params(values={"seed": "1"}), Tags(values={"a": "b"})]
    for record in sent:
        sender.add(record)
    assert sender.drain(LONGEST_S)
    sender.stop()
    assert store.received == sent
    assert store.calls <= 20, "records travel in batches"
    assert list(tmp_path.iterdir()) == []


def test_the_end_comes_last_even_when_uploads_are_late(store: FakeStore, tmp_path: Path) -> None:
    failures = iter([True] * 3)

    def trouble(records: Sequence[Record]) -> None:
        if isinstance(records[0], Artifact) and next(failures, False):
            raise ConnectionError("away")

    store.trouble = trouble
    sender = start(store, tmp_path)
    sender.add(Artifact(path="model_1.pt", artifact_path="checkpoints"))
    sender.add(End(status="FINISHED", time_ms=1))
    sender.add(metrics(1))
    assert sender.drain(LONGEST_S)
    sender.stop()
    assert [record.kind for record in store.received] == ["metrics", "artifact", "end"]


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("connection refused"),
        MlflowException("too many requests", error_code=REQUEST_LIMIT_EXCEEDED),
        MlflowException("locked", error_code=TEMPORARILY_UNAVAILABLE),
        RuntimeError("something nobody thought of"),
    ],
    ids=["away", "429", "503", "unknown"],
)
def test_passing_failures_hold_things_up_and_lose_nothing(store: FakeStore, tmp_path: Path, error: Exception) -> None:
    failures = iter([error] * 5)

    def trouble(records: Sequence[Record]) -> None:
        if found := next(failures, None):
            raise found

    store.trouble = trouble
    sender = start(store, tmp_path, opened=False)
    for step in range(100):
        sender.add(metrics(step))
    assert sender.drain(LONGEST_S)
    sender.stop()
    assert store.received == [metrics(step) for step in range(100)]


def test_one_record_that_is_never_taken_is_set_aside_and_the_others_arrive(store: FakeStore, tmp_path: Path) -> None:
    bad = Params(values={"lr": "2"})

    def trouble(records: Sequence[Record]) -> None:
        if bad in records:
            raise MlflowException("lr is 1 already", error_code=INVALID_PARAMETER_VALUE)

    store.trouble = trouble
    sender = start(store, tmp_path)
    for step in range(30):
        sender.add(metrics(step))
        if step == 10:
            sender.add(bad)
    assert sender.drain(LONGEST_S)
    sender.stop()
    assert store.received == [metrics(step) for step in range(30)]
    (line,) = (tmp_path / REJECTED).read_text().splitlines()
    assert json.loads(line) == {"reason": "lr is 1 already", "record": {"kind": "params", "values": {"lr": "2"}}}


def test_what_a_store_that_is_away_has_not_got_is_sent_by_the_next_process(store: FakeStore, tmp_path: Path) -> None:
    def away(records: Sequence[Record]) -> None:
        raise ConnectionError("away")

    store.trouble = away
    sender = start(store, tmp_path)
    for step in range(50):
        sender.add(metrics(step))
    assert not sender.drain(0.05)
    sender.stop()
    assert (tmp_path / JOURNAL).stat().st_size > 0

    store.trouble = lambda records: None
    sender = start(store, tmp_path)
    assert sender.drain(LONGEST_S)
    sender.stop()
    assert store.received == [metrics(step) for step in range(50)]
    assert not (tmp_path / JOURNAL).exists()


@pytest.mark.parametrize(
    "error",
    [
        MlflowException("(sqlite3.OperationalError) database or disk is full", error_code=TEMPORARILY_UNAVAILABLE),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
    ids=["database", "artifacts"],
)
def test_the_end_does_not_wait_for_room_on_a_full_disk(store: FakeStore, tmp_path: Path, error: Exception) -> None:
    """It asks once more, and leaves the rest to the next process."""
    full = [error]

    def trouble(records: Sequence[Record]) -> None:
        for found in full:
            raise found

    store.trouble = trouble
    sender = start(store, tmp_path)
    sent: list[Record] = [metrics(1), Artifact(path="model_1.pt", artifact_path="checkpoints")]
    for record in sent:
        sender.add(record)
    assert not sender.drain(10.0)
    assert store.calls < 300, "asked again and again until the time was up"
    sender.stop()

    full.clear()
    sender = start(store, tmp_path)
    assert sender.drain(LONGEST_S)
    sender.stop()
    assert store.received == sent


def test_adding_never_waits_for_the_store(store: FakeStore, tmp_path: Path) -> None:
    release = threading.Event()
    store.trouble = lambda records: assert_true(release.wait(LONGEST_S))
    sender = start(store, tmp_path)
    for step in range(1000):
        sender.add(metrics(step))
    assert store.received == []
    release.set()
    assert sender.drain(LONGEST_S)
    sender.stop()
    assert len(store.received) == 1000


def test_a_journal_belongs_to_one_process(tmp_path: Path) -> None:
    journal = Journal(tmp_path / JOURNAL)
    with pytest.raises(JournalBusy):
        Journal(tmp_path / JOURNAL)
    journal.close(delete=False)
    Journal(tmp_path / JOURNAL).close(delete=True)


def test_what_a_full_disk_did_not_take_is_written_once_there_is_room(tmp_path: Path) -> None:
    """In order, and nothing twice: the notes of what has arrived count the records of the file."""
    journal = Journal(tmp_path / JOURNAL)
    values = {f"metric {number}": 0.1 for number in range(60)}

    def append(step: int) -> None:
        journal.append(Metrics(values=values, step=step, time_ms=step))

    append(0)
    size = journal.path.stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, limits[1]))
    try:
        for step in range(1, 20):
            with pytest.raises(OSError, match="File too large"):
                append(step)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    append(20)
    journal.close(delete=False)
    found = read_journal(journal.path).lanes["values"]
    assert [record.step for record in found if isinstance(record, Metrics)] == list(range(21))


def test_a_line_that_a_crash_cut_short_costs_only_itself(tmp_path: Path) -> None:
    line = to_line(metrics(1))
    (tmp_path / JOURNAL).write_text(to_line(HEADER) + line + '{"kind": "nonsense"}\n[]\n' + line[: len(line) // 2])
    journal = Journal(tmp_path / JOURNAL)
    journal.append(metrics(2))
    journal.close(delete=False)
    found = read_journal(tmp_path / JOURNAL)
    assert found.header == HEADER
    assert found.lanes["values"] == [metrics(1), metrics(2)], "what is written next has a line of its own"


NUMBERS = st.floats(allow_nan=False)


@given(st.dictionaries(st.text(), NUMBERS), st.integers(), st.dictionaries(st.text(), st.text()))
def test_records_survive_the_way_to_disk(values: dict[str, float], step: int, tags: dict[str, str]) -> None:
    upload = Artifact(path="p", artifact_path="a")
    for record in (Metrics(values=values, step=step, time_ms=0), Tags(values=tags), upload):
        assert from_line(to_line(record)) == record
        assert to_line(record).count("\n") == 1


def test_a_poisoned_artifact_holds_up_neither_the_others_nor_the_end(store: FakeStore, tmp_path: Path) -> None:
    def trouble(records: Sequence[Record]) -> None:
        if isinstance(records[0], Artifact) and records[0].path == "bad.pt":
            raise MlflowException("413 too large", error_code=INVALID_PARAMETER_VALUE)

    store.trouble = trouble
    sender = start(store, tmp_path)
    sender.add(Artifact(path="bad.pt", artifact_path="checkpoints"))
    sender.add(Artifact(path="good.pt", artifact_path="checkpoints"))
    sender.add(End(status="FINISHED", time_ms=1))
    assert not sender.drain(0.5)
    sender.stop()
    assert [record.kind for record in store.received] == ["artifact", "end"]
    (waiting,) = read_journal(tmp_path / JOURNAL).waiting("artifacts")
    assert waiting[1].path == "bad.pt", "an artifact is never given up"


def test_what_has_arrived_is_not_sent_again_by_the_next_process(store: FakeStore, tmp_path: Path) -> None:
    sender = start(store, tmp_path)
    for step in range(100):
        sender.add(metrics(step))
    assert sender.drain(LONGEST_S)
    sender.sender.stop()
    sender.journal.close(delete=False)

    again = start(store, tmp_path)
    again.add(metrics(100))
    assert again.drain(LONGEST_S)
    again.stop()
    assert store.received == [metrics(step) for step in range(101)]


def test_an_error_page_of_something_in_front_of_the_server_refuses_nothing(store: FakeStore, tmp_path: Path) -> None:
    pages = iter(
        [MlflowException("API request to endpoint /x failed with error code 404 != 200", error_code=NOT_FOUND)] * 3
    )

    def trouble(records: Sequence[Record]) -> None:
        if found := next(pages, None):
            raise found

    store.trouble = trouble
    sender = start(store, tmp_path)
    for step in range(10):
        sender.add(metrics(step))
    assert sender.drain(LONGEST_S)
    sender.stop()
    assert store.received == [metrics(step) for step in range(10)]
    assert not (tmp_path / REJECTED).exists()
