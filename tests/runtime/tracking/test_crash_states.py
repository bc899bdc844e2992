"""The journal after a crash at any instant: every state that a disk can be left in, recovered (after ALICE, OSDI 2014).

A session is recorded: after each write, and before and after each request, the journal's bytes, how many of them are
surely on the disk (fsync), and what the server has. A crash leaves the synced part and any beginning of the rest.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from gaitway_runtime.tracking import journal as journal_module
from gaitway_runtime.tracking.delivery import Delivery, Patience
from gaitway_runtime.tracking.journal import JOURNAL, Artifact, End, Journal, Metrics, Open, Record, read_journal

HEADER = Open(tracking_uri="http://127.0.0.1:1", experiment="e", name="r", run_id="1", attempt="a")
PATIENCE = Patience(first_delay=0.0, longest_delay=0.0)


@dataclass
class Server:
    """What a tracking server has; a metric's step that it has is not sent again, as a run's store does it."""

    got: Counter[str] = field(default_factory=Counter)
    ended: int = 0

    def open(self) -> Open:
        return HEADER

    def send_values(self, records: Sequence[Record]) -> None:
        for record in records:
            key = f"step {record.step}" if isinstance(record, Metrics) else f"tags {record}"
            if not (isinstance(record, Metrics) and self.got[key]):
                self.got[key] += 1

    def send_artifact(self, record: Artifact) -> str:
        self.got[f"file {record.path}"] = 1  # an upload replaces the same file
        return record.path

    def send_end(self, record: End) -> None:
        self.ended = 1


@dataclass(frozen=True)
class State:
    """A moment of the session."""

    journal: bytes
    synced: int
    got: Counter[str]


class Recording(Server):
    """A server that takes a state before and after each request."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.synced = 0
        self.states: list[State] = []

    def take(self) -> None:
        self.states.append(State(self.path.read_bytes(), self.synced, Counter(self.got)))

    def send_values(self, records: Sequence[Record]) -> None:
        self.take()
        super().send_values(records)
        self.take()

    def send_artifact(self, record: Artifact) -> str:
        self.take()
        place = super().send_artifact(record)
        self.take()
        return place


@pytest.fixture
def states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[State]:
    path = tmp_path / "session" / JOURNAL
    server = Recording(path)
    real = os.fsync

    def fsync(handle: int) -> None:
        real(handle)
        server.synced = path.stat().st_size

    monkeypatch.setattr(journal_module.os, "fsync", fsync)
    journal = Journal(path)
    journal.append(HEADER, durable=True)
    delivery = Delivery(server, journal, PATIENCE, opened=True)
    for step in range(16):
        delivery.add(Metrics(values={"reward": float(step)}, step=step, time_ms=step))
        server.take()
        if step % 5 == 4:
            delivery.add(Artifact(path=f"model_{step}.pt", artifact_path="checkpoints"))
            server.take()
        if step % 3 == 2:
            delivery.work()
            server.take()
    delivery.add(End(status="FINISHED", time_ms=1))
    delivery.work()
    server.take()
    journal.close(delete=False)
    monkeypatch.setattr(journal_module.os, "fsync", lambda handle: None)
    return server.states


def expected(content: bytes, folder: Path) -> set[str]:
    """Return what a server has to have once a journal is delivered."""
    path = folder / "expected.jsonl"
    path.write_bytes(content)
    found = read_journal(path)
    values = {f"step {record.step}" for record in found.lanes.get("values", []) if isinstance(record, Metrics)}
    return values | {
        f"file {record.path}" for record in found.lanes.get("artifacts", []) if isinstance(record, Artifact)
    }


def test_nothing_is_lost_and_nothing_doubled_after_a_crash_at_any_instant(states: list[State], tmp_path: Path) -> None:
    seen = 0
    folder = tmp_path / "crashed"
    folder.mkdir()
    for number, state in enumerate(states):
        for cut in range(state.synced, len(state.journal) + 1):
            seen += 1
            (folder / JOURNAL).write_bytes(state.journal[:cut])
            server = Server(Counter(state.got))
            journal = Journal(folder / JOURNAL)
            delivery = Delivery(server, journal, PATIENCE, opened=True)
            delivery.add(Metrics(values={"reward": 99.0}, step=99, time_ms=99))
            delivery.work()
            assert not delivery.count
            journal.close(delete=False)
            wanted = expected(state.journal[:cut], tmp_path) | {"step 99"}
            assert wanted <= set(server.got), (number, cut)
            assert set(server.got.values()) == {1}, (number, cut)
            again = Journal(folder / JOURNAL)
            assert not Delivery(server, again, PATIENCE).count, "what was sent is not sent again"
            again.close(delete=False)
    assert seen >= 2000


def test_nothing_is_sent_before_it_is_on_the_disk(states: list[State], tmp_path: Path) -> None:
    for state in states:
        known = expected(state.journal[: state.synced], tmp_path)
        assert set(state.got) <= known


def test_a_position_never_covers_what_has_not_arrived(states: list[State], tmp_path: Path) -> None:
    for state in states:
        path = tmp_path / "positions.jsonl"
        path.write_bytes(state.journal)
        found = read_journal(path)
        for lane in ("values", "artifacts"):
            for index in found.handled.get(lane, set()):
                record = found.lanes[lane][index]
                key = f"step {record.step}" if isinstance(record, Metrics) else f"file {getattr(record, 'path', '')}"
                assert state.got[key] == 1
