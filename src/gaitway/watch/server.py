"""Server of the training page: on loopback alone, for one run."""

from __future__ import annotations

import json
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ..errors import GaitwayError, unusable_port
from ..run_handle import Run
from .data import TrainingData, read_training
from .page import training_page

HOST = "127.0.0.1"
SPARING = 19.0
"""Time after a look at the run without another, in times of the processor time that the look took."""
LONGEST_PAUSE_S = 20.0
"""Longest time after a look without another [s]: what a page shows must not be older."""
TOKEN_HEADER = "X-Gaitway-Token"


class TrainingServer(ThreadingHTTPServer):
    """Serves one run's page, data and films, and stops the run when it is asked to with the page's token.

    Args:
        run: The run.
        port: Where to listen; 0 for any free port.

    Raises:
        UsageError: The port cannot be used.
    """

    daemon_threads = True

    def __init__(self, run: Run, port: int) -> None:
        self.run = run
        self.token = secrets.token_urlsafe(24)
        self.cancelling: threading.Thread | None = None
        self._reading = threading.Lock()
        self._read: tuple[float, TrainingData] | None = None
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise unusable_port(port, error) from None

    @property
    def address(self) -> str:
        """Address of the page."""
        return f"http://{HOST}:{self.server_address[1]}/"

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names by which a browser may ask: another name points here by a trick (DNS rebinding)."""
        port = self.server_address[1]
        return (f"{HOST}:{port}", f"localhost:{port}")

    def data(self) -> TrainingData:
        """Return what is known of the run: as often as asked, but for about a twentieth of a processor's time at most.

        Reading takes longer the longer a run is, and may take the time of the very processors that train. The first
        look imports what later ones have, and is not counted.
        """
        with self._reading:
            if self._read is None or time.monotonic() >= self._read[0]:
                first, began = self._read is None, time.thread_time()
                found = read_training(self.run)
                pause = 0.0 if first else min(SPARING * (time.thread_time() - began), LONGEST_PAUSE_S)
                self._read = (time.monotonic() + pause, found)
            return self._read[1]

    def stop_run(self) -> None:
        """Ask the run to save and stop, once."""
        if self.cancelling is None:
            self.cancelling = threading.Thread(target=self.run.cancel, daemon=True)
            self.cancelling.start()


class _Handler(BaseHTTPRequestHandler):
    server: TrainingServer

    def do_GET(self) -> None:
        if self.headers.get("Host") not in self.server.hosts:
            self.send_error(403)
        elif self.path == "/":
            self._answer(training_page(self.server.data(), self.server.token), "text/html; charset=utf-8")
        elif self.path == "/data.json":
            self._answer(json.dumps(self._data()), "application/json")
        elif self.path.startswith("/outputs/"):
            self._send_film(self.path.removeprefix("/outputs/"))
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        allowed = secrets.compare_digest(self.headers.get(TOKEN_HEADER, ""), self.server.token)
        if self.headers.get("Host") not in self.server.hosts or not allowed:
            self.send_error(403)
        elif self.path == "/stop":
            self.server.stop_run()
            self._answer("{}", "application/json")
        else:
            self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the terminal is the user's."""

    def _data(self) -> object:
        try:
            return self.server.data()
        except GaitwayError as error:
            return {"note": error.message}

    def _answer(self, text: str, kind: str) -> None:
        content = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def _send_film(self, name: str) -> None:
        outputs = (self.server.run.run_dir / "outputs").resolve()
        path = Path(outputs, name).resolve()
        if path.suffix != ".mp4" or outputs not in path.parents or not path.is_file():
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "video/mp4")
        self.send_header("Content-Length", str(path.stat().st_size))
        self.end_headers()
        with path.open("rb") as film:
            shutil.copyfileobj(film, self.wfile)


@contextmanager
def serving(run: Run, port: int = 0) -> Iterator[TrainingServer]:
    """Serve a run's page beside what the caller does; see :class:`TrainingServer`."""
    with TrainingServer(run, port) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
