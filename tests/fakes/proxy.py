"""What lies between a client and a server: a CONNECT proxy that cuts lines on order, and a line that can go down."""

from __future__ import annotations

import select
import socket
import socketserver
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from .processes import free_port


@dataclass
class Proxy:
    """The proxy: ``routes`` maps a host's ending to a local port; ``cuts`` are bytes after which to hang up."""

    routes: dict[str, int] = field(default_factory=dict)
    cuts: deque[int] = field(default_factory=deque)
    connected: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    url: str = ""

    def port_for(self, host: str) -> int | None:
        return next((port for ending, port in self.routes.items() if host.endswith(ending)), None)


@contextmanager
def running(routes: dict[str, int]) -> Iterator[Proxy]:
    state = Proxy(routes=routes)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            host = self.rfile.readline().decode().split(" ")[1].partition(":")[0]
            while self.rfile.readline().strip():
                pass
            port = state.port_for(host)
            if port is None:
                state.refused.append(host)
                self.wfile.write(b"HTTP/1.1 502 unknown host\r\n\r\n")
                return
            state.connected.append(host)
            self.wfile.write(b"HTTP/1.1 200 connected\r\n\r\n")
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as upstream:
                _pump(self.connection, upstream, state.cuts.popleft() if state.cuts else None)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


def _pump(client: socket.socket, upstream: socket.socket, cut_after: int | None) -> None:
    passed = 0
    while True:
        ready, _, _ = select.select([client, upstream], [], [], 60)
        for side in ready:
            data = side.recv(1 << 16)
            other = upstream if side is client else client
            if side is upstream:
                passed += len(data)
            if not data or (cut_after is not None and passed > cut_after):
                return
            other.sendall(data)
        if not ready:
            return


class Line:
    """A port of its own that leads to another one, while the line is up."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: socketserver.ThreadingTCPServer | None = None
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._open: list[socket.socket] = []

    def up(self) -> None:
        target, connections = self._target, self._open

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                connections.append(self.request)
                with suppress(OSError), socket.create_connection(("127.0.0.1", target)) as upstream:
                    _pump(self.request, upstream, None)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def down(self) -> None:
        """Refuse new connections and hang up the ones there are."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._open.clear()
