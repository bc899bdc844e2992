"""A reverse proxy before a tracking server that answers in the server's place, as ingresses and broken servers do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

HTML = b"<html><body>nginx</body></html>"
JSON_OF_A_GATEWAY = b'{"message": "no healthy upstream"}'


class Handler(BaseHTTPRequestHandler):
    """Answers by the fault that is on, or forwards."""

    protocol_version = "HTTP/1.1"
    server: Any
    body: bytes

    def answer(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault: Fault | None = self.server.fault
        if fault is not None and fault(self):
            return
        found = self.forward()
        self.send(found.status_code, found.content, found.headers.get("content-type", "application/json"))

    def forward(self) -> httpx.Response:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        answer: httpx.Response = self.server.http.request(self.command, self.path, content=self.body, headers=headers)
        return answer

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - the names of http.server

    def send(self, status: int, body: bytes, kind: str = "text/html") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


Fault = Callable[[Handler], bool]
"""Handles a request and returns True, or lets it pass."""


def answering(status: int, body: bytes = HTML, kind: str = "text/html", *, only: str = "") -> Fault:
    """Return a fault that answers in the server's place, to requests of a method or to all."""

    def fault(handler: Handler) -> bool:
        if only and handler.command != only:
            return False
        handler.send(status, body, kind)
        return True

    return fault


def hanging_up(handler: Handler) -> bool:
    handler.close_connection = True
    handler.connection.close()
    return True


def losing_the_answer(handler: Handler) -> bool:
    """Let the server do what it is asked, and hang up instead of its answer."""
    handler.forward()
    return hanging_up(handler)


def slow(handler: Handler) -> bool:
    time.sleep(0.05)
    return False


FAULTS: dict[str, Fault] = {
    "hangs up": hanging_up,
    "loses answers": losing_the_answer,
    "401": answering(401),
    "403": answering(403),
    "404 page": answering(404),
    "404 json": answering(404, JSON_OF_A_GATEWAY, "application/json"),
    "413 for uploads": answering(413, only="PUT"),
    "429": answering(429),
    "500": answering(500),
    "502 page": answering(502),
    "200 page": answering(200),
    "slow": slow,
}
"""What stands between a run and its server now and then, by name."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    fault: Fault | None = None
    http: httpx.Client


class FaultyServer:
    """The proxy."""

    def __init__(self, upstream: str) -> None:
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.http = httpx.Client(base_url=upstream, timeout=60, trust_env=False)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def set_fault(self, fault: Fault | None) -> None:
        self._server.fault = fault

    def refuse(self) -> None:
        """Refuse connections, as if no process were there."""
        self._server.shutdown()
        self._server.server_close()

    def listen(self) -> None:
        """Take connections again, at the same port."""
        before = self._server
        self._server = _Server(before.server_address, Handler)
        self._server.fault, self._server.http = None, before.http
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def before(upstream: str) -> Iterator[FaultyServer]:
    server = FaultyServer(upstream)
    try:
        yield server
    finally:
        server.close()
