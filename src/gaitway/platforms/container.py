"""Settings of every platform whose jobs run in a container. Shared by platforms; not one itself."""

from __future__ import annotations

from dataclasses import dataclass

from gaitway_runtime.fields import setting


@dataclass(frozen=True, kw_only=True)
class ContainerOptions:
    """Which container a job runs in, and on how many nodes and GPUs."""

    image: str = setting(
        "nvcr.io/nvidia/isaac-lab:2.2.0",
        "Container image of the job.",
        flags=("--image", "-i"),
        env="IMAGE",
        metavar="IMAGE",
    )
    payload_root: str = setting(
        "/workspace/isaac_payload",
        "Folder in the container that the payload is unpacked to.",
        flags=("--payload-root", "-p"),
        env="PAYLOAD_ROOT",
        metavar="DIR",
    )
    num_nodes: int = setting(
        1, "Nodes that train together.", flags="--num-nodes", env="NUM_NODES", minimum=1, maximum=64, metavar="COUNT"
    )
    num_gpus: int = setting(
        1,
        "GPUs of each node; 0 for none.",
        flags=("--num-gpus", "--gpu"),
        env=("NUM_GPUS", "OSMO_GPU"),
        minimum=0,
        maximum=64,
        metavar="COUNT",
    )
    tracking_uri: str | None = setting(
        None,
        "MLflow server of the job; that of the Azure ML workspace when omitted.",
        flags="--tracking-uri",
        env="MLFLOW_TRACKING_URI",
        address=True,
        metavar="URI",
    )
