"""Pipeline jobs: steps that start when the steps whose outputs they read have succeeded."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_PARENT = re.compile(r"\$\{\{parent\.jobs\.(\w+)\.outputs\.(\w+)\}\}")


@dataclass
class Step:
    """One step: the properties of its command job, and the outputs of other steps that it reads, by input."""

    name: str
    properties: dict[str, Any]
    reads: dict[str, tuple[str, str]] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)
    """Folders of a datastore that it reads, by input."""


def steps(pipeline: dict[str, Any], component: Callable[[str], dict[str, Any]]) -> list[Step]:
    """Return the steps of a pipeline job's properties, each after those that it reads."""
    waiting = {name: _step(name, node, pipeline, component) for name, node in pipeline["jobs"].items()}
    ordered: list[Step] = []
    while waiting:
        done = {step.name for step in ordered}
        ready = [step for step in waiting.values() if {read for read, _ in step.reads.values()} <= done]
        assert ready, "steps that wait for each other"
        ordered.extend(waiting.pop(step.name) for step in ready)
    return ordered


def reuse_key(step: Step) -> str:
    """Return what makes two steps the same to the service: command, code, environment and inputs, not their variables.

    A step that is the same as one that has completed is not run again, unless the pipeline forces it (reference of the
    pipeline's YAML: ``force_rerun``).
    """
    same = {key: step.properties.get(key) for key in ("command", "codeId", "inputs")}
    return json.dumps([same, step.reads, step.folders], sort_keys=True)


def _step(
    name: str, node: dict[str, Any], pipeline: dict[str, Any], component: Callable[[str], dict[str, Any]]
) -> Step:
    spec = component(str(node["componentId"]))
    inputs = {key: {"value": _default(value)} for key, value in (spec.get("inputs") or {}).items()}
    reads, folders = {}, {}
    for key, value in (node.get("inputs") or {}).items():
        text = str(value.get("value", value.get("uri", "")) if isinstance(value, dict) else value)
        found = _PARENT.search(text)
        if found:
            assert found[1] in pipeline["jobs"], f"{name} reads step {found[1]}, which the pipeline does not have"
            reads[key] = (found[1], found[2])
            inputs.pop(key, None)
        elif value.get("job_input_type") == "uri_folder":
            folders[key] = text
            inputs.pop(key, None)
        else:
            inputs[key] = {"value": text}
    properties = {
        "jobType": "Command",
        "experimentName": pipeline.get("experimentName"),
        "displayName": name,
        "command": spec["command"],
        "codeId": str(spec.get("code", "")).removeprefix("azureml:"),
        "computeId": node.get("computeId") or (pipeline.get("settings") or {}).get("default_compute"),
        "inputs": inputs,
        "outputs": {**(spec.get("outputs") or {}), **(node.get("outputs") or {})},
        "environmentVariables": node.get("environment_variables") or spec.get("environment_variables") or {},
        "resources": node.get("resources") or {},
        "identity": _identity(node.get("identity") or {}),
        "tags": {},
    }
    required = {key for key, value in (spec.get("inputs") or {}).items() if "default" not in value}
    assert required <= {*reads, *folders, *(node.get("inputs") or {})}, f"{name} lacks an input"
    return Step(name, properties, reads, folders)


def _default(value: Any) -> str:
    return str(value.get("default", "")) if isinstance(value, dict) else str(value)


def _identity(document: dict[str, Any]) -> dict[str, Any]:
    """Return a step's identity as a job's: the client writes that of a step in another form."""
    return {"identityType": str(document.get("identity_type") or "")}
