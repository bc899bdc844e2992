"""Printer of what the steps would apply, for validation: every Kubernetes object, and the values of every chart.

``python -m gaitway_setup.rendered`` prints the objects as one YAML stream, a pod template in OSMO's values as a pod.
``python -m gaitway_setup.rendered --values`` prints the charts' values as one JSON document, by pin.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml
from gaitway_runtime.spec.types import Json, JsonObject, object_at

from . import files
from .deployment import Deployment, read_deployment
from .steps import STEPS, azureml, osmo_values

CHARTS = {
    "gpu_operator": "gpu-operator",
    "kai_scheduler": "kai-scheduler",
    "volcano": "volcano",
    "osmo": "osmo",
    "osmo_operator": "osmo-operator",
}
"""File of values of each pinned chart."""


def objects(deployment: Deployment) -> Iterator[JsonObject]:
    """Yield every object of every step."""
    for step in STEPS.values():
        for action in step.plan(deployment).actions:
            for document in yaml.safe_load_all(action.feed):
                if isinstance(document, dict):
                    yield from [document] if "kind" in document else _pods(document)


def values(deployment: Deployment) -> dict[str, list[JsonObject]]:
    """Return the values of every chart by its pin: the file's, and those of this deployment."""
    found: dict[str, list[JsonObject]] = {
        pin: [yaml.safe_load(Path(files.values(name)).read_text())] for pin, name in CHARTS.items()
    }
    found["osmo"].append(yaml.safe_load(osmo_values.control_plane(deployment)))
    found["osmo_operator"].append(yaml.safe_load(osmo_values.operator(deployment)))
    found["azureml_extension"] = [azureml.settings(deployment)]
    return found


def _pods(values: JsonObject) -> Iterator[JsonObject]:
    """Yield the pods that a chart's values describe."""
    templates = object_at(object_at(object_at(values, "services"), "configs"), "podTemplates")
    for name in templates:
        template = object_at(templates, name)
        spec = {**object_at(template, "spec"), "containers": [{"name": "task", "image": "example.com/task:1"}]}
        metadata: dict[str, Json] = {**object_at(template, "metadata"), "name": name.replace("_", "-")}
        yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


if __name__ == "__main__":
    read = read_deployment({}, os.environ, Path("setup"))
    if "--values" in sys.argv:
        print(json.dumps({"versions": files.versions(), "values": values(read)}, default=str))
    else:
        yaml.safe_dump_all(objects(read), sys.stdout)
