"""What platforms have in common: settings of a job's container, its nodes and GPUs, how it is started, documents.

Shared by platforms; not one itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gaitway_runtime.fields import setting

ENVIRONMENT = {
    "ACCEPT_EULA": "Y",
    "PRIVACY_CONSENT": "Y",
    "OMNI_KIT_ALLOW_ROOT": "1",
    "NVIDIA_DRIVER_CAPABILITIES": "all",
}
"""What NVIDIA's containers want to hear."""

CHOOSE_PYTHON = """\
python=python3
if [ -x /workspace/isaaclab/isaaclab.sh ]; then python="/workspace/isaaclab/isaaclab.sh -p"; fi
"""
"""Shell lines that find the interpreter, for use as ``${PYTHON:-$python}``."""


@dataclass(frozen=True, kw_only=True)
class GroupOptions:
    """On how many nodes and GPUs a training runs: one process each."""

    num_nodes: int = setting(
        1, "Nodes that train together.", flags="--num-nodes", env="NUM_NODES", minimum=1, maximum=64, metavar="COUNT"
    )
    num_gpus: int = setting(
        1,
        "GPUs of each node, each with --num-envs environments; 0 for none.",
        flags=("--num-gpus", "--gpu"),
        env=("NUM_GPUS", "OSMO_GPU"),
        minimum=0,
        maximum=64,
        metavar="COUNT",
    )


@dataclass(frozen=True, kw_only=True)
class ContainerOptions(GroupOptions):
    """Which container a job runs in, and on how many nodes and GPUs."""

    image: str = setting(
        "nvcr.io/nvidia/isaac-lab:2.2.0",
        "Container image of the job.",
        flags=("--image", "-i"),
        env="IMAGE",
        metavar="IMAGE",
    )
    container_python: str | None = setting(
        None,
        "Python command in the container; Isaac Lab's own, else python3, when omitted.",
        flags="--container-python",
        env="CONTAINER_PYTHON",
        metavar="COMMAND",
    )
    workflow_file: str | None = setting(
        None,
        "Workflow template (OSMO) or job file (Azure ML) of yours to submit in place of gaitway's own.",
        flags=("--workflow", "-w", "--job-file"),
        env="WORKFLOW_TEMPLATE",
        metavar="FILE",
    )


def to_yaml(document: Mapping[str, Any]) -> str:
    """Return a document as YAML that people can read: in order, texts of several lines as blocks."""
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        style = "|" if "\n" in value and value.isascii() else None
        # A word that other readers of YAML take for a boolean.
        style = '"' if value in ("y", "Y", "n", "N") else style
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    return yaml.dump(dict(document), Dumper=Dumper, sort_keys=False, width=10**9)
