"""The verbs. A new one is a file in this package that offers ``command``, and a row here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verb:
    """Where a verb stands in ``gaitway --help`` and what it does, in a sentence."""

    section: str
    summary: str


VERBS: dict[str, Verb] = {
    "train": Verb("Jobs", "Train a task: checkpoints, metrics, a registered model."),
    "validate": Verb("Jobs", "Judge a checkpoint or a registered model by its task's criterion."),
    "infer": Verb("Jobs", "Export a checkpoint, prove the exports equal, play and film each in simulation."),
    "export": Verb("Jobs", "Turn a checkpoint into ONNX and TorchScript files that are proven equal to it."),
    "dump-contract": Verb("Jobs", "Write what a policy of a task sees and does in a simulator, with a short trace."),
    "demo": Verb("Jobs", "Train a task here, then infer it: from nothing to a film and a report."),
    "runs": Verb("Runs", "List the runs of this folder, on every platform."),
    "status": Verb("Runs", "Show how a run is doing, or how it ended."),
    "logs": Verb("Runs", "Print a run's log."),
    "cancel": Verb("Runs", "Ask a run to save and stop."),
    "download": Verb("Runs", "Copy a run's outputs here."),
    "compare": Verb("Runs", "Show what differs between two runs, or between two exported policies."),
    "checkpoints": Verb("Runs", "List checkpoints: addresses ready to paste, newest last."),
    "payload": Verb("Look", "Show what would be shipped: files, sizes, hash, each platform's limit."),
    "tasks": Verb("Look", "List the embedded simulator's tasks with their sizes and gates."),
    "config": Verb("Set-up", "Show every setting, its value, where it came from, and what it shadowed."),
    "doctor": Verb("Set-up", "Check tools, packages, credentials and stores, with the fix for each finding."),
    "ui": Verb("Look", "Serve the MLflow UI on the local store."),
    "version": Verb("Set-up", "Show the versions of gaitway and of what it works with."),
}
"""Verbs by name, in the order of ``--help``. The module is ``gaitway.cli.<name>``, with ``_`` for ``-``."""
