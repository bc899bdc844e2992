"""The plan: what will happen, where each value came from, and what changed since the last time. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .payload.manifest import Payload, files_of
from .payload.manifest import to_document as payload_document
from .platforms.base import Request, Submission
from .settings.values import Setting, document


@dataclass(frozen=True)
class Change:
    """One difference to an earlier run: a setting's value, or the content hash of a file of the payload."""

    what: str
    before: str | None
    """None for a file that is new."""
    after: str | None
    """None for a file that is gone."""


@dataclass(frozen=True)
class Previous:
    """What is known of the run that a plan is compared with, as its folder holds it."""

    run: str
    settings: Mapping[str, Any]
    """The ``settings.json`` document."""
    payload: Mapping[str, Any]
    """The ``payload.json`` document."""


@dataclass(frozen=True)
class Plan:
    """What a user looks at before a job is submitted."""

    run: str
    kind: str
    task: str
    platform: str
    settings: Mapping[str, Setting]
    payload: Payload
    previous: str | None = None
    changed_settings: tuple[Change, ...] = ()
    changed_files: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def chosen(self) -> tuple[Setting, ...]:
        """The settings that someone or something chose: all that are not at their plain default."""
        return tuple(setting for setting in self.settings.values() if setting.origin.layer != "default")


def make_plan(submission: Submission, request: Request, previous: Previous | None, notes: tuple[str, ...] = ()) -> Plan:
    """Return the plan of a submission.

    Args:
        submission: What was asked.
        request: What the platform made of it.
        previous: The last run to compare with, if there was one.
        notes: What the user should see beside the payload's and the platform's own notes.
    """
    return Plan(
        run=submission.run,
        kind=submission.job.kind,
        task=submission.job.task,
        platform=request.platform,
        settings=submission.settings,
        payload=submission.payload,
        previous=previous.run if previous else None,
        changed_settings=setting_changes(previous.settings, document(submission.settings)) if previous else (),
        changed_files=file_changes(previous.payload, payload_document(submission.payload)) if previous else (),
        notes=(*notes, *submission.payload.notes, *request.notes),
    )


def to_document(plan: Plan) -> dict[str, Any]:
    """Return the plan as it stands in ``plan.json`` and in ``--dry-run --json``."""
    payload = payload_document(plan.payload)
    return {
        "run": plan.run,
        "kind": plan.kind,
        "task": plan.task,
        "platform": plan.platform,
        "payload": {**payload, "files": len(plan.payload.files)},
        "settings": document(plan.settings),
        "previous": plan.previous,
        "changed_settings": [asdict(change) for change in plan.changed_settings],
        "changed_files": [asdict(change) for change in plan.changed_files],
        "notes": list(plan.notes),
    }


def setting_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return what differs between two ``settings.json`` documents; a setting that only one has is no change."""
    old, new = _values(before), _values(after)
    shared = [key for key in new if key in old]
    return tuple(Change(key, old[key], new[key]) for key in shared if old[key] != new[key])


def file_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return the files whose content differs between two ``payload.json`` documents."""
    old, new = files_of(before), files_of(after)
    pairs = ((path, old.get(path), new.get(path)) for path in sorted(old.keys() | new.keys()))
    return tuple(Change(path, was, now) for path, was, now in pairs if was != now)


def _values(settings: Mapping[str, Any]) -> dict[str, str]:
    return {key: _word(entry["value"]) for key, entry in settings.items()}


def _word(value: Any) -> str:
    return "none" if value in (None, []) else str(value)
