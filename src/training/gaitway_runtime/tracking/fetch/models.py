"""Checkpoints in the model registry: ``models:/<name>/<version>``, ``models:/<name>@<alias>``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ...errors import UsageError
from ..client import open_client
from ..server import tracking_uri_for
from .artifacts import ArtifactFolder, ask
from .base import Located, Order, clean_path
from .picking import is_checkpoint
from .runs import known_sha256, run_tags

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_NAME = r"[^/@:\x00-\x1f\x7f'\"]{1,255}"


@dataclass(frozen=True)
class ModelsAddress:
    """A registered model version by number, by alias or as the latest, and a path below it (mostly none)."""

    name: str
    version: str | None
    """A number or ``latest``; None if an alias is given."""
    alias: str | None
    path: str

    form: ClassVar[str] = "models:/<name>/<version or latest> or models:/<name>@<alias>"

    @classmethod
    def parse(cls, text: str) -> ModelsAddress | None:
        """See :meth:`~.base.Address.parse`."""
        if not text.lower().startswith("models:"):
            return None
        pattern = rf"models:/({_NAME})(?:/(\d{{1,18}}|latest)|@([\w.-]{{1,255}}))(?:/(.*))?"
        found = re.fullmatch(pattern, text, re.IGNORECASE | re.ASCII)
        if not found:
            raise UsageError(
                "this is no address in the model registry",
                source=text,
                allowed=cls.form,
                hint="stages (Production, Staging) are gone from MLflow; aliases took their place",
            )
        version = found[2].lower() if found[2] else None
        return cls(found[1], version, found[3], clean_path(found[4] or "", text))

    def locate(self, order: Order) -> Located:
        """See :meth:`~.base.Address.locate`."""
        uri = tracking_uri_for(order.context)
        client = open_client(uri)
        version = self._version(client, order)
        shown = f"models:/{self.name}/{version.version}"
        source = ask(
            lambda: client.get_model_version_download_uri(self.name, version.version), order.limits, shown
        ).rstrip("/")
        inner = ""
        if is_checkpoint(source.rpartition("/")[2]):
            # registered on a single file: MLflow would hand over an empty folder, so the file is asked for itself
            source, _, inner = source.rpartition("/")
        folder = ArtifactFolder(source, uri, order.limits, shown)
        path, note = folder.choose(self.path or inner)
        return Located(
            resolved_uri=f"{shown}/{path}",
            name=path,
            source=folder.source(path),
            sha256=known_sha256(folder, path, run_tags(client, version.run_id, order)),
            run_id=version.run_id or None,
            note=note if self.version not in (None, "latest") else f"{self} is version {version.version}",
        )

    def __str__(self) -> str:
        """Return the address without a path."""
        return f"models:/{self.name}" + (f"@{self.alias}" if self.alias else f"/{self.version}")

    def _version(self, client: MlflowClient, order: Order) -> Any:
        if self.alias:
            alias = self.alias
            return ask(lambda: client.get_model_version_by_alias(self.name, alias), order.limits, str(self))
        if self.version != "latest":
            return ask(lambda: client.get_model_version(self.name, str(self.version)), order.limits, str(self))
        versions = ask(lambda: list(client.search_model_versions(f"name='{self.name}'")), order.limits, str(self))
        if not versions:
            raise UsageError(f"there is no registered model {self.name}", source=str(self))
        return max(versions, key=lambda version: int(version.version))
