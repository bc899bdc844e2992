"""Job files for people who submit with ``az ml job create``.

``make regenerate`` writes them from the declarations, so that no default is typed twice. A test compares them.
"""

from __future__ import annotations

from gaitway_runtime.spec.job import InferJob, Job, TrainJob, ValidateJob, experiment_name

from ..container import to_yaml
from .options import TIMEOUTS, AzuremlOptions, ChosenOptions
from .request import environment, inputs_of, placement, skeleton

FILES: dict[str, tuple[type[Job], str]] = {
    "train.yaml": (TrainJob, "Train a task; publish checkpoints and metrics; register the final model"),
    "validate.yaml": (ValidateJob, "Evaluate a checkpoint or a registered model against its task's criterion"),
    "infer.yaml": (InferJob, "Export a checkpoint, check the exports, play each in simulation"),
}
COMPUTE = "gpu-cluster"
"""Placeholder for the reader's own compute target."""

EXAMPLE_CHECKPOINT = "models:/isaac-ant-v0/1"


def render(file: str) -> str:
    """Return the text of a job file."""
    job, title = FILES[file]
    options = AzuremlOptions()
    plain = job()
    chosen = ChosenOptions(
        options=options,
        compute=COMPUTE,
        instance_type=options.instance_type,
        identity=options.identity,
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
        **placement(chosen, 1, options.num_gpus),
        "experiment_name": chosen.experiment,
        "description": title,
    }
    named = "inputs.checkpoint_uri=" + EXAMPLE_CHECKPOINT if job is InferJob else "inputs.task=Isaac-Ant-v0"
    return f"""\
# {title}.
#
#   az ml job create -f workflows/azureml/{file} --set compute=azureml:NAME {named}
#
# Inputs are what the flags of `gaitway {job.kind}` are called; write `none` for a value that is not set.
# Written by `make regenerate` from the declarations; do not edit it.
{to_yaml({name: value for name, value in document.items() if value not in (None, {})})}"""
