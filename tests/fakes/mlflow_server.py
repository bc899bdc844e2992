"""A real ``mlflow server`` on loopback, with a store from the template and artifacts served by it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .processes import free_port, wait_until_up


@dataclass
class MlflowServer:
    """The server."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        from gaitway_runtime.stores.tracking_server import ensure_store

        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--backend-store-uri", ensure_store(self.folder), "--workers", "1"]
        command += ["--artifacts-destination", str(self.folder / "served")]
        with (self.folder / "server.log").open("w") as log:
            # without the server's own job queue, whose eight processes nothing here talks to
            environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
            self.process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
            )
        wait_until_up(f"{self.url}/health", self.process, self.folder / "server.log")

    def kill(self) -> None:
        """End the server and its workers as a machine that runs out of memory does."""
        assert self.process
        os.killpg(self.process.pid, 9)
        self.process.wait(20)

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, 15)
            self.process.wait(20)


@contextmanager
def running(folder: Path) -> Iterator[MlflowServer]:
    server = MlflowServer(folder, free_port())
    try:
        server.start()
        yield server
    finally:
        server.stop()
