"""Identities of jobs: the endpoints inside a container that hand out tokens."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .tokens import token

ASSIGNED = "00000000-0000-0000-0000-0000000000c1"
"""Client id of the compute's user-assigned identity; it has no system-assigned one."""
SECRET = "a secret of the node"


class Identities:
    """What the endpoints have been asked."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: list[tuple[str, str]] = []
        """Kind of identity (``managed`` or ``user``) and client id of each request."""

    def environment(self, kind: str) -> dict[str, str]:
        """Return the variables of a job's container.

        Azure ML names the user-assigned identity of a compute in DEFAULT_IDENTITY_CLIENT_ID (azure-sdk-for-python
        issue 31071) and serves the submitter's at OBO_ENDPOINT (issue 30427).
        """
        base = f"http://127.0.0.1:{self.port}"
        if kind == "UserIdentity":
            return {"OBO_ENDPOINT": f"{base}/obo/token"}
        if kind == "Managed":
            return {
                "MSI_ENDPOINT": f"{base}/msi/token",
                "MSI_SECRET": SECRET,
                "DEFAULT_IDENTITY_CLIENT_ID": ASSIGNED,
            }
        return {}

    def answer(self, path: str, query: dict[str, str], secret: str) -> tuple[int, dict[str, Any]]:
        resource = query.get("resource", "")
        if path == "/obo/token":
            self.asked.append(("user", ""))
            return 200, _granted(resource, "submitter")
        if path != "/msi/token" or secret != SECRET:
            return 401, {"error": "unauthorized", "error_description": "no such endpoint"}
        client = query.get("clientid") or query.get("client_id") or ""
        self.asked.append(("managed", client))
        if client != ASSIGNED:
            said = "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId."
            return 400, {"error": "invalid_request", "error_description": said}
        return 200, _granted(resource, client)


def _granted(resource: str, client: str) -> dict[str, Any]:
    return {
        "access_token": token(resource, client=client),
        "expires_on": "4102444800",
        "expires_in": "86400",
        "resource": resource,
        "token_type": "Bearer",
        "client_id": client,
    }


@contextmanager
def running() -> Iterator[Identities]:
    identities = Identities()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            status, body = identities.answer(parts.path, query, self.headers.get("secret", ""))
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    identities.port = httpd.server_port
    threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield identities
    finally:
        httpd.shutdown()
        httpd.server_close()
