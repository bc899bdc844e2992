"""States of a run, as every platform reports them."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from gaitway_runtime.spec.result import Result


class RunStatus(str, enum.Enum):
    """One vocabulary of states for every platform."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self in (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)


@dataclass(frozen=True)
class StatusReport:
    """What a platform says of a run now."""

    status: RunStatus
    word: str = ""
    """The platform's own word for it."""
    detail: str = ""
    """One sentence: why it failed, what it waits for."""
    exit_code: int | None = None
    result: Result | None = None
    """The run's ``result.json``, where the platform can read it."""


@dataclass(frozen=True)
class RunRef:
    """A run on a platform: our name for it, the platform's own id, and where to look at it."""

    name: str
    platform: str
    id: str
    url: str | None = None
