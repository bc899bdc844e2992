"""The journal of a tracked run: what has not reached the tracking server yet, on disk.

Every record is appended before it is sent, and the file is emptied whenever all of it has arrived. A crash, a server
that is away or a job that ends too early therefore loses nothing: whoever opens the journal next sends the rest.
Sending a record twice does no harm.
"""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path

from .records import Artifact, Open, Record, from_line, to_line

JOURNAL = "tracking-backlog.jsonl"


class JournalBusy(Exception):
    """Another process is writing or sending this journal."""


class Journal:
    """An append-only file of records, held by one process at a time.

    Args:
        path: The file; made when missing.

    Raises:
        JournalBusy: Another process holds it.
        OSError: The file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("a+", encoding="utf-8")
        self._lock = threading.Lock()
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise JournalBusy(str(path)) from None

    def read(self) -> list[Record]:
        """Return every whole record in the file, oldest first."""
        self._file.seek(0)
        return [record for record in map(from_line, self._file) if record is not None]

    def append(self, record: Record) -> None:
        """Write one record through to the operating system: it survives the death of this process."""
        with self._lock:
            if not self._file.closed:
                self._file.write(to_line(record))
                self._file.flush()

    def rewrite(self, header: Open) -> None:
        """Drop all records, which have arrived, and keep only where the run belongs."""
        with self._lock:
            if not self._file.closed:
                self._file.truncate(0)
                self._file.write(to_line(header))
                self._file.flush()

    def close(self, *, delete: bool) -> None:
        """Let go of the file; ``delete`` it when nothing in it is left to send."""
        with self._lock:
            if self._file.closed:
                return
            if delete:
                self.path.unlink(missing_ok=True)
            self._file.close()


def unsent_artifacts(folder: Path) -> set[str]:
    """Return the files below an output folder that have not been uploaded yet, as far as its journal knows."""
    try:
        lines = (folder / JOURNAL).read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return {record.path for record in map(from_line, lines) if isinstance(record, Artifact)}
