"""Settings of Azure ML, and their values for one submission."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from gaitway_runtime.spec.job import experiment_name
from gaitway_runtime.spec.settings import setting

from ...settings.values import Setting
from ..base import Submission
from ..container import ContainerOptions, DataOptions

PRIORITIES = {"HIGH": "high", "NORMAL": "medium", "LOW": "low"}
"""Azure ML's words for the priorities that every platform knows."""

TIMEOUTS = {
    "train": "7d",
    "ship": "7d",
    "validate": "4h",
    "infer": "4h",
    "register": "1h",
    "dump-contract": "1h",
}
"""Default time limit by kind of job."""

TIERS = ("Spot", "Basic", "Standard", "Premium")
"""Tiers of serverless compute."""

SERVERLESS = "serverless"
SERVERLESS_SIZE = "Standard_NV36ads_A10_v5"
"""VM size of serverless compute by default: that of the GPU pools of deploy/001-iac."""

CLUSTER_OUTPUT = "aks_cluster.value.name"
ATTACHED_PREFIX = "k8s-"
_LONGEST_COMPUTE = 16
"""Azure ML's limit for the name of an attached cluster."""


@dataclass(frozen=True, kw_only=True)
class AzuremlOptions(ContainerOptions, DataOptions):
    """Settings of a job on Azure ML beside the job's own."""

    compute: str | None = setting(
        None,
        "Compute target, or serverless; when omitted the cluster that deploy/002-setup attaches, else serverless.",
        flags="--compute",
        env="AZUREML_COMPUTE",
        terraform=(CLUSTER_OUTPUT, "default_compute.value"),
        metavar="NAME",
    )
    instance_type: str | None = setting(
        "gpuspot",
        "Instance type of a Kubernetes compute, or VM size of serverless compute; a compute cluster has its own.",
        flags="--instance-type",
        env="AZUREML_INSTANCE_TYPE",
        metavar="NAME",
    )
    environment: str | None = setting(
        None,
        "Environment of yours in place of --image: azureml:NAME:VERSION or azureml://registries/...",
        flags="--environment",
        env="AZUREML_ENVIRONMENT",
        metavar="URI",
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
        choices=TIERS,
    )
    identity: str = setting(
        "managed",
        "Identity of the job: the compute's, the submitter's (on serverless by default), or Azure ML's own token.",
        flags="--identity",
        env="AZUREML_IDENTITY",
        choices=("managed", "user_identity", "aml_token"),
    )
    services: tuple[str, ...] = setting(
        (),
        "Ways into the running job: ssh, vscode, tensorboard, jupyter; several with commas.",
        flags="--services",
        env="AZUREML_SERVICES",
        metavar="NAME,...",
    )
    ssh_public_key: str | None = setting(
        None,
        "File with the public key that --services ssh admits; ~/.ssh/id_ed25519.pub or id_rsa.pub when omitted.",
        flags="--ssh-public-key",
        metavar="FILE",
    )


@dataclass(frozen=True)
class ChosenOptions:
    """The settings of a submission, with the open ones filled in."""

    options: AzuremlOptions
    compute: str | None
    """None for serverless compute."""
    instance_type: str | None
    identity: str
    environment_version: str
    experiment: str
    display_name: str
    exec_timeout: str


def options_of(submission: Submission) -> ChosenOptions:
    """Return the settings of a submission, with the open ones filled in."""
    names = AzuremlOptions.__dataclass_fields__
    options = AzuremlOptions(**{name: submission.option(name) for name in names if name in submission.settings})
    job = submission.job
    compute = _compute(submission)
    return ChosenOptions(
        options=options,
        compute=compute,
        instance_type=_where_open(submission, "instance_type", compute, SERVERLESS_SIZE),
        identity=str(_where_open(submission, "identity", compute, "user_identity")),
        environment_version=options.environment_version or version_of(options.image),
        experiment=options.experiment or experiment_of(job.backend, job.task),
        display_name=options.display_name or submission.run,
        exec_timeout=options.exec_timeout or TIMEOUTS[job.kind],
    )


def experiment_of(backend: str, task: str) -> str:
    """Return the experiment of a task; characters that Azure ML does not take in a name become hyphens."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", experiment_name(backend, task))[:255].strip("-._")


def is_default(submission: Submission, key: str) -> bool:
    """Whether nobody has chosen a setting."""
    setting = submission.settings.get(key)
    return setting is None or setting.origin.layer == "default"


def _where_open(submission: Submission, key: str, compute: str | None, serverless: str) -> str | None:
    """Return a setting; on serverless compute another default."""
    if compute is None and is_default(submission, key):
        return serverless
    found = submission.option(key)
    return None if found is None else str(found)


def attached_name(cluster: str) -> str:
    """Return the name under which a Kubernetes cluster is attached to the workspace."""
    return f"{ATTACHED_PREFIX}{cluster}"[:_LONGEST_COMPUTE].rstrip("-")


def version_of(image: str) -> str:
    """Return the environment version of an image, a different one for every image.

    A tag of the default image's repository stands alone, so that it can be read; any other version ends in a hash.
    """
    reference, _, digest = image.partition("@")
    repository, tag = _parts(reference)
    default, _ = _parts(str(AzuremlOptions.__dataclass_fields__["image"].default))
    if repository == default and not digest:
        return tag
    return f"{tag}-{hashlib.sha256(image.encode()).hexdigest()[:8]}"


def _parts(reference: str) -> tuple[str, str]:
    """Return the repository of an image, and its tag in the characters of a version."""
    folder, slash, last = reference.rpartition("/")
    name, _, tag = last.partition(":")
    return f"{folder}{slash}{name}", re.sub(r"[^A-Za-z0-9._-]", "-", tag)[:40].strip("-._") or "latest"


def _compute(submission: Submission) -> str | None:
    """Return the compute target, None for serverless."""
    setting = submission.settings.get("compute")
    return None if setting is None else compute_of(setting)


def compute_of(setting: Setting) -> str | None:
    """Return the compute that a setting names, None for serverless.

    Terraform's output names the Kubernetes cluster, not the compute that it is attached as.
    """
    if not setting.value or setting.value == SERVERLESS:
        return None
    is_cluster = setting.origin.layer == "terraform" and CLUSTER_OUTPUT in setting.origin.detail
    return attached_name(setting.value) if is_cluster else str(setting.value)
