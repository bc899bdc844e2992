"""Record of the steps that are done on a cluster, and of how far a failed one got."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gaitway_runtime.spec.result import write_json

from gaitway.errors import ConfigError


@dataclass(frozen=True)
class StepState:
    """State of one step: its plan, the actions that are done, and when all were."""

    plan: str
    done: tuple[str, ...] = ()
    finished: str = ""


@dataclass
class Record:
    """State of every step on one cluster, kept in a file that is written atomically."""

    path: Path
    cluster: str
    steps: dict[str, StepState] = field(default_factory=dict)

    def is_done(self, step: str) -> bool:
        """Whether a step has been completed."""
        return step in self.steps and bool(self.steps[step].finished)

    def begin(self, step: str, plan: str) -> tuple[str, ...]:
        """Record the start of a step; return the actions of the same plan that an earlier run completed."""
        known = self.steps.get(step)
        done = known.done if known and known.plan == plan and not known.finished else ()
        self._write(step, StepState(plan, done))
        return done

    def note(self, step: str, action: str) -> None:
        """Record that an action of a step is done."""
        entry = self.steps[step]
        self._write(step, StepState(entry.plan, (*entry.done, action)))

    def finish(self, step: str) -> None:
        """Record that a step is done."""
        entry = self.steps[step]
        self._write(step, StepState(entry.plan, entry.done, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())))

    def forget(self, step: str) -> None:
        """Record that a step was removed."""
        self.steps.pop(step, None)
        self._save()

    def _write(self, step: str, entry: StepState) -> None:
        self.steps[step] = entry
        self._save()

    def _save(self) -> None:
        steps = {
            name: {"plan": entry.plan, "done": list(entry.done), "finished": entry.finished}
            for name, entry in self.steps.items()
        }
        write_json({"cluster": self.cluster, "steps": steps}, self.path)


def read_record(home: Path, name: str, cluster: str) -> Record:
    """Read the record of a cluster; it is empty for a new cluster of the same name.

    Raises:
        ConfigError: The file is not a record.
    """
    path = home / f"{name}.json"
    if not path.exists():
        return Record(path, cluster)
    try:
        document: Mapping[str, Any] = json.loads(path.read_text())
        steps = {
            step: StepState(item["plan"], tuple(item["done"]), item["finished"])
            for step, item in document["steps"].items()
        }
        known = document["cluster"]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        raise ConfigError(
            "the record of the set-up cannot be read",
            source=str(path),
            hint="delete it; every step can be run again safely",
        ) from None
    return Record(path, cluster, steps if known == cluster else {})
