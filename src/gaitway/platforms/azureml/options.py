"""The settings of Azure ML, and what they come to for a submission."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from gaitway_runtime.fields import setting
from gaitway_runtime.job import experiment_name

from ..base import Submission
from ..container import ContainerOptions

PRIORITIES = {"HIGH": "high", "NORMAL": "medium", "LOW": "low"}
"""Azure ML's words for the priorities that every platform knows."""

TIMEOUTS = {"train": "7d", "validate": "4h", "infer": "4h", "dump-contract": "1h"}
"""How long a job of some kind may run unless told otherwise."""

_ATTACHED_PREFIX = "k8s-"
_LONGEST_COMPUTE = 16
"""Azure ML's limit for the name of an attached cluster."""


@dataclass(frozen=True, kw_only=True)
class AzuremlOptions(ContainerOptions):
    """What can be set for a job on Azure ML beside the job itself."""

    compute: str | None = setting(
        None,
        "Compute target; the cluster that deploy/002-setup attaches when omitted.",
        flags="--compute",
        env="AZUREML_COMPUTE",
        terraform="aks_cluster.value.name",
        metavar="NAME",
    )
    instance_type: str | None = setting(
        "gpuspot",
        "Instance type of a Kubernetes compute; none on a compute cluster of Azure ML.",
        flags="--instance-type",
        env="AZUREML_INSTANCE_TYPE",
        metavar="NAME",
    )
    environment_name: str = setting(
        "isaaclab-training-env",
        "Azure ML environment that holds the image.",
        flags="--environment-name",
        env="AZUREML_ENVIRONMENT_NAME",
        metavar="NAME",
    )
    environment_version: str | None = setting(
        None,
        "Version of that environment; derived from the image when omitted.",
        flags="--environment-version",
        env="AZUREML_ENVIRONMENT_VERSION",
        metavar="VERSION",
    )
    experiment: str | None = setting(
        None,
        "Experiment; isaaclab-rsl-rl-TASK and the like when omitted.",
        flags="--experiment-name",
        env="AZUREML_EXPERIMENT",
        metavar="NAME",
    )
    display_name: str | None = setting(
        None,
        "Name of the job in Azure ML Studio; the run's name when omitted.",
        flags="--display-name",
        metavar="NAME",
    )
    shm_size: str = setting(
        "8g", "Shared memory of each node.", flags="--shm-size", env="AZUREML_SHM_SIZE", metavar="SIZE"
    )
    exec_timeout: str | None = setting(
        None,
        "Time after which Azure ML ends the job; 7d for training, else 4h, when omitted.",
        flags="--exec-timeout",
        env="AZUREML_EXEC_TIMEOUT",
        metavar="TIME",
    )
    priority: str | None = setting(
        None, "Priority in the queue.", flags="--priority", env="AZUREML_PRIORITY", choices=tuple(PRIORITIES)
    )
    job_tier: str | None = setting(
        None,
        "Tier of serverless compute.",
        flags="--job-tier",
        env="AZUREML_JOB_TIER",
        choices=("Spot", "Basic", "Standard", "Premium"),
    )
    identity: str = setting(
        "managed",
        "Identity that the job acts as: the compute's, the submitter's, or Azure ML's own token.",
        flags="--identity",
        env="AZUREML_IDENTITY",
        choices=("managed", "user_identity", "aml_token"),
    )


@dataclass(frozen=True)
class Chosen:
    """The settings of a submission, with what was left open filled in."""

    options: AzuremlOptions
    compute: str | None
    environment_version: str
    experiment: str
    display_name: str
    exec_timeout: str


def chosen(submission: Submission) -> Chosen:
    """Return what a submission's settings come to."""
    names = AzuremlOptions.__dataclass_fields__
    options = AzuremlOptions(**{name: submission.option(name) for name in names if name in submission.settings})
    job = submission.job
    return Chosen(
        options=options,
        compute=_compute(submission),
        environment_version=options.environment_version or version_of(options.image),
        experiment=options.experiment or experiment_name(job.backend, job.task),
        display_name=options.display_name or submission.run,
        exec_timeout=options.exec_timeout or TIMEOUTS[job.kind],
    )


def attached_name(cluster: str) -> str:
    """Return the name under which a Kubernetes cluster is attached to the workspace."""
    return f"{_ATTACHED_PREFIX}{cluster}"[:_LONGEST_COMPUTE].rstrip("-")


def version_of(image: str) -> str:
    """Return the environment version of an image, a different one for every image.

    The tag alone for the image that is the default, so that it can be read; with a hash for any other.
    """
    repository, tag = _parts(image)
    default, _ = _parts(str(AzuremlOptions.__dataclass_fields__["image"].default))
    if repository == default:
        return tag
    return f"{tag}-{hashlib.sha256(image.encode()).hexdigest()[:8]}"


def _parts(image: str) -> tuple[str, str]:
    """Return an image's repository, and its tag in the characters of a version."""
    folder, slash, last = image.partition("@")[0].rpartition("/")
    name, _, tag = last.partition(":")
    return f"{folder}{slash}{name}", re.sub(r"[^A-Za-z0-9._-]", "-", tag)[:40].strip("-._") or "latest"


def _compute(submission: Submission) -> str | None:
    """Return the compute target. Terraform knows the cluster, not the name that it was attached under."""
    setting = submission.settings.get("compute")
    if setting is None or not setting.value:
        return None
    return attached_name(setting.value) if setting.origin.layer == "terraform" else str(setting.value)
