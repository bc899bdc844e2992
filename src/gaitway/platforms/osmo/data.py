"""Inputs and outputs by flag as OSMO moves them: object storage by URL, datasets by name."""

from __future__ import annotations

import re

from gaitway_runtime.spec.types import JsonObject

from ...errors import UsageError
from ..container import Data, DataOptions, data_inputs, data_outputs

FOLDER = "data"
"""Folder of a task's outputs in which each output by flag has one of its own."""

SCHEMES = ("s3://", "gs://", "azure://", "swift://", "tos://")
_DATASET = re.compile(r"dataset:[\w./-]+(?::[\w.-]+)?", re.ASCII)
_ALLOWED = f"{', '.join(f'{scheme}...' for scheme in SCHEMES)} or dataset:NAME (OSMO up to 6.3)"


def input_entries(options: DataOptions) -> list[tuple[str, JsonObject]]:
    """Return the entries of ``inputs`` with the variable of each.

    Raises:
        UsageError: OSMO cannot read a source.
    """
    return [(data.variable, _entry(data)) for data in data_inputs(options.data_inputs)]


def output_entries(options: DataOptions) -> list[JsonObject]:
    """Return the entries of ``outputs``, each of its own folder.

    Raises:
        UsageError: OSMO cannot write to a target.
    """
    entries: list[JsonObject] = []
    for data in data_outputs(options.data_outputs):
        entry, folder = _entry(data), f"{FOLDER}/{data.name}"
        if "dataset" in entry:
            entries.append({"dataset": {"name": data.place.removeprefix("dataset:"), "path": folder}})
        else:
            entries.append({**entry, "regex": f"{folder}/.*"})
    return entries


def output_variables(options: DataOptions, output: str) -> dict[str, str]:
    """Return the variables of the outputs, with their folders below a task's output folder."""
    return {data.variable: f"{output}/{FOLDER}/{data.name}" for data in data_outputs(options.data_outputs)}


def _entry(data: Data) -> JsonObject:
    if data.place.startswith(SCHEMES):
        return {"url": data.place.rstrip("/")}
    if _DATASET.fullmatch(data.place):
        return {"dataset": {"name": data.place.removeprefix("dataset:")}}
    raise UsageError(f"'{data.place}' is not a place that OSMO reads or writes", source=data.source, allowed=_ALLOWED)
