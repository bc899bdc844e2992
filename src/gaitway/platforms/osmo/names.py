"""Names of tasks in gaitway's workflows, and the mark of what OSMO has masked in one."""

from __future__ import annotations

from collections.abc import Mapping

TASKS: Mapping[str, str] = {
    "train": "isaac-training",
    "validate": "isaac-validation",
    "infer": "isaac-inference",
    "dump-contract": "isaac-contract",
    "register": "isaac-registration",
}
"""Task that does a job, by the job's kind; its lines of log stand without a label."""

STAGE_TASKS: Mapping[str, str] = {
    "train": TASKS["train"],
    "gate": TASKS["validate"],
    "infer": TASKS["infer"],
    "register": TASKS["register"],
}
"""Task of each stage of a ship job, by the stage's name."""

MASK = "[MASKED]"
"""Stands in a workflow's spec, as OSMO keeps it, for what looks like a secret."""
