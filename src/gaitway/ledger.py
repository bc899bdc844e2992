"""The runs of this folder: one folder a run below ``$GAITWAY_HOME/runs``, read without trust and written whole."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaitway_runtime.result import write_json
from gaitway_runtime.tracking.store import default_home

from .errors import ConfigError, UsageError, nearest
from .platforms.base import RunRef, RunStatus, StatusReport

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What a run may be called: it is a folder here and a resource on the platforms."""

RECORD_FILE = "run.json"
ENDED_FILE = "ended.json"


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
    """The runs below one home folder. Looking never changes anything; only :meth:`reserve` makes the folder."""

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
        """Make the folder of a new run and return it. Two processes never get the same one.

        Args:
            stem: What the name is derived from; it gets a number.
            name: The name to have instead.

        Raises:
            UsageError: The name is taken.
            ConfigError: The folder cannot be made.
        """
        while True:
            folder = self.run_dir(name or self._next_name(stem))
            try:
                self._make_home()
                folder.mkdir()
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
        shutil.rmtree(self.run_dir(name), ignore_errors=True)

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
        found = [self._load(name) for name in self.names()]
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
            values = json.loads((self.run_dir(name) / ENDED_FILE).read_text(encoding="utf-8"))
            return StatusReport(**{**values, "status": RunStatus(values["status"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def settle(self, name: str, report: StatusReport) -> None:
        """Remember how a run ended, so that nobody is asked again. A ledger that cannot be written is no matter."""
        if report.status.ended:
            with suppress(OSError):
                write_json(dataclasses.asdict(report), self.run_dir(name) / ENDED_FILE)

    def _load(self, name: str) -> RunRecord | Damage:
        try:
            values = json.loads((self.runs / name / RECORD_FILE).read_text(encoding="utf-8"))
            record = RunRecord(**{**values, "command": tuple(values["command"])})
        except FileNotFoundError:
            return Damage(name, "it was never submitted")
        except OSError as error:
            return Damage(name, error.strerror or str(error))
        except (ValueError, TypeError, KeyError):
            return Damage(name, f"{RECORD_FILE} is not a run's record")
        return record if record.name == name else Damage(name, f"its record is of '{record.name}'")

    def _make_home(self) -> None:
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


def read_document(run_dir: Path, name: str) -> Any:
    """Return a JSON document of a run's folder, or None where there is none that can be read."""
    try:
        return json.loads((run_dir / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _taken(name: str) -> UsageError:
    return UsageError(f"there is a run named '{name}'", source="--name", hint=f"gaitway status {name}")


def _age(record: RunRecord) -> tuple[str, Sequence[Any]]:
    return record.created, _natural(record.name)


def _natural(name: str) -> list[Any]:
    """Return a key by which ``run-10`` sorts after ``run-9``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
