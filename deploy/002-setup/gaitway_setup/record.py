"""What was done on a cluster: which steps stand, and how far one came that failed."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gaitway_runtime.result import write_json

from gaitway.errors import ConfigError


@dataclass(frozen=True)
class Entry:
    """One step's state: the plan it follows, which of its actions are done, and when the whole was."""

    plan: str
    done: tuple[str, ...] = ()
    finished: str = ""


@dataclass
class Record:
    """The state of every step on one cluster, kept in a file that is always whole."""

    path: Path
    cluster: str
    steps: dict[str, Entry] = field(default_factory=dict)

    def stands(self, step: str) -> bool:
        """Whether a step has been done to its end."""
        return step in self.steps and bool(self.steps[step].finished)

    def begin(self, step: str, plan: str) -> tuple[str, ...]:
        """Note that a step is under way; return the actions that an earlier try has done of the same plan."""
        known = self.steps.get(step)
        done = known.done if known and known.plan == plan and not known.finished else ()
        self._write(step, Entry(plan, done))
        return done

    def note(self, step: str, action: str) -> None:
        """Note that an action of a step is done."""
        entry = self.steps[step]
        self._write(step, Entry(entry.plan, (*entry.done, action)))

    def finish(self, step: str) -> None:
        """Note that a step is done."""
        entry = self.steps[step]
        self._write(step, Entry(entry.plan, entry.done, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())))

    def forget(self, step: str) -> None:
        """Note that nothing of a step is left."""
        self.steps.pop(step, None)
        self._save()

    def _write(self, step: str, entry: Entry) -> None:
        self.steps[step] = entry
        self._save()

    def _save(self) -> None:
        steps = {
            name: {"plan": entry.plan, "done": list(entry.done), "finished": entry.finished}
            for name, entry in self.steps.items()
        }
        write_json({"cluster": self.cluster, "steps": steps}, self.path)


def read_record(home: Path, name: str, cluster: str) -> Record:
    """Read what is known of a cluster; of one that was made anew under the same name, nothing.

    Raises:
        ConfigError: The file is not a record.
    """
    path = home / f"{name}.json"
    if not path.exists():
        return Record(path, cluster)
    try:
        document: Mapping[str, Any] = json.loads(path.read_text())
        steps = {
            step: Entry(item["plan"], tuple(item["done"]), item["finished"]) for step, item in document["steps"].items()
        }
        known = document["cluster"]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        raise ConfigError(
            "the record of what was set up cannot be read",
            source=str(path),
            hint="delete it; every step can be run again safely",
        ) from None
    return Record(path, cluster, steps if known == cluster else {})
