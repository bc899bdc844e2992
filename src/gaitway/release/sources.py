"""Runs that a release is made from: those that trained, exported and judged one checkpoint."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gaitway_runtime.spec.packages import missing_package
from gaitway_runtime.spec.run_context import RunContext

from ..errors import GateFailed, UsageError
from ..ledger import Ledger
from ..platforms.base import StatusReport
from ..run_handle import Run

MODEL = re.compile(r"models:/(?P<name>[^/@]+)(/(?P<version>[^/]+)|@(?P<alias>[^/]+))")


@dataclass(frozen=True, kw_only=True)
class ReleaseSources:
    """The runs of one and the same checkpoint."""

    checkpoint_uri: str
    checkpoint_sha256: str
    inference: Run
    validation: Run
    training: Run | None
    """None where the checkpoint was not trained by a run of this folder."""


def find_sources(reference: str, ledger: Ledger) -> ReleaseSources:
    """Find the runs that a release of a policy needs.

    Args:
        reference: A run of this folder, or a registered model ``models:/NAME/VERSION``.
        ledger: The runs of this folder.

    Raises:
        UsageError: There is no such run, or no run has exported or judged this checkpoint.
        GateFailed: The newest validation of this checkpoint did not meet its gate.
    """
    wanted, uri = _checkpoint(reference, ledger)
    inferences, validations, trainings = [], [], []
    for run, report in _ended(ledger):
        evaluated = evaluated_sha256(report)
        if evaluated == wanted and run.record.kind == "infer" and exit_ok(report):
            inferences.append(run)
        elif evaluated == wanted and run.record.kind == "validate":
            validations.append((run, report))
        elif trained_sha256(report) == wanted:
            trainings.append(run)
    task = inferences[-1].record.task if inferences else validations[-1][0].record.task if validations else "TASK"
    if not inferences:
        raise _missing("exported", "infer", reference, task, uri)
    if not validations:
        raise _missing("judged", "validate", reference, task, uri)
    validation, report = validations[-1]
    if not exit_ok(report):
        raise GateFailed(
            f"the policy is not released: its newest validation, {validation.name}, did not meet the gate",
            source=f"run {validation.name}",
            hint=f"gaitway status {validation.name}",
        )
    return ReleaseSources(
        checkpoint_uri=uri,
        checkpoint_sha256=wanted,
        inference=inferences[-1],
        validation=validation,
        training=trainings[-1] if trainings else None,
    )


def evaluated_sha256(report: StatusReport) -> str | None:
    """Return the hash of the checkpoint that a run exported or judged."""
    evaluated = report.result.evaluated_checkpoint if report.result else None
    return evaluated.sha256 if evaluated else None


def trained_sha256(report: StatusReport) -> str | None:
    """Return the hash of the final checkpoint of a training."""
    final = report.result.final_checkpoint if report.result else None
    return final.sha256 if final else None


def exit_ok(report: StatusReport) -> bool:
    """Whether a run did all that it was asked to do."""
    return report.result is not None and report.result.status == "succeeded"


def _ended(ledger: Ledger) -> Iterator[tuple[Run, StatusReport]]:
    """Yield the runs of this folder that have ended, oldest first."""
    records, _ = ledger.all()
    for record in records:
        run = Run(record, ledger)
        report = ledger.ended(record.name) or (run.status() if not run.platform.limits.remote else None)
        if report is not None and report.status.ended:
            yield run, report


def _checkpoint(reference: str, ledger: Ledger) -> tuple[str, str]:
    """Return hash and address of the checkpoint that a reference stands for."""
    model = MODEL.fullmatch(reference)
    if model:
        return _registered(reference, model), reference
    run = Run(ledger.read(reference), ledger)
    report = run.status()
    found = evaluated_sha256(report) or trained_sha256(report)
    if found is None:
        raise UsageError(
            f"run {reference} has no checkpoint to release: it is {report.status.value}",
            source="RUN",
            hint=f"gaitway status {reference}",
        )
    named = report.result and (report.result.evaluated_checkpoint or report.result.final_checkpoint)
    return found, (named.uri if named else None) or f"{reference}@latest"


def _registered(reference: str, model: re.Match[str]) -> str:
    """Return the hash that a registered model's version says its checkpoint has."""
    try:
        from gaitway_runtime.fetch.models import find_version
        from gaitway_runtime.stores.artifacts import VERSION_SHA256_TAG
        from gaitway_runtime.stores.mlflow_client import open_client
        from gaitway_runtime.stores.tracking_server import tracking_uri_for
        from mlflow.exceptions import MlflowException
    except ModuleNotFoundError as error:
        raise missing_package("a registered model", error, "local") from None
    client = open_client(tracking_uri_for(RunContext()))
    try:
        version = find_version(client, model["name"], model["version"], model["alias"])
    except MlflowException:
        raise UsageError(f"there is no registered model {reference}", source="MODEL") from None
    digest = version.tags.get(VERSION_SHA256_TAG)
    if not digest:
        raise UsageError(
            f"{reference} does not say which checkpoint it is",
            source="MODEL",
            hint="name the run that exported it: gaitway runs",
        )
    return str(digest)


def _missing(done: str, verb: str, reference: str, task: str, uri: str) -> UsageError:
    return UsageError(
        f"no run of this folder has {done} the checkpoint of {reference}",
        source="RUN",
        hint=f"gaitway {verb} --task {task} --checkpoint-uri {uri}",
    )
