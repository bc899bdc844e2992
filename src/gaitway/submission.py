"""Submission of what was prepared: the run's folder, record and locks. One that fails leaves nothing behind."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path

from gaitway_runtime.spec.job import TrainJob, experiment_name
from gaitway_runtime.spec.job_document import to_document
from gaitway_runtime.spec.result import write_json
from gaitway_runtime.spec.types import JsonObject

from . import locks, resuming
from .errors import PlatformError
from .ledger import Ledger, RunRecord
from .payload.archive import to_document as payload_document
from .planning import command
from .planning import to_document as plan_document
from .platforms.base import SubmissionUnconfirmed
from .preparation import Prepared
from .settings.values import document as settings_document
from .status import RunRef
from .variations import DESIGN_FILE, SWEEP


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
    kind, words = submission.job.kind, settings_document(submission.settings)
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
    write_json(to_document(submission.job, submission.context), run_dir / "job.json")
    write_json(plan_document(prepared.plan), run_dir / "plan.json")
    write_json(payload_document(submission.payload), run_dir / "payload.json")
    write_json(settings_document(submission.settings), run_dir / "settings.json")
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
