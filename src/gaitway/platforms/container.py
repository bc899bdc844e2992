"""Parts that platforms share: settings of a job's container, its nodes, GPUs and data, its start, documents."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gaitway_runtime.spec import result as results
from gaitway_runtime.spec.marks import told_after
from gaitway_runtime.spec.result import RESULT_MARK, Result
from gaitway_runtime.spec.settings import setting

from ..errors import UsageError

_DATA_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)

ENVIRONMENT = {
    "ACCEPT_EULA": "Y",
    "PRIVACY_CONSENT": "Y",
    "OMNI_KIT_ALLOW_ROOT": "1",
    "NVIDIA_DRIVER_CAPABILITIES": "all",
}
"""Variables with which NVIDIA's containers start without a question."""

CHOOSE_PYTHON = """\
python=python3
if [ -x /workspace/isaaclab/isaaclab.sh ]; then python="/workspace/isaaclab/isaaclab.sh -p"; fi
"""
"""Shell lines that find the interpreter, for use as ``${PYTHON:-$python}``."""


@dataclass(frozen=True, kw_only=True)
class GroupOptions:
    """On how many nodes and GPUs a training runs: one process each."""

    num_nodes: int = setting(
        1,
        "Nodes that train together.",
        flags="--num-nodes",
        env="NUM_NODES",
        container_only=True,
        minimum=1,
        maximum=64,
        metavar="COUNT",
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
        container_only=True,
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


def result_in(lines: Iterable[str]) -> Result | None:
    """Return the result that the runtime wrote into a log, or None where there is none that is whole."""
    for line in reversed(list(lines)):
        text = told_after(RESULT_MARK, line)
        if text is None:
            continue
        try:
            return results.from_document(json.loads(text))
        except (ValueError, RecursionError):
            if line.lstrip().startswith(RESULT_MARK):
                return None  # else it is one that somebody quotes
    return None


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Data that a job reads and writes beside its own files, the same on every platform.

    A job finds input ``motions`` at the path in ``GAITWAY_INPUT_MOTIONS`` and writes output ``clips`` to the path in
    ``GAITWAY_OUTPUT_CLIPS``.
    """

    data_inputs: tuple[str, ...] = setting(
        (),
        "Data the job reads, as NAME=SOURCE, at the path in GAITWAY_INPUT_NAME; repeatable.",
        flags="--input",
        env="GAITWAY_INPUTS",
        metavar="NAME=SOURCE",
    )
    data_outputs: tuple[str, ...] = setting(
        (),
        "Folder the job writes, as NAME=TARGET, at the path in GAITWAY_OUTPUT_NAME; repeatable.",
        flags="--output",
        env="GAITWAY_OUTPUTS",
        metavar="NAME=TARGET",
    )


@dataclass(frozen=True)
class Data:
    """One input or output."""

    name: str
    place: str
    """Where it comes from or goes to, in the platform's own words."""
    flag: str

    @property
    def variable(self) -> str:
        """The environment variable that holds its path inside the job."""
        return f"GAITWAY_{self.flag.lstrip('-').upper()}_{self.name.upper()}"

    @property
    def source(self) -> str:
        """How it was written, for errors."""
        return f"{self.flag} {self.name}={self.place}"


def data_inputs(words: tuple[str, ...] | None) -> tuple[Data, ...]:
    """Return the inputs that ``--input`` names.

    Raises:
        UsageError: One is not NAME=SOURCE, or a name is used twice.
    """
    return _parsed(words or (), "--input", "SOURCE")


def data_outputs(words: tuple[str, ...] | None) -> tuple[Data, ...]:
    """Return the outputs that ``--output`` names.

    Raises:
        UsageError: One is not NAME=TARGET, or a name is used twice.
    """
    return _parsed(words or (), "--output", "TARGET")


def _parsed(words: tuple[str, ...], flag: str, place: str) -> tuple[Data, ...]:
    found: dict[str, Data] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not value.strip() or not _DATA_NAME.fullmatch(name):
            raise UsageError(
                f"'{word}' is not NAME={place}",
                source=flag,
                allowed=f"NAME={place}; a name has small letters, digits and '_', and begins with a letter",
            )
        if name in found:
            raise UsageError(f"'{name}' is named twice", source=flag)
        found[name] = Data(name, value.strip(), flag)
    return tuple(found.values())
