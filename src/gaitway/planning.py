"""Plan of a run (what will happen, where each value came from, what changed), its commands, and its submission.

A submission makes the run's folder, record and locks; one that fails leaves nothing behind.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from gaitway_runtime.spec.job import TrainJob, experiment_name
from gaitway_runtime.spec.job_document import to_document as job_document
from gaitway_runtime.spec.result import write_json
from gaitway_runtime.spec.settings import flag_words
from gaitway_runtime.spec.types import Json, JsonObject

from . import locks, resuming
from .errors import PlatformError
from .ledger import Ledger, RunRecord, read_document
from .payload.archive import Payload, files_of
from .payload.archive import to_document as payload_document
from .platforms.base import Platform, Request, RunOptions, Submission, SubmissionUnconfirmed
from .settings.overrides import OVERRIDES, split_overrides
from .settings.values import DEMO, Setting, document, origins_named, recorded
from .status import RunRef, RunStatus, StatusReport
from .variations import DESIGN_FILE, SWEEP


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
    words = [PROGRAM, kind, "--task", record.task, *place_flags(run_dir), "--checkpoint-uri", checkpoint]
    here = record.platform == RunOptions.platform
    return shlex.join(words if here else [*words, "--on", record.platform])


def place_flags_of(name: str, ledger: Ledger) -> tuple[str, ...]:
    """Return :func:`place_flags` of a run by its name; none where the ledger does not have it."""
    return place_flags(ledger.run_dir(name)) if name in ledger.names() else ()


def place_flags(run_dir: Path) -> tuple[str, ...]:
    """Return the flags of a run without which another job does not find its task, or finds it in another simulator."""
    settings = read_document(run_dir, "settings.json") or {}
    return tuple(_flags({key: entry for key, entry in settings.items() if key in OF_THE_PLACE}, ()))


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


@dataclass(frozen=True)
class Prepared:
    """A submission that is ready to go, with everything that can be looked at before it goes."""

    platform: Platform
    submission: Submission
    request: Request
    plan: Plan
    stem: str
    """What the run's name is derived from."""
    continues: str | None = None
    """MLflow's id of the run that a training continues, where it is known."""


def launch(prepared: Prepared, environ: Mapping[str, str]) -> RunRecord:
    """Submit what was prepared and return its record. A submission that fails leaves nothing behind.

    Raises:
        GaitwayError: The platform refused, or the run's folder cannot be made.
    """
    ledger = Ledger.at_home(environ)
    run_dir = ledger.reserve(prepared.stem, prepared.submission.settings["run_name"].value)
    with ExitStack() as undo:
        undo.callback(ledger.discard, run_dir.name)
        try:
            with origins_named(prepared.submission.settings):
                record = _submit(prepared, run_dir, ledger)
        except KeyboardInterrupt:
            # The record stays: nobody knows how far a remote submission got. Here it can be undone.
            undo.pop_all()
            if not prepared.platform.limits.remote:
                prepared.platform.cancel(RunRef(run_dir.name, prepared.platform.name, ""), run_dir)
            raise
        except SubmissionUnconfirmed:
            undo.pop_all()  # The record stays: the run is looked for when it is asked about.
            raise
        except OSError as error:
            message = f"the run cannot be written down: {error.strerror}"
            raise PlatformError(message, source=str(run_dir)) from error
        undo.pop_all()
    return record


def _submit(prepared: Prepared, run_dir: Path, ledger: Ledger) -> RunRecord:
    """Write a submission down and give it to its platform; return the run's record."""
    try:
        prepared = _renamed(_owned(prepared, run_dir, ledger), run_dir.name)
        record = _record(prepared)
        _write_down(prepared, run_dir)
        ledger.write(record)
        ref = prepared.platform.submit(prepared.submission, prepared.request, run_dir)
    finally:
        # The job's processes have inherited the locks; from here on they alone keep them.
        for path in {locks.of_run(run_dir), *prepared.submission.locks}:
            locks.release(path)
    record = dataclasses.replace(record, id=ref.id, url=ref.url)
    ledger.write(record)
    return record


def _owned(prepared: Prepared, run_dir: Path, ledger: Ledger) -> Prepared:
    """Return the submission with the locks that its job keeps: of its folder, and of the tracked run that it continues.

    Raises:
        UsageError: Another training writes into the tracked run.
    """
    taken = [locks.of_run(run_dir)]
    if prepared.continues and not prepared.platform.limits.remote:
        taken.append(resuming.take(prepared.continues, run_dir.name, ledger))
    return dataclasses.replace(prepared, submission=dataclasses.replace(prepared.submission, locks=tuple(taken)))


def _record(prepared: Prepared) -> RunRecord:
    """Return the record of a run that is about to be submitted."""
    submission = prepared.submission
    kind, words = submission.job.kind, document(submission.settings)
    typed = command(kind, words) if submission.sweep is None else [*_sweep_command(words), *submission.sweep.words()]
    return RunRecord(
        name=submission.run,
        platform=prepared.platform.name,
        kind=SWEEP if submission.sweep else kind,
        task=submission.job.task,
        created=datetime.now(timezone.utc).isoformat(),
        command=(*typed, "--", *submission.forwarded) if submission.forwarded else tuple(typed),
        experiment=str(
            prepared.request.data.get("experiment") or experiment_name(submission.job.backend, submission.job.task)
        ),
        payload_sha256=submission.payload.sha256,
    )


def _sweep_command(settings: JsonObject) -> list[str]:
    program, kind, *words = command(TrainJob.kind, settings)
    return [program, SWEEP, kind, *words]


def _write_down(prepared: Prepared, run_dir: Path) -> None:
    """Write what was asked, and all that was known of it, into the run's folder."""
    submission = prepared.submission
    write_json(job_document(submission.job, submission.context), run_dir / "job.json")
    write_json(to_document(prepared.plan), run_dir / "plan.json")
    write_json(payload_document(submission.payload), run_dir / "payload.json")
    write_json(document(submission.settings), run_dir / "settings.json")
    if submission.sweep:
        write_json(submission.sweep.document(), run_dir / DESIGN_FILE)


def _renamed(prepared: Prepared, name: str) -> Prepared:
    """Return the submission under the name that it got, which another run may have taken since it was planned."""
    if prepared.submission.run == name:
        return prepared
    context = dataclasses.replace(prepared.submission.context, run=name)
    submission = dataclasses.replace(prepared.submission, run=name, context=context)
    return dataclasses.replace(
        prepared,
        submission=submission,
        request=prepared.platform.render(submission),
        plan=dataclasses.replace(prepared.plan, run=name),
    )
