"""The model registry: which names it takes, registering a checkpoint folder, and marking a version."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..errors import PlatformError, UsageError
from .base import ModelVersion
from .client import one_line

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

CHECKPOINT_SUFFIXES = (".pt", ".pth")

_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_LONGEST_TAG = 5000


def check_model_name(name: str, source: str = "--register-checkpoint") -> str:
    """Return ``name`` if every registry in use takes it (Azure ML is the strictest).

    Raises:
        UsageError: It does not.
    """
    if not _MODEL_NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' is no name for a registered model",
            source=source,
            allowed="letters, digits, '-', '_' and '.', at most 255, a letter or digit first",
        )
    return name


def register(client: MlflowClient, run_id: str, name: str, artifact_path: str, tags: Mapping[str, str]) -> ModelVersion:
    """Register the folder ``artifact_path`` of a run as a new version of model ``name``.

    A version whose source is a single file would be accepted by MLflow and later downloaded as an empty folder,
    and ``mlflow.register_model`` refuses raw folders; hence the check and the explicit source here.

    Raises:
        UsageError: The name is not valid.
        PlatformError: The folder does not hold exactly one checkpoint, or the registry refused.
    """
    from mlflow.exceptions import MlflowException

    check_model_name(name)
    try:
        found = [item.path for item in client.list_artifacts(run_id, artifact_path) if not item.is_dir]
        checkpoints = [path for path in found if path.endswith(CHECKPOINT_SUFFIXES)]
        if len(checkpoints) != 1:
            raise PlatformError(
                f"a model version needs a folder with exactly one checkpoint, found {len(checkpoints)}",
                source=f"runs:/{run_id}/{artifact_path}",
            )
        _ensure_model(client, name)
        version = client.create_model_version(
            name,
            source=f"{client.get_run(run_id).info.artifact_uri}/{artifact_path}",
            run_id=run_id,
            tags={key: str(value)[:_LONGEST_TAG] for key, value in tags.items()},
        )
    except MlflowException as error:
        raise PlatformError(
            f"model {name} could not be registered: {one_line(error)}",
            hint=f"the checkpoint is safe at runs:/{run_id}/{artifact_path}",
        ) from None
    return ModelVersion(name, str(version.version))


def tag_version(client: MlflowClient, version: ModelVersion, tags: Mapping[str, str]) -> None:
    """Set tags on a model version, for example the verdict of a validation.

    Raises:
        PlatformError: The registry refused or is away.
    """
    from mlflow.exceptions import MlflowException

    try:
        for key, value in tags.items():
            client.set_model_version_tag(version.name, version.version, key, str(value)[:_LONGEST_TAG])
    except MlflowException as error:
        raise PlatformError(
            f"model {version.name} version {version.version} could not be tagged: {one_line(error)}"
        ) from None


def _ensure_model(client: MlflowClient, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS", "RESOURCE_CONFLICT"):
            raise
