"""The job files for people who submit with ``az ml job create``.

``python -m gaitway.platforms.azureml.by_hand workflows/azureml`` writes them from the declarations, so that no default
is typed twice. A test holds them equal.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from gaitway_runtime.job import InferJob, Job, TrainJob, ValidateJob, experiment_name

from ..container import to_yaml
from .document import environment, inputs_of, placement, skeleton
from .options import TIMEOUTS, AzuremlOptions, Chosen

FILES: dict[str, tuple[type[Job], str]] = {
    "train.yaml": (TrainJob, "Train a task; publish checkpoints and metrics; register the final model"),
    "validate.yaml": (ValidateJob, "Evaluate a checkpoint or a registered model against its task's criterion"),
    "infer.yaml": (InferJob, "Export a checkpoint, check the exports, play each in simulation"),
}
COMPUTE = "gpu-cluster"
"""Stands for the reader's own compute target."""

EXAMPLE_CHECKPOINT = "models:/isaac-ant-v0/1"


def render(file: str) -> str:
    """Return the text of a job file."""
    job, title = FILES[file]
    options = AzuremlOptions()
    plain = job()
    chosen = Chosen(
        options=options,
        compute=COMPUTE,
        environment_version="",
        experiment=experiment_name(plain.backend, plain.task),
        display_name="",
        exec_timeout=TIMEOUTS[job.kind],
    )
    document = {
        **skeleton(job),
        "code": "../../src/training",
        "environment": {"image": options.image},
        "inputs": inputs_of(plain),
        "environment_variables": environment(job.kind, None, None),
        **placement(chosen, 1),
        "experiment_name": chosen.experiment,
        "description": title,
    }
    named = "inputs.checkpoint_uri=" + EXAMPLE_CHECKPOINT if job is InferJob else "inputs.task=Isaac-Ant-v0"
    return f"""\
# {title}.
#
#   az ml job create -f workflows/azureml/{file} --set compute=azureml:NAME {named}
#
# Inputs are what the flags of `gaitway {job.kind}` are called; `none` stands for a value that is not set.
# Written by `python -m gaitway.platforms.azureml.by_hand workflows/azureml`; change the declarations, not this file.
{to_yaml({name: value for name, value in document.items() if value not in (None, {})})}"""


def write(folder: Path) -> list[Path]:
    """Write every job file into a folder and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / file for file in FILES]
    for path in paths:
        path.write_text(render(path.name), encoding="utf-8")
    return paths


def main(arguments: Sequence[str] = tuple(sys.argv[1:])) -> None:
    """Write the job files into the folder that is named."""
    for path in write(Path(arguments[0])):
        print(path)


if __name__ == "__main__":
    main()
