"""Prints every Kubernetes object that the steps would apply, for a check against Kubernetes' own schemas.

``python -m gaitway_setup.rendered``: one YAML stream. A pod template in OSMO's values is printed as the pod it becomes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from .ground import Ground, read_ground
from .steps import STEPS


def objects(ground: Ground) -> Iterator[dict[str, Any]]:
    """Yield every object of every step."""
    for step in STEPS.values():
        for action in step.plan(ground).actions:
            for document in yaml.safe_load_all(action.feed):
                if isinstance(document, dict):
                    yield from [document] if "kind" in document else _pods(document)


def _pods(values: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the pods that a chart's values describe."""
    templates = values.get("services", {}).get("configs", {}).get("podTemplates", {})
    for name, template in templates.items():
        spec = {**template["spec"], "containers": [{"name": "task", "image": "example.com/task:1"}]}
        metadata = {**template["metadata"], "name": name.replace("_", "-")}
        yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


if __name__ == "__main__":
    yaml.safe_dump_all(objects(read_ground({}, os.environ, Path("setup"))), sys.stdout)
