"""An HTTP server on loopback that misbehaves as told."""

from __future__ import annotations

import re
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Behaviour = Callable[["Answer"], None]


@dataclass
class Answer:
    """One request under way; a behaviour answers it as it likes."""

    handler: BaseHTTPRequestHandler
    content: bytes
    etag: str
    sent: bool = False

    def send(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        self.sent = True
        self.handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.handler.send_header(name, value)
        self.handler.end_headers()
        self.handler.wfile.write(body)

    def send_file(self, *, cut_after: int | None = None, etag: str | None = None, pace: float = 0.0) -> None:
        """Answer well, range and all, but for what the arguments say."""
        offset, status = 0, 200
        asked = re.fullmatch(r"bytes=(\d+)-", self.handler.headers.get("Range", ""))
        if asked:
            offset, status = int(asked[1]), 206
        body = self.content[offset:]
        headers = {"Content-Length": str(len(body)), "ETag": etag or self.etag}
        if status == 206:
            headers["Content-Range"] = f"bytes {offset}-{len(self.content) - 1}/{len(self.content)}"
        self.send(status, headers)
        if pace:
            for byte in body:
                self.handler.wfile.write(bytes([byte]))
                time.sleep(pace)
        else:
            self.handler.wfile.write(body[:cut_after])
        if cut_after is not None:
            self.handler.close_connection = True
            self.handler.connection.close()


def status(code: int, headers: Mapping[str, str] | None = None) -> Behaviour:
    return lambda answer: answer.send(code, headers or {})


def cut(after: int) -> Behaviour:
    return lambda answer: answer.send_file(cut_after=after)


def reset(answer: Answer) -> None:
    """Hang up without a word."""
    answer.sent = True
    answer.handler.close_connection = True
    answer.handler.connection.close()


def trickle(pace: float) -> Behaviour:
    return lambda answer: answer.send_file(pace=pace)


def redirect(location: str, code: int = 302) -> Behaviour:
    return status(code, {"Location": location})


def claim_length(length: int) -> Behaviour:
    """Announce a body of some length, and send ten bytes of it."""

    def behaviour(answer: Answer) -> None:
        answer.handler.close_connection = True
        answer.send(200, {"Content-Length": str(length)}, b"0123456789")

    return behaviour


@dataclass
class Request:
    path: str
    headers: Mapping[str, str]
    time: float


@dataclass
class HttpServer:
    """The server.

    ``files`` are what it has, by path; ``plans`` are behaviours, by path, used up one a request; after them a path is
    answered well.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    plans: dict[str, deque[Behaviour]] = field(default_factory=lambda: defaultdict(deque))
    requests: list[Request] = field(default_factory=list)
    url: str = ""

    def plan(self, path: str, *behaviours: Behaviour) -> str:
        self.plans[path].extend(behaviours)
        return self.url + path

    def serve(self, path: str, content: bytes, *behaviours: Behaviour) -> str:
        self.files[path] = content
        return self.plan(path, *behaviours)

    def asked(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path.partition("?")[0] == path]


@contextmanager
def running() -> Iterator[HttpServer]:
    state = HttpServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            state.requests.append(Request(self.path, dict(self.headers), time.monotonic()))
            path = self.path.partition("?")[0]
            content = state.files.get(path)
            answer = Answer(self, content or b"", state.etags.get(path, '"one"'))
            if state.plans[path]:
                state.plans[path].popleft()(answer)
            elif content is None:
                answer.send(404, {})
            else:
                answer.send_file()

        def log_message(self, format: str, *args: object) -> None:
            pass

        def handle(self) -> None:
            try:
                super().handle()
            except (OSError, ValueError):
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
