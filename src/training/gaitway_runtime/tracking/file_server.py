"""MLflow server beside a job that tracks into files: it shows them while the job runs.

A program of its own, started by the container's entry point in a session of its own, which ends with it: where a
platform starts the command of a container again, it kills that alone. It listens on loopback, where a platform's
port-forward leads. What it shows is made from the files in the output folder and begins anew with each attempt, so
nothing of it is kept and nothing rests on it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from ..spec.files import METRICS_FILE
from ..spec.registry import ForeignError, call_foreign
from ..spec.types import JsonObject, object_at
from ..stores.mlflow_client import open_client
from ..stores.tracking_server import ensure_store
from .file_tracker import RUN_FILE

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

HOST = "127.0.0.1"
LOOK_EVERY_S = 2.0
"""Pause between two looks at the files [s]."""

GIVE_WAY = 10
"""Steps of niceness: the training comes first."""

BATCH = 1000
"""Values in one request: MLflow takes no more."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until the process is ended; return an exit code where the server cannot be started or ends."""
    parser = argparse.ArgumentParser(prog="gaitway_runtime.tracking.file_server")
    parser.add_argument("--outputs", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args(arguments)
    os.nice(GIVE_WAY)
    with tempfile.TemporaryDirectory(prefix="gaitway-tracking-") as folder:
        packages = _server_packages(Path(folder))
        if packages is None:
            return 1
        # Where the server is the container's own, its store is too: made from a template that is kept.
        store = ensure_store(Path(folder)) if packages == Path(folder) else f"sqlite:///{folder}/mlflow.db"
        command = server_command(store, Path(folder), options.port)
        server = subprocess.Popen(command, env=_environment(packages), stdout=subprocess.DEVNULL)
        files = ShownFiles(options.outputs, open_client(f"http://{HOST}:{options.port}"))
        said, parent = False, os.getppid()
        while server.poll() is None:
            if os.getppid() != parent:
                os.killpg(0, signal.SIGKILL)
            time.sleep(LOOK_EVERY_S)
            try:
                shown = call_foreign(files.show)
            except ForeignError:
                continue  # the server is not up yet, or busy; the next look sends what is left
            if shown and not said:
                print(f"container: an MLflow server of this job listens on its port {options.port}", flush=True)
                said = True
    print(f"container: the MLflow server of this job has ended (exit code {server.returncode})", file=sys.stderr)
    return 1


def server_command(store: str, folder: Path, port: int) -> list[str]:
    """Return the command of a server with a store, whose artifacts, of which there are none, would go to a folder."""
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    places = ["--backend-store-uri", store, "--artifacts-destination", str(folder / "served")]
    return [*command, *places, "--uvicorn-opts", "--log-level warning"]


@dataclass
class ShownFiles:
    """The files of a job's run, sent to an MLflow server as they grow.

    Args:
        outputs: The job's output folder.
        client: MLflow's client of the server.
    """

    outputs: Path
    client: MlflowClient
    _run_id: str = ""
    _read: int = 0
    """Bytes of the metrics file that have been sent."""
    _last: bytes = b""
    """The line before those that have not."""
    _sent: dict[str, str] = field(default_factory=dict)
    """Parameters and tags that have been sent."""

    def show(self) -> bool:
        """Send what is new; return whether there is a run to be seen. Raises what MLflow raises."""
        try:
            document: JsonObject = json.loads((self.outputs / RUN_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        lines = self._fresh_lines()
        if not self._run_id:
            self._run_id = self._create(document)
        self._send_texts(document)
        values = itertools.chain.from_iterable(map(_values, lines))
        while batch := list(itertools.islice(values, BATCH)):
            self.client.log_batch(self._run_id, metrics=batch, synchronous=True)
        if lines:
            self._read, self._last = self._read + sum(map(len, lines)), lines[-1]
        return True

    def _fresh_lines(self) -> list[bytes]:
        """Return the whole lines of metrics that have not been sent.

        A training that continues drops the steps beyond its checkpoint: what was sent is then sent anew.
        """
        try:
            content = (self.outputs / METRICS_FILE).read_bytes()
        except OSError:
            return []
        if not content[: self._read].endswith(self._last):
            self.client.delete_run(self._run_id)
            self._run_id, self._read, self._last, self._sent = "", 0, b"", {}
        return [line for line in content[self._read :].splitlines(keepends=True) if line.endswith(b"\n")]

    def _create(self, document: JsonObject) -> str:
        name = str(document["experiment"])
        found = self.client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self.client.create_experiment(name)
        return str(self.client.create_run(experiment, run_name=str(document["run"])).info.run_id)

    def _send_texts(self, document: JsonObject) -> None:
        own = {"gaitway.run": document["run"], "gaitway.run_id": document["run_id"], "task": document["task"]}
        for key, value in _texts({**own, **object_at(document, "tags")}).items():
            if self._sent.get(f"tag {key}") != value:
                self.client.set_tag(self._run_id, key, value)
                self._sent[f"tag {key}"] = value
        for key, value in _texts(object_at(document, "params")).items():
            if f"param {key}" not in self._sent:
                self.client.log_param(self._run_id, key, value)
                self._sent[f"param {key}"] = value


def _texts(values: Mapping[str, object]) -> dict[str, str]:
    return {key: str(value)[:500] for key, value in values.items() if str(value)}


def _values(line: bytes) -> Iterator[Metric]:
    from mlflow.entities import Metric

    try:
        found = json.loads(line)
    except ValueError:
        return  # cut off when its attempt was
    for name, value in found["metrics"].items():
        yield Metric(name, math.nan if value is None else value, int(found["time"] * 1000), found["step"])


def _server_packages(folder: Path) -> Path | None:
    """Return the folder with MLflow's server, installed beside the container's own packages where it has none.

    Returns:
        ``folder`` itself, empty, where the container has the server; None where it cannot be had.
    """
    try:
        metadata.version("mlflow")
        return folder
    except metadata.PackageNotFoundError:
        pass
    if os.environ.get("GAITWAY_REQUIREMENTS") == "skip":
        print("container: this image has no MLflow server, and installs nothing", file=sys.stderr, flush=True)
        return None
    target = folder / "packages"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    wanted = f"mlflow=={metadata.version('mlflow-skinny')}"
    if subprocess.run([*pip, "--target", str(target), wanted], check=False).returncode != 0:
        print("container: MLflow's server cannot be installed; the job goes on", file=sys.stderr, flush=True)
        return None
    return target


def _environment(packages: Path) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(packages), os.environ.get("PYTHONPATH", "")]))
    # Without the server's own job queue, whose processes nothing here talks to.
    return {**os.environ, "PYTHONPATH": path, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


if __name__ == "__main__":
    sys.exit(main())
