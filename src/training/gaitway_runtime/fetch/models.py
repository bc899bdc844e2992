"""Checkpoints in the model registry (``models:/<name>/<version>``, ``models:/<name>@<alias>``) and in logged models."""

from __future__ import annotations

import dataclasses
import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..spec.errors import UsageError
from ..stores.artifacts import VERSION_SHA256_TAG, ArtifactFolder, clean_path
from ..stores.tracking_server import TrackingServer
from .base import Located, Order
from .runs import located_in

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_NAME = r"[^/@:\x00-\x1f\x7f'\"]{1,255}"


@dataclass(frozen=True)
class ModelsAddress:
    """A registered model version by number, by alias or as the latest, and a path below it (mostly none)."""

    name: str
    version: str | None
    """A number or ``latest`` (see :func:`latest_version`); None if an alias is given."""
    alias: str | None
    path: str

    form: ClassVar[str] = "models:/<name>/<version or latest>, models:/<name>@<alias> or models:/<model id>"

    @classmethod
    def parse(cls, text: str) -> ModelsAddress | LoggedModelAddress:
        """See :meth:`~.base.Address.parse`."""
        logged = re.fullmatch(r"models:/(m-[0-9a-f]{32})(?:/(.*))?", text, re.IGNORECASE | re.ASCII)
        if logged:
            return LoggedModelAddress(logged[1].lower(), clean_path(logged[2] or "", text))
        pattern = rf"models:/({_NAME})(?:/(\d{{1,18}}|latest)|@([\w.-]{{1,255}}))(?:/(.*))?"
        found = re.fullmatch(pattern, text, re.IGNORECASE | re.ASCII)
        if not found:
            raise UsageError(
                "this is not an address in the model registry",
                source=text,
                allowed=cls.form,
                hint="stages (Production, Staging) are gone from MLflow; aliases took their place",
            )
        version = found[2].lower() if found[2] else None
        return cls(found[1], version, found[3], clean_path(found[4] or "", text))

    def locate(self, order: Order) -> tuple[Located, ...]:
        """See :meth:`~.base.Address.locate`."""
        server = TrackingServer.of(order.context, order.limits)
        version = self._version(server)
        shown = f"models:/{self.name}/{version.version}"
        question = functools.partial(server.client.get_model_version_download_uri, self.name, version.version)
        source = server.ask(question, shown).rstrip("/")
        run = _run_of(server, version)
        if source.startswith("models:/m-"):  # a model that MLflow 3 logged
            return LoggedModelAddress(source.removeprefix("models:/"), self.path).locate(order)
        root, base = _split(source, run.info.artifact_uri if run else "")
        folder = ArtifactFolder(root, base, server, shown)
        tags = dict(run.data.tags) if run else {}
        note = _note(str(self), self.version, version)
        found = located_in(folder, self.path, tags, version.run_id or None, note)
        own = version.tags.get(VERSION_SHA256_TAG)
        return tuple(dataclasses.replace(file, sha256=own) for file in found[:1]) if own else found

    def __str__(self) -> str:
        """Return the address without a path."""
        return f"models:/{self.name}" + (f"@{self.alias}" if self.alias else f"/{self.version}")

    def _version(self, server: TrackingServer) -> Any:
        return server.ask(
            functools.partial(find_version, server.client, self.name, self.version, self.alias), str(self)
        )


def find_version(client: MlflowClient, name: str, version: str | None, alias: str | None) -> Any:
    """Return MLflow's description of a model's version: by its alias, else ``latest`` or by its number.

    Raises:
        UsageError: ``latest`` stands for no version; see :func:`latest_version`.
    """
    if alias:
        return client.get_model_version_by_alias(name, alias)
    return latest_version(client, name) if version == "latest" else client.get_model_version(name, str(version))


def latest_version(client: MlflowClient, name: str) -> Any:
    """Return the version of a model that ``latest`` stands for: the highest number that its owner has not archived.

    MLflow's own ``latest`` counts archived versions too. Their owner has withdrawn them: nobody who did not ask for one
    by its number or its alias should get it.

    Args:
        client: MLflow's client of the registry.
        name: The model.

    Returns:
        MLflow's description of the version.

    Raises:
        UsageError: There is no such model, it has no version, or all of them are archived.
    """
    versions: list[Any] = []
    token = None
    while True:
        page = client.search_model_versions(f"name='{name}'", page_token=token)
        versions += page
        token = page.token
        if not token:
            break
    if not versions:
        raise UsageError(f"there is no registered model {name}", source=f"models:/{name}/latest")
    offered = [version for version in versions if not is_archived(version)]
    if not offered:
        newest = max(versions, key=_number)
        raise UsageError(
            f"all versions of model {name} are archived",
            source=f"models:/{name}/latest",
            hint=f"name one by its number all the same: models:/{name}/{newest.version}",
        )
    return max(offered, key=_number)


def _number(version: Any) -> int:
    return int(version.version)


def is_archived(version: Any) -> bool:
    """Whether a version's owner has withdrawn it; ``version`` is MLflow's description of it."""
    return str(version.current_stage) == "Archived"


def _note(address: str, asked: str | None, version: Any) -> str:
    """Return what a user should know of the version that an address stands for."""
    if is_archived(version):
        return f"{address} is version {version.version}, which is archived"
    return f"{address} is version {version.version}" if asked in (None, "latest") else ""


@dataclass(frozen=True)
class LoggedModelAddress:
    """A model by the id that MLflow 3 gives it when it is logged, and a path below it (mostly none)."""

    model_id: str
    path: str

    def locate(self, order: Order) -> tuple[Located, ...]:
        """See :meth:`~.base.Address.locate`."""
        server = TrackingServer.of(order.context, order.limits)
        shown = f"models:/{self.model_id}"
        model = server.ask(lambda: server.client.get_logged_model(self.model_id), shown)
        folder = ArtifactFolder(model.artifact_location, "", server, shown)
        return located_in(folder, self.path, {}, model.source_run_id or None)


def _run_of(server: TrackingServer, version: Any) -> Any:
    """Return the run that made a version, or None: a model may outlive its run."""
    if not version.run_id:
        return None
    return server.ask(lambda: server.client.get_run(version.run_id), f"runs:/{version.run_id}", missing=lambda: None)


def _split(source: str, artifacts: str) -> tuple[str, str]:
    """Return a version's source as a root and a path below it.

    The root is the run's, or else the parent, never the source itself: a version may be registered on a single
    file, for which MLflow would report success and return an empty folder.
    """
    if artifacts and source.startswith(f"{artifacts.rstrip('/')}/"):
        return artifacts, source.removeprefix(artifacts.rstrip("/")).strip("/")
    parent, _, last = source.rpartition("/")
    return parent, last
