"""Checkpoints among the artifacts of an MLflow run: ``runs:/<run id>/<path>``."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, ClassVar

from ..spec.checkpoint_files import CONFIG_FILES
from ..spec.errors import GaitwayError, UsageError
from ..stores.artifacts import ArtifactFolder, clean_path
from ..stores.hashes import KnownHashes
from ..stores.streams import Source
from ..stores.tracking_server import TrackingServer
from .base import MOST_CANDIDATES, Located, Order
from .sidecars import SUFFIX, hash_from


@dataclass(frozen=True)
class RunsAddress:
    """A file or folder among a run's artifacts; an empty path stands for all of them."""

    run_id: str
    path: str

    form: ClassVar[str] = "runs:/<run id>/<path>"

    @classmethod
    def parse(cls, text: str) -> RunsAddress:
        """See :meth:`~.base.Address.parse`."""
        found = re.fullmatch(r"runs:/([A-Za-z0-9][\w.-]{0,255})(?:/(.*))?", text, re.IGNORECASE | re.ASCII)
        if not found:
            raise UsageError("this is not an address in an MLflow run", source=text, allowed=cls.form)
        return cls(found[1], clean_path(found[2] or "", text))

    def locate(self, order: Order) -> tuple[Located, ...]:
        """See :meth:`~.base.Address.locate`."""
        server = TrackingServer.of(order.context, order.limits)
        shown = f"runs:/{self.run_id}"
        run = server.ask(lambda: server.client.get_run(self.run_id), shown)
        folder = ArtifactFolder(run.info.artifact_uri, "", server, shown)
        name, _, inside = self.path.partition("/")
        if name and all(entry.name != name for entry in folder.entries("")):
            model = _logged_model(server, run.info.experiment_id, self.run_id, name)
            if model is not None:
                below = ArtifactFolder(model.artifact_location, "", server, f"{shown}/{name}")
                return located_in(below, inside, {}, self.run_id)
        return located_in(folder, self.path, run.data.tags, self.run_id)


def _logged_model(server: TrackingServer, experiment_id: str, run_id: str, name: str) -> Any | None:
    """Return the model that a run logged under a name, or None: MLflow 3 keeps it apart from the run's artifacts."""
    quoted = name.replace("'", "")
    try:
        found = server.ask(
            lambda: server.client.search_logged_models([experiment_id], filter_string=f"name = '{quoted}'"),
            f"runs:/{run_id}/{name}",
            missing=list,  # Azure ML has none, older servers neither
        )
    except GaitwayError:
        return None
    return next((model for model in found if model.source_run_id == run_id), None)


def located_in(
    folder: ArtifactFolder, path: str, tags: Mapping[str, str], run_id: str | None, note: str = ""
) -> tuple[Located, ...]:
    """Return the files that a path in an artifact folder stands for, the newest first.

    Args:
        folder: The folder.
        path: A file or folder below it.
        tags: Tags of the run (or model version), which may hold hashes.
        run_id: MLflow run that made the files.
        note: Note that replaces the one on the choice.
    """
    choice = folder.choose(path)
    known = KnownHashes(folder, tags)
    return tuple(
        Located(
            resolved_uri=folder.address_of(found),
            name=found,
            source=folder.source(found),
            sha256=known.of(found) or _sidecar(folder, found),
            run_id=run_id,
            note=note or choice.note,
            config=functools.partial(run_config, folder, found),
        )
        for found in choice.paths[:MOST_CANDIDATES]
    )


def run_config(folder: ArtifactFolder, checkpoint: str) -> Mapping[str, Source]:
    """Return the training configuration that a run keeps for one of its checkpoints, by file name.

    It stands in ``params/`` beside the checkpoint, beside the folder of checkpoints or at the top of the run, or
    directly beside the checkpoint.
    """
    beside = PurePosixPath(checkpoint).parent
    places = (beside / "params", beside.parent / "params", beside.parent.parent / "params", "params", beside)
    found: dict[str, Source] = {}
    for place in dict.fromkeys(str(place).removeprefix(".") for place in places):
        for entry in folder.entries(place):
            if entry.name in CONFIG_FILES and entry.name not in found and not entry.is_dir:
                found[entry.name] = folder.source(entry.path)
    return found


def _sidecar(folder: ArtifactFolder, path: str) -> str | None:
    """Return the hash in a sidecar beside a checkpoint, or None."""
    sidecar = f"{path}{SUFFIX}"
    if all(entry.path != sidecar for entry in folder.entries(path.rpartition("/")[0])):
        return None
    return hash_from(folder.source(sidecar))
