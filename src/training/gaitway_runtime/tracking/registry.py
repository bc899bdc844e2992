"""Model registry: the names it accepts, registration of a checkpoint folder, tags of a version."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..spec.checkpoint_files import is_checkpoint
from ..spec.errors import PlatformError, UsageError
from ..stores.artifacts import ArtifactFolder
from ..stores.mlflow_client import StoreFailure, attempt, open_client
from ..stores.tracking_server import TrackingServer
from .azure_models import register_custom_model, workspace_scope
from .base import ModelVersion

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_LONGEST_TAG = 5000


def check_model_name(name: str, source: str = "--register-checkpoint") -> str:
    """Return ``name`` if every registry in use takes it (Azure ML is the strictest).

    Raises:
        UsageError: It does not.
    """
    if not _MODEL_NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' is not a name for a registered model",
            source=source,
            allowed="letters, digits, '-', '_' and '.', at most 255, a letter or digit first",
        )
    return name


def register(
    server: TrackingServer, run_id: str, name: str, artifact_path: str, tags: Mapping[str, str]
) -> ModelVersion:
    """Register the folder ``artifact_path`` of a run as a new version of model ``name``.

    A version whose source is a single file would be accepted by MLflow and later downloaded as an empty folder,
    and ``mlflow.register_model`` refuses raw folders; hence the check and the explicit source here. In an Azure ML
    workspace the version is a custom model, see :mod:`.azure_models`.

    Raises:
        UsageError: The name is not valid.
        ConfigError: The identity is not allowed to register a model.
        PlatformError: The folder does not hold exactly one checkpoint, or the registry refused.
    """
    check_model_name(name)
    client, scope, shown = server.client, workspace_scope(server.uri), f"runs:/{run_id}"
    artifact_uri = str(server.ask(lambda: client.get_run(run_id), shown).info.artifact_uri)
    _check_folder(ArtifactFolder(artifact_uri, "", server, shown), artifact_path)
    if scope:
        return register_custom_model(scope, run_id, name, artifact_path, tags)
    try:
        _ensure_model(client, name)
        version = attempt(
            lambda: client.create_model_version(
                name,
                source=f"{artifact_uri}/{artifact_path}",
                run_id=run_id,
                tags={key: str(value)[:_LONGEST_TAG] for key, value in tags.items()},
            )
        )
    except StoreFailure as failure:
        raise PlatformError(
            f"model {name} could not be registered: {failure}",
            hint=f"the checkpoint is safe at {shown}/{artifact_path}",
        ) from None
    return ModelVersion(name, str(version.version))


def _check_folder(folder: ArtifactFolder, artifact_path: str) -> None:
    """Check that an artifact folder holds exactly one checkpoint.

    Raises:
        PlatformError: It does not.
    """
    checkpoints = [entry for entry in folder.entries(artifact_path) if not entry.is_dir and is_checkpoint(entry.name)]
    if len(checkpoints) != 1:
        raise PlatformError(
            f"a model version needs a folder with exactly one checkpoint, found {len(checkpoints)}",
            source=folder.address_of(artifact_path),
        )


def tag_version(tracking_uri: str, version: ModelVersion, tags: Mapping[str, str]) -> None:
    """Set tags on a model version, for example the verdict of a validation.

    Args:
        tracking_uri: Of the server that has the model.
        version: The version.
        tags: The tags.

    Raises:
        PlatformError: The registry refused or is away.
    """
    client = open_client(tracking_uri)

    def send() -> None:
        for key, value in tags.items():
            client.set_model_version_tag(version.name, version.version, key, str(value)[:_LONGEST_TAG])

    try:
        attempt(send)
    except StoreFailure as failure:
        raise PlatformError(f"model {version.name} version {version.version} could not be tagged: {failure}") from None


def _ensure_model(client: MlflowClient, name: str) -> None:
    try:
        attempt(lambda: client.create_registered_model(name))
    except StoreFailure as failure:
        if not failure.conflict and "ALREADY_EXISTS" not in str(failure):
            raise
