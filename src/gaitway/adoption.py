"""Adoption of a run that was submitted from another machine: its record is made from what the job carries."""

from __future__ import annotations

import re

from gaitway_runtime.spec.job import experiment_name
from gaitway_runtime.spec.job_document import to_document
from gaitway_runtime.spec.result import write_json

from .errors import UsageError
from .ledger import Ledger, RunRecord
from .platforms.base import FindsRuns, Platform

_NUMBER = re.compile(r"-\d+$")


def adopt(ledger: Ledger, platform: Platform, id: str, name: str | None = None) -> RunRecord:
    """Make a record of a run and return it; a run that this folder has a record of keeps that.

    Args:
        ledger: The runs of this folder.
        platform: The platform that has the run.
        id: The platform's id of it.
        name: Name of the run here; its own, or the next number, when None.

    Raises:
        UsageError: The platform has no such run, or it is not one of gaitway's, or the name is taken.
    """
    if not isinstance(platform, FindsRuns):
        raise UsageError(f"{platform.name} cannot be asked for runs of other machines", source="--on")
    records, _ = ledger.all()
    known = next((record for record in records if record.platform == platform.name and record.id == id), None)
    if known is not None:
        return known
    found = platform.adopt(id)
    own = found.context.run
    free = own if own not in ledger.names() else None
    folder = ledger.reserve(_NUMBER.sub("", own), name or free)
    record = RunRecord(
        name=folder.name,
        platform=platform.name,
        kind=found.job.kind,
        task=found.job.task,
        created=found.created,
        command=("gaitway", "adopt", id, "--on", platform.name),
        id=found.ref.id,
        url=found.ref.url,
        experiment=found.experiment or experiment_name(found.job.backend, found.job.task),
        payload_sha256=found.context.tags.get("gaitway.payload_sha256"),
    )
    write_json(to_document(found.job, found.context), folder / "job.json")
    write_json(found.settings, folder / "settings.json")
    for path, document in found.files.items():
        write_json(document, folder / path)
    ledger.write(record)
    return record
