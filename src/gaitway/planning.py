"""Plan of a run (what will happen, where each value came from, what changed), and the commands to type after it."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from gaitway_runtime.spec.settings import flag_words
from gaitway_runtime.spec.types import Json, JsonObject

from .ledger import RunRecord, read_document
from .payload.archive import Payload, files_of
from .payload.archive import to_document as payload_document
from .platforms.base import Request, RunOptions, Submission
from .settings.overrides import OVERRIDES, split_overrides
from .settings.values import DEMO, Setting, document, recorded
from .status import RunStatus, StatusReport
from .variations import SWEEP


@dataclass(frozen=True)
class Change:
    """One difference to an earlier run: a setting's value, or the content hash of a file of the payload."""

    what: str
    before: str | None
    """None for a file or an override that is new."""
    after: str | None
    """None for one that is gone."""


@dataclass(frozen=True)
class Previous:
    """What is known of the run that a plan is compared with, as its folder holds it."""

    run: str
    settings: JsonObject
    """The ``settings.json`` document."""
    payload: JsonObject
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


def to_document(plan: Plan) -> dict[str, Json]:
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


def setting_changes(before: JsonObject, after: JsonObject) -> tuple[Change, ...]:
    """Return what differs between two ``settings.json`` documents, each override of the task by its own key.

    Any other setting that only one has is no change.
    """
    old, new = _values(before), _values(after)
    shared = [key for key in new if key in old]
    changes = tuple(Change(key, old[key], new[key]) for key in shared if old[key] != new[key])
    was, now = _overrides(before), _overrides(after)
    keys = [key for key in {**was, **now} if was.get(key) != now.get(key)]
    return (*changes, *(Change(key, was.get(key), now.get(key)) for key in keys))


def file_changes(before: JsonObject, after: JsonObject) -> tuple[Change, ...]:
    """Return the files whose content differs between two ``payload.json`` documents."""
    old, new = files_of(before), files_of(after)
    pairs = ((path, old.get(path), new.get(path)) for path in sorted(old.keys() | new.keys()))
    return tuple(Change(path, was, now) for path, was, now in pairs if was != now)


def _values(settings: JsonObject) -> dict[str, str]:
    return {key: _word(entry.value) for key, entry in recorded(settings).items() if key != OVERRIDES}


def _overrides(settings: JsonObject) -> dict[str, str]:
    entry = recorded(settings).get(OVERRIDES)
    return split_overrides(entry.value) if entry and entry.value and isinstance(entry.value, list) else {}


def _word(value: Json) -> str:
    return "none" if value in (None, []) else str(value)


PROGRAM = "gaitway"
OF_THE_CHECKPOINT = {"checkpoint_uri", "checkpoint_mode", "checkpoint_sha256"}
OF_THE_PLACE = {"simulator", "python", "imports", "training_path", "with_paths"}
"""Settings without which another job may not find the task, or finds it in another simulator."""


def command(kind: str, settings: JsonObject, without: Collection[str] = ()) -> list[str]:
    """Return the command that asks for a job as it was asked for before.

    Args:
        kind: Kind of job.
        settings: The ``settings.json`` document; what came from the command line, or from the demo, is repeated.
        without: Keys of settings to leave out.
    """
    return [PROGRAM, kind, *_flags(settings, without)]


def next_command(record: RunRecord, report: StatusReport, run_dir: Path) -> str:
    """Return what to type after, or during, a run."""
    if record.kind == SWEEP:
        return shlex.join((PROGRAM, "sweep", "show", record.name))
    if not report.status.ended:
        return shlex.join((PROGRAM, "logs", record.name, "-f"))
    checkpoint = _newest_checkpoint(record, report, run_dir) if record.kind == "train" else None
    succeeded = report.status is RunStatus.SUCCEEDED
    match record.kind:
        case "train" if checkpoint and succeeded:
            return _with_checkpoint("infer", record, checkpoint, run_dir)
        case "train" if checkpoint:
            same = command("train", read_document(run_dir, "settings.json") or {}, {*OF_THE_CHECKPOINT, "run_name"})
            return shlex.join((*same, "--checkpoint-uri", checkpoint, "--checkpoint-mode", "resume"))
        case "infer" if succeeded:
            return _with_checkpoint("validate", record, _inferred_checkpoint(record, run_dir), run_dir)
    return shlex.join((PROGRAM, "download" if succeeded else "logs", record.name))


def _with_checkpoint(kind: str, record: RunRecord, checkpoint: str, run_dir: Path) -> str:
    """Return the command that plays a checkpoint where, and with what, it was made."""
    settings = read_document(run_dir, "settings.json") or {}
    kept = {key: entry for key, entry in settings.items() if key in OF_THE_PLACE}
    words = [PROGRAM, kind, "--task", record.task, *_flags(kept, ()), "--checkpoint-uri", checkpoint]
    here = record.platform == RunOptions.platform
    return shlex.join(words if here else [*words, "--on", record.platform])


def _inferred_checkpoint(record: RunRecord, run_dir: Path) -> str:
    """Return the checkpoint of an inference as it was named: a file that travelled has another path in the job."""
    named = recorded(read_document(run_dir, "settings.json")).get("checkpoint_uri")
    job = (read_document(run_dir, "job.json") or {}).get("job")
    in_job = job.get("checkpoint_uri") if isinstance(job, Mapping) else None
    return str((named.value if named else None) or in_job or f"{record.name}@latest")


def _newest_checkpoint(record: RunRecord, report: StatusReport, run_dir: Path) -> str | None:
    """Return the address of the final checkpoint, or of the last one that a run had saved when it was killed."""
    final = report.result.final_checkpoint if report.result else None
    if final:
        path = run_dir / "outputs" / final.path
        return final.uri or (str(path) if path.exists() else f"{record.name}@{final.iteration}")
    from .checkpoints.checkpoint import latest
    from .checkpoints.run_folder import RunFolder

    last = latest(RunFolder.at(record, run_dir).checkpoints())
    return last.uri if last else None


def _flags(settings: JsonObject, without: Collection[str]) -> Iterator[str]:
    for key, entry in recorded(settings).items():
        layer, _, flag = entry.origin.partition(" ")
        if layer not in ("cli", DEMO) or key in without or entry.value is None:
            continue
        yield from flag_words(flag, entry.value)
