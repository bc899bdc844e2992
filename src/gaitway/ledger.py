"""The runs of this folder: one folder a run below ``$GAITWAY_HOME/runs``, read without trust and written whole."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from gaitway_runtime.spec import result as results
from gaitway_runtime.spec.files import default_home
from gaitway_runtime.spec.result import write_json
from gaitway_runtime.spec.types import Json

from . import locks
from .errors import ConfigError, UsageError, nearest
from .locks import Machine
from .status import RunRef, RunStatus, StatusReport

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What a run may be called: it is a folder here and a resource on the platforms."""

RECORD_FILE = "run.json"
ENDED_FILE = "ended.json"
ABANDONED_AFTER_S = 60.0
"""Age at which a folder without a record, whose command has ended, is removed [s]."""

MACHINE_FILE = "machine.json"
"""Where a run was started from."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What the ledger knows of a run, whatever became of it."""

    name: str
    platform: str
    kind: str
    task: str
    created: str
    """Time of submission, ISO 8601 in UTC."""
    command: tuple[str, ...]
    """What was typed."""
    id: str = ""
    """The platform's own name for it; empty while, and if, the submission did not come back."""
    url: str | None = None
    experiment: str | None = None
    payload_sha256: str | None = None

    @property
    def ref(self) -> RunRef:
        """The run as its platform knows it."""
        return RunRef(self.name, self.platform, self.id, self.url)


@dataclass(frozen=True)
class Damage:
    """A run folder that cannot be read, and why."""

    name: str
    reason: str


class Ledger:
    """Runs below one home folder. Looking never changes anything; only :meth:`reserve` makes the folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.runs = home / "runs"

    @classmethod
    def at_home(cls, environ: Mapping[str, str]) -> Ledger:
        """Return the ledger of ``$GAITWAY_HOME``."""
        return cls(default_home(environ))

    def run_dir(self, name: str) -> Path:
        """Return the folder of a run.

        Raises:
            UsageError: The name cannot be one of a run.
        """
        if not NAME.fullmatch(name):
            raise UsageError(
                f"'{name}' cannot be the name of a run",
                allowed="letters, digits, '.', '_' and '-', at most 100, a letter or digit first",
            )
        return self.runs / name

    def names(self) -> list[str]:
        """Return the names of all run folders, readable or not.

        Raises:
            ConfigError: The home is not a folder that can be read.
        """
        try:
            found = [entry.name for entry in os.scandir(self.runs) if entry.is_dir() and NAME.fullmatch(entry.name)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._unusable(error) from None
        return sorted(found)

    def free_name(self, stem: str, name: str | None = None) -> str:
        """Return the name that a new run would get: ``name``, or ``isaac-ant-v0-3`` after ``isaac-ant-v0-2``.

        Raises:
            UsageError: The name is taken, or cannot be one of a run.
        """
        if name and self.run_dir(name).exists():
            raise _taken(name)
        self.run_dir(stem)
        return name or self._next_name(stem)

    def _next_name(self, stem: str) -> str:
        taken = (re.fullmatch(re.escape(stem) + r"-(\d+)", name) for name in self.names())
        return f"{stem}-{max((int(match[1]) for match in taken if match), default=0) + 1}"

    def reserve(self, stem: str, name: str | None = None) -> Path:
        """Make the folder of a new run, take its lock, and return it. Two processes never get the same one.

        Args:
            stem: What the name is derived from; it gets a number.
            name: The name to have instead.

        Raises:
            UsageError: The name is taken.
            ConfigError: The folder cannot be made.
        """
        self._remove_abandoned()
        while True:
            folder = self.run_dir(name or self._next_name(stem))
            try:
                self.make_home()
                folder.mkdir()
                # From here on the folder is somebody's: who lists the runs sees that it is being launched.
                locks.take(locks.of_run(folder), wait=True)
                write_json(dataclasses.asdict(Machine.here()), folder / MACHINE_FILE)
            except FileExistsError:
                # Making a folder is atomic: whoever comes second sees it and takes the next number.
                if name:
                    raise _taken(name) from None
            except OSError as error:
                raise self._unusable(error) from None
            else:
                return folder

    def discard(self, name: str) -> None:
        """Remove the folder of a run that was never submitted."""
        locks.release(locks.of_run(self.run_dir(name)))
        shutil.rmtree(self.run_dir(name), ignore_errors=True)

    def remove(self, name: str) -> None:
        """Remove a run: its folder disappears from the list at once, then from the disk.

        Raises:
            ConfigError: The folder cannot be removed.
        """
        folder = self.run_dir(name)
        hidden = folder.with_name(f".removed-{name}")
        try:
            shutil.rmtree(hidden, ignore_errors=True)
            folder.rename(hidden)
            shutil.rmtree(hidden)
        except OSError as error:
            raise self._unusable(error) from None

    def write(self, record: RunRecord) -> None:
        """Write a run's record."""
        write_json(dataclasses.asdict(record), self.run_dir(record.name) / RECORD_FILE)

    def read(self, name: str) -> RunRecord:
        """Return a run's record.

        Raises:
            UsageError: There is no such run; the error names the nearest.
            ConfigError: The record is damaged.
        """
        folder = self.run_dir(name)
        if not folder.is_dir():
            close = nearest(name, self.names())
            raise UsageError(
                f"there is no run '{name}'",
                source=str(self.runs),
                hint=f"did you mean {close}?" if close else "gaitway runs",
            )
        found = self._load(name)
        if isinstance(found, Damage):
            raise ConfigError(
                f"the record of run '{name}' is damaged: {found.reason}",
                source=str(folder / RECORD_FILE),
                hint=f"its outputs are in {folder}; rm -r {folder} forgets the run",
            )
        return found

    def all(self) -> tuple[list[RunRecord], list[Damage]]:
        """Return all runs, oldest first, and the folders that cannot be read."""
        found = [self._load(name) for name in self.names() if not self._being_launched(name)]
        records = [entry for entry in found if isinstance(entry, RunRecord)]
        return sorted(records, key=_age), [entry for entry in found if isinstance(entry, Damage)]

    def last(self, kind: str, stem: str) -> RunRecord | None:
        """Return the newest run of a kind whose name begins with a stem, or None."""
        records, _ = self.all()
        alike = re.compile(re.escape(stem) + r"(-\d+)?")
        return next((run for run in reversed(records) if run.kind == kind and alike.fullmatch(run.name)), None)

    def ended(self, name: str) -> StatusReport | None:
        """Return how a run ended, if that is known for good."""
        try:
            return _report(json.loads((self.run_dir(name) / ENDED_FILE).read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError):
            return None

    def record_end(self, name: str, report: StatusReport) -> None:
        """Remember how a run ended, so that its platform is not asked again; in a read-only folder, do nothing."""
        if report.status.ended:
            with suppress(OSError):
                write_json(dataclasses.asdict(report), self.run_dir(name) / ENDED_FILE)

    def forget_end(self, name: str) -> None:
        """Forget how a run ended: it goes on."""
        (self.run_dir(name) / ENDED_FILE).unlink(missing_ok=True)

    def _load(self, name: str) -> RunRecord | Damage:
        try:
            record = _record(json.loads((self.runs / name / RECORD_FILE).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return Damage(name, "it was never submitted")
        except OSError as error:
            return Damage(name, error.strerror or str(error))
        except (ValueError, TypeError, RecursionError):
            return Damage(name, f"{RECORD_FILE} is not a run's record")
        return record if record.name == name else Damage(name, f"its record is of '{record.name}'")

    def _being_launched(self, name: str) -> bool:
        """Whether a folder is one that a command has just made for a run and not written the record of yet."""
        folder = self.runs / name
        return not (folder / RECORD_FILE).exists() and bool(locks.is_taken(locks.of_run(folder)))

    def _remove_abandoned(self) -> None:
        """Remove folders of commands that were killed before they had written a record: nothing is in them."""
        for name in self.names():
            folder = self.runs / name
            with suppress(OSError):
                old = time.time() - folder.stat().st_mtime > ABANDONED_AFTER_S
                if old and not (folder / RECORD_FILE).exists() and locks.is_taken(locks.of_run(folder)) is False:
                    shutil.rmtree(folder, ignore_errors=True)

    def make_home(self) -> None:
        """Make the home, which git is not to notice."""
        if not self.home.exists():
            self.home.mkdir(parents=True, exist_ok=True)
            # The home lies in the user's repository: git is not to notice it.
            (self.home / ".gitignore").write_text("*\n", encoding="utf-8")
        self.runs.mkdir(exist_ok=True)

    def _unusable(self, error: OSError) -> ConfigError:
        return ConfigError(
            f"the runs of this folder cannot be used: {error.strerror}",
            source=str(self.home),
            hint=f"move it away (mv {self.home} {self.home}.old) or set GAITWAY_HOME to another folder",
        )


def _record(values: Json) -> RunRecord:
    """Return the record that ``run.json`` holds; what a newer release adds is left out.

    Raises:
        ValueError: A field is not of its type.
        TypeError: A field is missing.
    """
    if not isinstance(values, Mapping):
        raise ValueError("not a JSON object")
    known: dict[str, Any] = {field.name: values[field.name] for field in fields(RunRecord) if field.name in values}
    typed = known.pop("command", None)
    if not isinstance(typed, list) or not all(isinstance(value, str | None) for value in (*typed, *known.values())):
        raise ValueError("a field is not a text")
    if any(known.get(name, "") is None for name in _TEXTS):
        raise ValueError("a field is empty")
    return RunRecord(**known, command=tuple(typed))


_TEXTS = tuple(field.name for field in fields(RunRecord) if field.type == "str")
"""Fields of a record that are always there."""


def _report(values: Json) -> StatusReport:
    """Return the report that ``ended.json`` holds.

    Raises:
        ValueError: It is not one.
    """
    if not isinstance(values, Mapping):
        raise ValueError("not a JSON object")
    word, detail, exit_code, result = (values.get(key) for key in ("word", "detail", "exit_code", "result"))
    return StatusReport(
        RunStatus(values.get("status")),
        word=str(word or ""),
        detail=str(detail or ""),
        exit_code=exit_code if isinstance(exit_code, int) else None,
        result=None if result is None else results.from_document(result),
    )


def read_document(run_dir: Path, name: str) -> dict[str, Any] | None:
    """Return a JSON object of a run's folder, or None where there is none that can be read."""
    try:
        found = json.loads((run_dir / name).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _taken(name: str) -> UsageError:
    return UsageError(f"there is a run named '{name}'", source="--name", hint=f"gaitway status {name}")


def _age(record: RunRecord) -> tuple[str, Sequence[Any]]:
    return record.created, _natural(record.name)


def _natural(name: str) -> list[Any]:
    """Return a key by which ``run-10`` sorts after ``run-9``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
