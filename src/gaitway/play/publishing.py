"""Publication of a drive page beside a run's other artifacts, where MLflow shows it."""

from __future__ import annotations

import shutil
from pathlib import Path

from gaitway_runtime.spec.files import RUN_NOTE, replacing
from gaitway_runtime.spec.job_document import from_document

from ..errors import GaitwayError
from ..ledger import read_document
from ..run_handle import Run


def publish_page(run: Run, page: Path, mlflow_run_id: str | None) -> str:
    """Put a page among the artifacts of the MLflow run of a run; return why that is not possible, else nothing.

    Args:
        run: The run.
        page: The file.
        mlflow_run_id: MLflow's id of the run; None where it has none.
    """
    document = read_document(run.run_dir, "job.json")
    if mlflow_run_id is None or document is None:
        return ""
    folder = _artifacts_here(run, mlflow_run_id)
    if folder is not None:
        return _copy(page, folder)
    from gaitway_runtime.stores.artifacts import ArtifactFolder
    from gaitway_runtime.stores.mlflow_client import StoreFailure
    from gaitway_runtime.stores.streams import StreamLimits
    from gaitway_runtime.stores.tracking_server import TrackingServer

    shown = f"runs:/{mlflow_run_id}"
    try:
        server = TrackingServer.of(from_document(document, "job.json")[1], StreamLimits(attempts=2))
        found = server.ask(lambda: server.client.get_run(mlflow_run_id), shown)
        ArtifactFolder(found.info.artifact_uri, "", server, shown).publish(page, "", "later")
    except GaitwayError as error:
        return error.message
    except StoreFailure as failure:
        return str(failure)
    return ""


def _artifacts_here(run: Run, mlflow_run_id: str) -> Path | None:
    """Return the artifact folder of a run's MLflow run where it is one of this machine: no client is needed for it."""
    note = read_document(run.run_dir / "outputs", RUN_NOTE) or {}
    folder = note.get("artifacts") if note.get("run_id") == mlflow_run_id else None
    return Path(folder) if isinstance(folder, str) and Path(folder).is_dir() else None


def _copy(page: Path, folder: Path) -> str:
    """Copy a page into a folder; return why that is not possible, else nothing."""
    try:
        with replacing(folder / page.name) as partial:
            shutil.copyfile(page, partial)
    except OSError as error:
        return f"{folder}: {error.strerror}"
    return ""
