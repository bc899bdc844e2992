"""The settings of OSMO, and what they come to for a submission."""

from __future__ import annotations

from dataclasses import dataclass

from gaitway_runtime.fields import setting

from ..base import Submission
from ..container import ContainerOptions

ROUTES = ("auto", "inline", "dataset", "upload")
"""Ways a payload reaches a task."""


@dataclass(frozen=True)
class Defaults:
    """What a job of some kind asks for unless told otherwise."""

    cpu: int
    memory: str
    storage: str
    exec_timeout: str
    name: str
    """Name of the workflow; OSMO adds a number."""


DEFAULTS = {
    "train": Defaults(8, "48Gi", "80Gi", "23h", "isaaclab-inline-training"),
    "validate": Defaults(4, "32Gi", "40Gi", "2h", "isaaclab-validation"),
    "infer": Defaults(4, "32Gi", "40Gi", "2h", "isaaclab-inference"),
    "dump-contract": Defaults(4, "32Gi", "40Gi", "1h", "isaaclab-contract"),
}
DATASET_TRAINING = "isaaclab-dataset-training"
"""Name of a training workflow whose payload is a folder of its own."""


@dataclass(frozen=True, kw_only=True)
class OsmoOptions(ContainerOptions):
    """What can be set for a job on OSMO beside the job itself."""

    payload_root: str = setting(
        "/workspace/isaac_payload",
        "Folder in the container that the payload is unpacked to.",
        flags=("--payload-root", "-p"),
        env="PAYLOAD_ROOT",
        metavar="DIR",
    )
    tracking_uri: str | None = setting(
        None,
        "MLflow server of the job; that of the Azure ML workspace when omitted.",
        flags="--tracking-uri",
        env="MLFLOW_TRACKING_URI",
        address=True,
        metavar="URI",
    )
    pool: str | None = setting(
        None, "OSMO pool; your profile's default when omitted.", flags="--pool", env="OSMO_POOL", metavar="NAME"
    )
    resource_platform: str | None = setting(
        None,
        "Platform (kind of node) of the pool; the pool's default when omitted.",
        flags="--platform",
        env="OSMO_PLATFORM",
        metavar="NAME",
    )
    priority: str | None = setting(
        None,
        "Priority; LOW may be preempted and goes on by itself.",
        flags="--priority",
        env="OSMO_PRIORITY",
        choices=("HIGH", "NORMAL", "LOW"),
    )
    cpu: int | None = setting(
        None,
        "CPU cores of each node; 8 for training, else 4, when omitted.",
        flags="--cpu",
        env="OSMO_CPU",
        minimum=1,
        metavar="COUNT",
    )
    memory: str | None = setting(
        None,
        "Memory of each node; 48Gi for training, else 32Gi, when omitted.",
        flags="--memory",
        env="OSMO_MEMORY",
        metavar="SIZE",
    )
    storage: str | None = setting(
        None,
        "Disk of each node; 80Gi for training, else 40Gi, when omitted.",
        flags="--storage",
        env="OSMO_STORAGE",
        metavar="SIZE",
    )
    exec_timeout: str | None = setting(
        None,
        "Time after which OSMO ends the job; 23h for training, else 2h, when omitted.",
        flags="--exec-timeout",
        env="OSMO_EXEC_TIMEOUT",
        metavar="TIME",
    )
    payload: str = setting(
        "auto",
        "How the payload travels: inside the request while it fits, else as a dataset or an upload.",
        flags="--payload",
        env="OSMO_PAYLOAD",
        choices=ROUTES,
    )
    dataset_bucket: str = setting(
        "training",
        "OSMO bucket for training code.",
        flags="--dataset-bucket",
        env="OSMO_DATASET_BUCKET",
        metavar="NAME",
    )
    dataset_name: str = setting(
        "training-code",
        "Dataset name (versioned by OSMO).",
        flags="--dataset-name",
        env="OSMO_DATASET_NAME",
        metavar="NAME",
    )
    storage_uri: str | None = setting(
        None,
        "Object storage for uploaded payloads, checkpoints and outputs: azure://ACCOUNT/CONTAINER/PATH, s3://...",
        flags=("--storage-uri", "--payload-url"),
        env="OSMO_STORAGE_URI",
        metavar="URI",
    )
    workflow_name: str | None = setting(
        None,
        "Name of the workflow on OSMO; isaaclab-inline-training and the like when omitted.",
        flags="--workflow-name",
        env="OSMO_WORKFLOW_NAME",
        metavar="NAME",
    )
    credentials: tuple[str, ...] = setting(
        (),
        "OSMO credential for the task, NAME:VARIABLE=KEY or NAME:/FOLDER; repeatable.",
        flags="--credential",
        env="OSMO_CREDENTIALS",
        metavar="NAME:WHERE",
    )
    # No environment variable for these two: an AZURE_CLIENT_ID set for this machine would take the place of the
    # workload identity that the cluster gives to the task.
    azure_client_id: str | None = setting(
        None, "Azure client ID of the task's identity.", flags="--azure-client-id", metavar="ID"
    )
    azure_tenant_id: str | None = setting(
        None, "Azure tenant of the task's identity.", flags="--azure-tenant-id", metavar="ID"
    )
    tmp_dir: str = setting(
        ".tmp", "Folder that keeps a copy of the payload that was sent.", env="TMP_DIR", metavar="DIR"
    )


@dataclass(frozen=True)
class Chosen:
    """The settings of a submission, with the defaults of its kind filled in."""

    options: OsmoOptions
    cpu: int
    memory: str
    storage: str
    exec_timeout: str


def chosen(submission: Submission) -> Chosen:
    """Return what a submission's settings come to."""
    names = OsmoOptions.__dataclass_fields__
    options = OsmoOptions(**{name: submission.option(name) for name in names if name in submission.settings})
    defaults = DEFAULTS[submission.job.kind]
    return Chosen(
        options=options,
        cpu=options.cpu or defaults.cpu,
        memory=options.memory or defaults.memory,
        storage=options.storage or defaults.storage,
        exec_timeout=options.exec_timeout or defaults.exec_timeout,
    )


def workflow_name(options: OsmoOptions, kind: str, route: str) -> str:
    """Return the name of a workflow: the user's, else one that tells what it does and how its payload travels."""
    if kind == "train" and route != "inline":
        return options.workflow_name or DATASET_TRAINING
    return options.workflow_name or DEFAULTS[kind].name
