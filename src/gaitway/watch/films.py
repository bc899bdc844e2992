"""Films of a run: those in its folder, and the newest one of a run elsewhere, brought from its MLflow run."""

from __future__ import annotations

import time
from pathlib import Path

from gaitway_runtime.spec.job_document import from_document

from ..curves import find_mlflow_run
from ..errors import GaitwayError
from ..ledger import read_document
from ..run_handle import Run

FOLDERS = ("videos/training", "videos/onnx_play", "videos/jit_play")
"""Folders of the outputs that may hold films, the first one that does counts."""
LARGEST = 64 << 20
"""Size of a film above which it stays where it is [bytes]."""
LOOK_EVERY_S = 30.0
"""Pause between two looks for a newer film of one run [s]."""

_next_looks: dict[Path, float] = {}
"""When to look again, by the run's folder."""


def films_of(outputs: Path) -> list[str]:
    """Return the films of a run, the newest last; one that is still being written is left out."""
    found = [path for path in outputs.glob("videos/**/*.mp4") if ".partial" not in path.suffixes]
    return [path.relative_to(outputs).as_posix() for path in sorted(found, key=_age)]


def fetch_newest_film(run: Run, mlflow_run_id: str | None = None) -> str:
    """Bring the newest film of a run elsewhere into its folder; return why that is not possible, else nothing.

    Args:
        run: The run.
        mlflow_run_id: MLflow's id of it, where it is known.
    """
    if not run.platform.limits.remote or time.monotonic() < _next_looks.get(run.run_dir, 0.0):
        return ""
    _next_looks[run.run_dir] = time.monotonic() + LOOK_EVERY_S
    run_id, why = (mlflow_run_id, "") if mlflow_run_id else find_mlflow_run(run)
    if run_id is None:
        return why
    try:
        _fetch(run, run_id)
    except GaitwayError as error:
        return f"its films cannot be read: {error.message}"
    return ""


def _fetch(run: Run, run_id: str) -> None:
    from gaitway_runtime.stores.artifacts import ArtifactFolder
    from gaitway_runtime.stores.streams import StreamLimits
    from gaitway_runtime.stores.tracking_server import TrackingServer
    from gaitway_runtime.stores.transfer import transfer

    context = from_document(read_document(run.run_dir, "job.json") or {}, "job.json")[1]
    server, shown = TrackingServer.of(context, StreamLimits(attempts=1)), f"runs:/{run_id}"
    root = server.ask(lambda: server.client.get_run(run_id), shown).info.artifact_uri
    artifacts = ArtifactFolder(root, "", server, shown)
    for folder in FOLDERS:
        films = [entry for entry in artifacts.entries(folder) if not entry.is_dir and entry.path.endswith(".mp4")]
        newest = max(films, key=lambda entry: entry.path, default=None)
        if newest is None:
            continue
        target = run.run_dir / "outputs" / newest.path
        if not target.exists() and (newest.size or 0) <= LARGEST:
            transfer(artifacts.source(newest.path), target, server.limits, f"{shown}/{newest.path}")
        return


def _age(path: Path) -> tuple[float, str]:
    try:
        return path.stat().st_mtime, path.name
    except OSError:  # it has been replaced meanwhile
        return 0.0, path.name
