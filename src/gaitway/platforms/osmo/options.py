"""Settings of the OSMO platform, with the defaults of each kind of job."""

from __future__ import annotations

from dataclasses import dataclass

from gaitway_runtime.spec.files import is_remote
from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.spec.settings import setting

from ...variations import SWEEP
from ..base import Submission
from ..container import ContainerOptions, DataOptions

TRACKING_PORT = 5000
"""Port of a training's task at which its own MLflow server listens."""

ROUTES = ("auto", "inline", "dataset", "upload")
"""Ways a payload reaches a task."""


@dataclass(frozen=True)
class Defaults:
    """Resources that a kind of job asks for by default."""

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
    "ship": Defaults(8, "48Gi", "80Gi", "25h", "isaaclab-ship"),
    SWEEP: Defaults(8, "48Gi", "80Gi", "23h", "isaaclab-sweep"),
}
DATASET_TRAINING = "isaaclab-dataset-training"
"""Name of a training workflow whose payload is a folder of its own."""


@dataclass(frozen=True, kw_only=True)
class OsmoOptions(ContainerOptions, DataOptions):
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
    with_tracking: bool = setting(
        False,
        "Run an MLflow server beside a training that reports to none; gaitway port-forward RUN 5000 leads to it.",
        flags="--with-tracking",
        env="OSMO_WITH_TRACKING",
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
        "Priority; LOW may be preempted, and continues as often as OSMO allows.",
        flags="--priority",
        env="OSMO_PRIORITY",
        choices=("HIGH", "NORMAL", "LOW"),
    )
    cpu: int | None = setting(
        None,
        "CPU cores of each node; 8 for each GPU of a training, else 4, when omitted.",
        flags="--cpu",
        env="OSMO_CPU",
        minimum=1,
        metavar="COUNT",
    )
    memory: str | None = setting(
        None,
        "Memory of each node; 48Gi for each GPU of a training, else 32Gi, when omitted.",
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
    queue_timeout: str | None = setting(
        None,
        "Time after which OSMO gives up waiting for nodes; OSMO's own when omitted.",
        flags="--queue-timeout",
        env="OSMO_QUEUE_TIMEOUT",
        metavar="TIME",
    )
    topology: str | None = setting(
        None,
        "Part of the cluster that all nodes of a job have to share, by the pool's name for it (rack, nvlink-domain).",
        flags="--topology",
        env="OSMO_TOPOLOGY",
        metavar="KEY",
    )
    labels: tuple[str, ...] = setting(
        (),
        "Label of the workflow, KEY=VALUE; repeatable (OSMO 6.4).",
        flags="--label",
        env="OSMO_LABELS",
        metavar="KEY=VALUE",
    )
    require_resume: bool = setting(
        False,
        "Refuse the job where a preempted training would not continue from its newest checkpoint.",
        flags="--require-resume",
        env="OSMO_REQUIRE_RESUME",
    )
    accept_loss: bool = setting(
        False, "Submit although nothing keeps the results.", flags="--accept-loss", env="OSMO_ACCEPT_LOSS"
    )
    validate: bool = setting(
        False, "Let OSMO check the workflow before it is submitted.", flags="--validate", env="OSMO_VALIDATE"
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
        ".tmp",
        "Folder that keeps a copy of the payload that was sent.",
        env="TMP_DIR",
        container_only=True,
        metavar="DIR",
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
    # One process a GPU, each with its own environments.
    scale = max(1, options.num_gpus) if isinstance(submission.job, TrainJob) else 1
    return Chosen(
        options=options,
        cpu=options.cpu or defaults.cpu * scale,
        memory=options.memory or _times(defaults.memory, scale),
        storage=options.storage or defaults.storage,
        exec_timeout=options.exec_timeout or defaults.exec_timeout,
    )


def _times(size: str, factor: int) -> str:
    """Return so many times a size in whole Gi."""
    return f"{int(size.removesuffix('Gi')) * factor}Gi"


def reports_to_server(submission: Submission, options: OsmoOptions) -> bool:
    """Return whether a job reports to an MLflow server that others can ask."""
    azure = submission.context.azure
    return is_remote(options.tracking_uri) or bool(azure.subscription_id and azure.resource_group)


def names_outputs(submission: Submission, options: OsmoOptions) -> bool:
    """Return whether the task with the results names places for outputs: OSMO's own store then gets none of them.

    The training of a ship job is read by later tasks, for which OSMO keeps its outputs there as well.
    """
    return bool(options.storage_uri or options.data_outputs) and submission.job.kind != "ship"


def workflow_name(options: OsmoOptions, kind: str, route: str) -> str:
    """Return the name of a workflow: the user's, else one made of the kind of job and the route of its payload."""
    if kind == "train" and route != "inline":
        return options.workflow_name or DATASET_TRAINING
    return options.workflow_name or DEFAULTS[kind].name
