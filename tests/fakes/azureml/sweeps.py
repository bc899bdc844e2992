"""Sweep jobs: trials that Azure ML makes of a search space; of a grid alone, whose values can be foretold."""

from __future__ import annotations

import itertools
from typing import Any

PARENT = "mlflow.parentRunId"


def trials(sweep: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the properties of each trial of a sweep job, as a command job."""
    assert sweep["samplingAlgorithm"]["samplingAlgorithmType"] == "Grid", sweep["samplingAlgorithm"]
    space = {name: _choices(*entry) for name, entry in sweep["searchSpace"].items()}
    drawn = [dict(zip(space, values, strict=True)) for values in itertools.product(*space.values())]
    return [_command_job(sweep, values) for values in drawn[: sweep["limits"]["maxTotalTrials"]]]


def _choices(kind: str, arguments: list[Any]) -> list[Any]:
    assert kind == "choice", kind
    return list(arguments[0])


def _command_job(sweep: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    command = sweep["trial"]["command"]
    for name, value in values.items():
        command = command.replace(f"${{{{search_space.{name}}}}}", str(value))
    assert "search_space" not in command, command
    shared = {name: part for name, part in sweep.items() if name not in ("trial", "searchSpace", "limits")}
    return {**shared, **sweep["trial"], "command": command, "jobType": "Command"}
