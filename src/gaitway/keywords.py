"""Keyword arguments of the Python API, generated from the declarations of the settings (``make regenerate``)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal, TypedDict

Path = str | os.PathLike[str]


class SharedKeywords(TypedDict, total=False):
    """Settings of all jobs by keyword."""

    data_inputs: str | Sequence[str]
    """Data the job reads, as NAME=SOURCE, at the path in GAITWAY_INPUT_NAME; repeatable."""
    data_outputs: str | Sequence[str]
    """Folder the job writes, as NAME=TARGET, at the path in GAITWAY_OUTPUT_NAME; repeatable."""
    num_nodes: int
    """Nodes that train together."""
    num_gpus: int
    """GPUs of each node, each with --num-envs environments; 0 for none."""
    image: str
    """Container image of the job."""
    container_python: str | None
    """Python command in the container; Isaac Lab's own, else python3, when omitted."""
    workflow_file: Path | None
    """Workflow template (OSMO) or job file (Azure ML) of yours to submit in place of gaitway's own."""
    compute: str | None
    """Compute target, or serverless; when omitted the cluster that deploy/002-setup attaches, else serverless."""
    instance_type: str | None
    """Instance type of a Kubernetes compute, or VM size of serverless compute; a compute cluster has its own."""
    environment: Path | None
    """Environment of yours in place of --image: azureml:NAME:VERSION or azureml://registries/..."""
    environment_name: str
    """Azure ML environment that holds the image."""
    environment_version: str | None
    """Version of that environment; derived from the image when omitted."""
    experiment: str | None
    """Experiment; isaaclab-rsl-rl-TASK and the like when omitted."""
    display_name: str | None
    """Name of the job in Azure ML Studio; the run's name when omitted."""
    shm_size: str
    """Shared memory of each node."""
    exec_timeout: str | None
    """Time after which OSMO ends the job; 23h for training, else 2h, when omitted."""
    priority: Literal["HIGH", "NORMAL", "LOW"] | None
    """Priority; LOW may be preempted, and continues as often as OSMO allows."""
    job_tier: Literal["Spot", "Basic", "Standard", "Premium"] | None
    """Tier of serverless compute."""
    identity: Literal["managed", "user_identity", "aml_token"]
    """Identity of the job: the compute's, the submitter's (on serverless by default), or Azure ML's own token."""
    services: str | Sequence[str]
    """Ways into the running job: ssh, vscode, tensorboard, jupyter; several with commas."""
    ssh_public_key: Path | None
    """File with the public key that --services ssh admits; ~/.ssh/id_ed25519.pub or id_rsa.pub when omitted."""
    payload_root: Path
    """Folder in the container that the payload is unpacked to."""
    tracking_uri: Path | None
    """MLflow server of the job; that of the Azure ML workspace when omitted."""
    with_tracking: bool
    """Run an MLflow server beside a training that reports to none; gaitway port-forward RUN 5000 leads to it."""
    pool: str | None
    """OSMO pool; your profile's default when omitted."""
    resource_platform: str | None
    """Platform (kind of node) of the pool; the pool's default when omitted."""
    cpu: int | None
    """CPU cores of each node; 8 for each GPU of a training, else 4, when omitted."""
    memory: str | None
    """Memory of each node; 48Gi for each GPU of a training, else 32Gi, when omitted."""
    storage: str | None
    """Disk of each node; 80Gi for training, else 40Gi, when omitted."""
    queue_timeout: str | None
    """Time after which OSMO gives up waiting for nodes; OSMO's own when omitted."""
    topology: str | None
    """Part of the cluster that all nodes of a job have to share, by the pool's name for it (rack, nvlink-domain)."""
    labels: str | Sequence[str]
    """Label of the workflow, KEY=VALUE; repeatable (OSMO 6.4)."""
    require_resume: bool
    """Refuse the job where a preempted training would not continue from its newest checkpoint."""
    accept_loss: bool
    """Submit although nothing keeps the results."""
    validate: bool
    """Let OSMO check the workflow before it is submitted."""
    payload: Literal["auto", "inline", "dataset", "upload"]
    """How the payload travels: inside the request while it fits, else as a dataset or an upload."""
    dataset_bucket: str
    """OSMO bucket for training code."""
    dataset_name: str
    """Dataset name (versioned by OSMO)."""
    storage_uri: Path | None
    """Object storage for uploaded payloads, checkpoints and outputs: azure://ACCOUNT/CONTAINER/PATH, s3://..."""
    workflow_name: str | None
    """Name of the workflow on OSMO; isaaclab-inline-training and the like when omitted."""
    credentials: str | Sequence[str]
    """OSMO credential for the task, NAME:VARIABLE=KEY or NAME:/FOLDER; repeatable."""
    azure_client_id: str | None
    """Azure client ID of the task's identity."""
    azure_tenant_id: str | None
    """Azure tenant of the task's identity."""
    tmp_dir: Path
    """Folder that keeps a copy of the payload that was sent."""
    python: Path | None
    """Python that runs the job, for example the one that has Isaac Lab; gaitway's own when omitted."""
    task: str
    """Isaac Lab task name."""
    num_envs: int
    """Number of parallel environments."""
    simulator: Literal["auto", "isaaclab", "mujoco", "mujoco-warp"]
    """Simulator: isaaclab, mujoco, mujoco-warp (on a GPU), auto: isaaclab where it is there, else mujoco."""
    backend: str
    """Learning library."""
    seed: int
    """Seed of everything random."""
    checkpoint_uri: Path | None
    """Checkpoint: runs:/, models:/, https://, a path, or RUN[@latest|@best|@ITERATION]."""
    checkpoint_sha256: str | None
    """Expected SHA-256 of the checkpoint file."""
    activation: str | None
    """Activation of the policy network, where neither the checkpoint nor its configuration names it."""
    contract: Path | None
    """Policy contract (JSON file) of a task the simulator does not know, or of the policy's home simulator."""
    run_smoke_test: bool
    """Check tracking, storage and registry access before the job starts; the job then continues."""
    sleep_after_unpack: int
    """Seconds to wait after the payload is unpacked, for inspection; the job then continues."""
    imports: str | Sequence[str]
    """Python module that registers tasks when imported; repeatable."""
    overrides: str | Sequence[str]
    """Override of the task's settings, agent.KEY=VALUE or env.KEY=VALUE; gaitway tasks TASK has all; repeatable."""
    azure_subscription_id: str | None
    """Azure subscription."""
    azure_resource_group: str | None
    """Azure resource group."""
    azure_workspace_name: str | None
    """Azure ML workspace."""
    azure_storage_account: str | None
    """Azure storage account for payloads and large files."""
    platform: str
    """Platform that runs the job."""
    run_name: str | None
    """Name of the run; derived from the task and numbered when omitted."""
    training_path: Path
    """Folder that is shipped with the job; the runtime is added where it lacks one."""
    with_paths: Path | Sequence[Path]
    """Folder or file shipped beside it under its own name, e.g. your task package; repeatable."""
    require_signed: str | None
    """Public key, PEM; the checkpoint must lie in a release that was signed with it (gaitway release)."""
    terraform_dir: Path
    """Folder whose Terraform outputs fill what flags and environment leave open."""
    on: str
    """Platform that runs the job."""
    name: str | None
    """Name of the run; derived from the task and numbered when omitted."""
    with_: Path | Sequence[Path]
    """Folder or file shipped beside it under its own name, e.g. your task package; repeatable."""
    import_: str | Sequence[str]
    """Python module that registers tasks when imported; repeatable."""
    set: str | Sequence[str]
    """Override of the task's settings, agent.KEY=VALUE or env.KEY=VALUE; gaitway tasks TASK has all; repeatable."""


class TrainKeywords(SharedKeywords, total=False):
    """Settings of ``train`` by keyword."""

    max_iterations: int | None
    """Training iterations in total; the task's own number when omitted."""
    checkpoint_mode: Literal["from-scratch", "warm-start", "resume", "fresh"]
    """What to take from the checkpoint: nothing, the weights, or everything."""
    register_checkpoint: str | None
    """Model name to register the final checkpoint under."""
    skip_register_checkpoint: bool
    """Do not register the final checkpoint."""
    gate: bool
    """Validate before registering, and register only on a pass."""
    save_interval: int | None
    """Iterations between checkpoints; the task's own number when omitted."""
    shaping: bool
    """Training-only reward shaping of the embedded simulator's recipes (--no-shaping: Isaac Lab's rewards alone)."""
    evaluation_share: float
    """Largest share of the time for small evaluations of the policy while it trains; 0 for none."""
    films: bool
    """Film the policy while it trains, within the same share of the processors' time."""


class ValidateKeywords(SharedKeywords, total=False):
    """Settings of ``validate`` by keyword."""

    model_name: str | None
    """Registered model; derived from the task when omitted."""
    model_version: str
    """Version of the registered model."""
    eval_episodes: int
    """Episodes to evaluate."""
    success_threshold: float | None
    """Share of successful episodes that passes; the task's own number when omitted."""
    sweep: bool
    """Also sweep command directions, pushes, friction, payload mass and kinds of ground."""


class InferKeywords(SharedKeywords, total=False):
    """Settings of ``infer`` by keyword."""

    format: str
    """Export format to make and play."""
    gate: bool
    """Play whole episodes and fail (exit code 5) unless the task's gate is met."""
    max_steps: int
    """Inference steps per environment."""
    video_length: int
    """Steps shown in the video; 0 for none."""


class DumpContractKeywords(SharedKeywords, total=False):
    """Settings of ``dumpcontract`` by keyword."""

    max_steps: int
    """Steps of the trace."""


class ShipKeywords(SharedKeywords, total=False):
    """Settings of ``ship`` by keyword."""

    max_iterations: int | None
    """Training iterations in total; the task's own number when omitted."""
    checkpoint_mode: Literal["from-scratch", "warm-start", "resume", "fresh"]
    """What to take from the checkpoint: nothing, the weights, or everything."""
    register_checkpoint: str | None
    """Model name to register the final checkpoint under."""
    skip_register_checkpoint: bool
    """Do not register the final checkpoint."""
    gate: bool
    """Validate before registering, and register only on a pass."""
    save_interval: int | None
    """Iterations between checkpoints; the task's own number when omitted."""
    shaping: bool
    """Training-only reward shaping of the embedded simulator's recipes (--no-shaping: Isaac Lab's rewards alone)."""
    evaluation_share: float
    """Largest share of the time for small evaluations of the policy while it trains; 0 for none."""
    films: bool
    """Film the policy while it trains, within the same share of the processors' time."""
    eval_episodes: int
    """Episodes to evaluate."""
    success_threshold: float | None
    """Share of successful episodes that passes; the task's own number when omitted."""
    format: str
    """Export format to make and play."""
    max_steps: int
    """Inference steps per environment."""
    video_length: int
    """Steps shown in the video; 0 for none."""


class RegisterKeywords(SharedKeywords, total=False):
    """Settings of ``register`` by keyword."""

    register_checkpoint: str | None
    """Model name to register the final checkpoint under."""
    verdict_from: Path | None
    """Output folder of the validation whose verdict the model carries."""
    exports_from: Path | None
    """Output folder of the inference whose exports go with the model."""
