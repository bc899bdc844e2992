"""Journal of a tracked run: everything it has to tell, on disk, with the position of each consumer.

Records are only ever appended. Arrival is noted by a record of its own, so that a crash at any instant loses nothing
and doubles nothing: the next process that opens the journal sends the rest. The file stays until the end of the run
has arrived, and is then deleted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any, ClassVar

from ..spec.files import sync_folder

JOURNAL = "tracking-backlog.jsonl"

_ATTEMPTS, _PAUSE_S = 4, 0.05
"""Attempts at a lock, and the pause between them [s]."""


class JournalBusy(Exception):
    """Another process is writing or sending this journal."""


@dataclass
class Contents:
    """The content of a journal.

    ``lanes`` holds every record of each lane in order, ``handled`` the indices of those that need no further sending.
    """

    header: Open | None = None
    lanes: dict[str, list[Record]] = field(default_factory=dict)
    handled: dict[str, set[int]] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    moved: dict[int, str] = field(default_factory=dict)
    """Path of an artifact, by its index, where it is not the one that was asked for."""

    def add(self, record: Record) -> None:
        """Take one record in the order of the file."""
        lane = lane_of(record)
        if lane is not None:
            self.lanes.setdefault(lane, []).append(record)
        elif isinstance(record, Open):
            self.header = record
        elif isinstance(record, Sent):
            self.handled.setdefault(record.lane, set()).update(range(record.first, record.last + 1))
            if record.where:
                self.moved[record.first] = record.where
        elif isinstance(record, Refused):
            self.handled.setdefault(record.lane, set()).add(record.index)
            self.refused.append(record)

    def waiting(self, lane: str) -> list[tuple[int, Record]]:
        """Return the records of a lane that have not arrived, with their indices."""
        handled = self.handled.get(lane, set())
        return [(index, record) for index, record in enumerate(self.lanes.get(lane, [])) if index not in handled]

    @property
    def count(self) -> int:
        """Number of records that wait."""
        return sum(len(self.waiting(lane)) for lane in self.lanes)

    @property
    def ended(self) -> bool:
        """Whether the run has written its end."""
        return any(isinstance(record, End) for records in self.lanes.values() for record in records)

    @property
    def unsent(self) -> set[str]:
        """Files, relative to the output folder, that have not been uploaded yet."""
        return {record.path for _, record in self.waiting(ARTIFACTS) if isinstance(record, Artifact)}


class Journal:
    """A journal that this process holds: nobody else may write it meanwhile.

    Args:
        path: The file; made when missing.

    Raises:
        JournalBusy: Another process holds it.
        OSError: The file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._lock = threading.Lock()
        self._dirty = False
        self._unwritten = b""
        """Records that a full disk has not taken yet. What follows waits behind them: notes count those of the file."""
        self._file = _locked(path)
        self._end_torn_line()
        sync_folder(path.parent)

    def contents(self) -> Contents:
        """Return what is in the file."""
        with self._lock:
            self._file.seek(0)
            return _contents(self._file.readall().decode("utf-8", errors="replace").split("\n"))

    def append(self, *records: Record, durable: bool = False) -> None:
        """Write records through to the operating system, where they survive the death of this process.

        Args:
            records: The records.
            durable: Whether to write them through to the disk, where they survive the death of the machine.

        Raises:
            OSError: They cannot be written now; they are kept, and written before what is appended next.
        """
        with self._lock:
            if self._file.closed:
                return
            self._unwritten += "".join(map(to_line, records)).encode()
            self._write()
            if durable:
                self._sync()

    def sync(self) -> None:
        """Write everything appended so far through to the disk.

        Raises:
            OSError: It cannot be written.
        """
        with self._lock:
            if (self._dirty or self._unwritten) and not self._file.closed:
                self._write()
                self._sync()

    def close(self, *, delete: bool) -> None:
        """Let go of the file; ``delete`` it when nothing in it is left to send."""
        with self._lock:
            if self._file.closed:
                return
            if delete:
                self.path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # what a full disk did not take has been said
                self._write()
            with contextlib.suppress(OSError):
                self._file.close()

    def _write(self) -> None:
        while self._unwritten:
            self._unwritten = self._unwritten[self._file.write(self._unwritten) :]
            self._dirty = True

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._dirty = False

    def _end_torn_line(self) -> None:
        """End a line that a crash cut short, so that the next record has a line of its own."""
        size = self._file.seek(0, os.SEEK_END)
        with self.path.open("rb") as file:
            if size and file.seek(size - 1) is not None and file.read(1) != b"\n":
                self._file.write(b"\n")


def _locked(path: Path) -> FileIO:
    """Open and lock a journal; one who only looks whether it is locked (:func:`is_held`) is waited for.

    Raises:
        JournalBusy: Another process holds it.
    """
    for _ in range(_ATTEMPTS):
        file = FileIO(path, "a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # its owner may have deleted it between our opening and locking it
            if path.exists() and os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                return file
        except (BlockingIOError, FileNotFoundError):
            pass
        file.close()
        time.sleep(_PAUSE_S)
    raise JournalBusy(str(path))


def read_journal(path: Path) -> Contents:
    """Return the content of a journal, held or not; an empty one for a file that cannot be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return _contents(file)
    except OSError:
        return Contents()


def is_held(path: Path) -> bool:
    """Whether a living process holds a journal."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def set_aside(folder: Path) -> list[Path]:
    """Give the journal that a dead process has left in an output folder a name of its own; return such journals.

    Raises:
        JournalBusy: A living process holds it.
    """
    own = folder / JOURNAL
    if own.exists():
        journal = Journal(own)
        own.rename(own.with_name(f"{own.stem}-{time.time_ns()}.jsonl"))
        journal.close(delete=False)
    return [path for path in sorted(folder.glob(f"{own.stem}-*.jsonl")) if path.is_file()]


def journals_in(folder: Path) -> list[Path]:
    """Return the journals in an output folder, the oldest first: the run's own comes last."""
    return _by_age(folder.glob(f"{Path(JOURNAL).stem}*.jsonl"))


def journals_below(runs: Path) -> list[Path]:
    """Return the journals below a folder of runs (``$GAITWAY_HOME/runs``), the oldest first."""
    return _by_age(runs.glob(f"*/outputs/{Path(JOURNAL).stem}*.jsonl"))


def unsent_artifacts(folder: Path) -> set[str]:
    """Return the files below an output folder that have not been uploaded yet, as far as its journals know."""
    return {name for path in journals_in(folder) for name in read_journal(path).unsent}


def _contents(lines: Iterable[str]) -> Contents:
    found = Contents()
    for line in lines:
        record = from_line(line)
        if record is not None:
            found.add(record)
    return found


def _by_age(paths: Iterable[Path]) -> list[Path]:
    def aged() -> Iterator[tuple[int, Path]]:
        for path in paths:
            try:
                yield path.stat().st_mtime_ns, path
            except OSError:  # noqa: PERF203 - its run has just sent it
                continue

    return [path for _, path in sorted(aged())]


@dataclass(frozen=True, kw_only=True)
class Record:
    """One thing to tell the tracking server, or a note on what has been told."""

    kind: ClassVar[str]


@dataclass(frozen=True, kw_only=True)
class Open(Record):
    """Where the run belongs; always the first record of a journal, and written again once the run has an id."""

    kind: ClassVar[str] = "open"
    tracking_uri: str
    experiment: str
    name: str
    run_id: str | None = None
    """MLflow's id once the run exists there."""
    artifact_location: str | None = None
    """Where a new experiment keeps its artifacts; None leaves it to the server."""
    tags: Mapping[str, str] = field(default_factory=dict)
    managed: bool = False
    """The platform made the run and will end it."""
    attempt: str = ""
    """Id of this attempt at the run, unique in the world."""
    resumed: bool = False
    """Whether the run was begun by an earlier attempt."""


@dataclass(frozen=True, kw_only=True)
class Metrics(Record):
    """Values of one training step."""

    kind: ClassVar[str] = "metrics"
    values: Mapping[str, float]
    step: int
    time_ms: int


@dataclass(frozen=True, kw_only=True)
class Params(Record):
    """Run parameters."""

    kind: ClassVar[str] = "params"
    values: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Tags(Record):
    """Run tags."""

    kind: ClassVar[str] = "tags"
    values: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Artifact(Record):
    """A file to upload to the folder ``artifact_path``; a folder stands for the files in it."""

    kind: ClassVar[str] = "artifact"
    path: str
    artifact_path: str
    rotated: bool = False
    """Whether it is a companion: gone when a newer one has replaced it, and older ones are removed from the store."""


@dataclass(frozen=True, kw_only=True)
class End(Record):
    """The run's end: ``FINISHED``, ``FAILED`` or ``KILLED``."""

    kind: ClassVar[str] = "end"
    status: str
    time_ms: int


@dataclass(frozen=True, kw_only=True)
class Sent(Record):
    """The position of a consumer: its records from ``first`` to ``last``, counted from 0, have arrived."""

    kind: ClassVar[str] = "sent"
    lane: str
    first: int
    last: int
    where: str = ""
    """Path of an artifact, where it is not the one that was asked for."""


@dataclass(frozen=True, kw_only=True)
class Refused(Record):
    """A record that MLflow has refused, with its reason; it is not sent again."""

    kind: ClassVar[str] = "refused"
    lane: str
    index: int
    reason: str


_KINDS: dict[str, type[Record]] = {cls.kind: cls for cls in (Open, Metrics, Params, Tags, Artifact, End, Sent, Refused)}

VALUES, ARTIFACTS, END = "values", "artifacts", "end"
"""Lanes: consumers of the journal, each with a position of its own."""


def lane_of(record: Record) -> str | None:
    """Return the lane that a record travels in; None for a header or a note."""
    if isinstance(record, (Metrics, Params, Tags)):
        return VALUES
    if isinstance(record, Artifact):
        return ARTIFACTS
    return END if isinstance(record, End) else None


def to_line(record: Record) -> str:
    """Return a record as one line of JSON."""
    return json.dumps({"kind": record.kind, **dataclasses.asdict(record)}) + "\n"


def from_line(line: str) -> Record | None:
    """Return the record of a line; None for a line that a crash cut short or that is of no known kind.

    What another release has written beside the fields of today is left out.
    """
    try:
        values: dict[str, Any] = json.loads(line)
        kind = _KINDS[values["kind"]]
        return kind(**{field.name: values[field.name] for field in dataclasses.fields(kind) if field.name in values})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
