"""Inputs and outputs by flag as Azure ML's data assets and datastore paths."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from gaitway_runtime.spec.types import JsonObject

from ...errors import UsageError
from ..base import Submission
from ..container import Data, data_inputs, data_outputs

INPUT_MODES = ("ro_mount", "rw_mount", "download", "direct", "eval_mount", "eval_download")
OUTPUT_MODES = ("rw_mount", "upload", "direct")
TYPES = ("uri_folder", "uri_file", "mltable")
DEFAULT_STORE = "azureml://datastores/workspaceblobstore/paths/"

_ASSET = re.compile(r"azureml:[A-Za-z0-9][\w.-]*(?::[\w.-]+|@[\w.-]+)")


@dataclass(frozen=True)
class DataAssets:
    """Inputs and outputs of a job document, and the variables that hold their paths in the command."""

    inputs: Mapping[str, JsonObject] = field(default_factory=dict)
    outputs: Mapping[str, JsonObject] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    """What stands between the braces of ``${{...}}`` by environment variable."""


NO_DATA = DataAssets()


def data_of(submission: Submission) -> DataAssets:
    """Return the data that a submission's flags name.

    Raises:
        UsageError: A source or target is in a form that Azure ML does not take.
    """
    inputs, outputs = data_inputs(submission.option("data_inputs")), data_outputs(submission.option("data_outputs"))
    taken = set(type(submission.job).__dataclass_fields__)
    for data in inputs:
        if data.name in taken:
            raise UsageError(f"input '{data.name}' has the name of a setting", source=data.source)
    for data in outputs:
        if data.name == "checkpoints":
            raise UsageError("output 'checkpoints' is gaitway's own", source=data.source, hint="choose another name")
    variables = {data.variable: f"inputs.{data.name}" for data in inputs}
    variables |= {data.variable: f"outputs.{data.name}" for data in outputs}
    return DataAssets(
        {data.name: _input(data) for data in inputs}, {data.name: _output(data) for data in outputs}, variables
    )


def _input(data: Data) -> JsonObject:
    path, kind, mode = _split(data, INPUT_MODES)
    if not (_ASSET.fullmatch(path) or path.startswith(("azureml://", "https://", "wasbs://", "abfss://"))):
        raise UsageError(
            f"'{path}' is not data that a job on Azure ML can read",
            source=data.source,
            allowed="azureml:NAME:VERSION, azureml:NAME@latest, azureml://datastores/STORE/paths/PATH or https://...",
            hint="az ml data create uploads a folder as a data asset",
        )
    named_file = not path.startswith("azureml:") or path.startswith("azureml://")
    is_file = named_file and bool(PurePosixPath(path.partition("?")[0]).suffix)
    return {"type": kind or ("uri_file" if is_file else "uri_folder"), "path": path, "mode": mode or "ro_mount"}


def _output(data: Data) -> JsonObject:
    path, kind, mode = _split(data, OUTPUT_MODES)
    if not path.startswith("azureml://"):
        if ":" in path or path.startswith("/") or ".." in PurePosixPath(path).parts:
            raise UsageError(
                f"'{path}' is not a place that a job on Azure ML can write to",
                source=data.source,
                allowed="a path in the workspace's blob store, or azureml://datastores/STORE/paths/PATH",
            )
        path = f"{DEFAULT_STORE}{path.strip('/')}"
    return {"type": kind or "uri_folder", "path": path, "mode": mode or "rw_mount"}


def _split(data: Data, modes: tuple[str, ...]) -> tuple[str, str | None, str | None]:
    """Return path, type and mode of ``PATH[:TYPE][:MODE]``."""
    path, found = data.place, {}
    for known, what in ((modes, "mode"), (TYPES, "type")):
        head, colon, last = path.rpartition(":")
        if colon and last in known:
            path, found[what] = head, last
    return path, found.get("type"), found.get("mode")
