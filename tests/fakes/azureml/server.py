"""Azure's endpoints: Resource Manager, run history, MLflow's REST interface, sign-in. One TLS server for all hosts."""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from .cluster import ENDED, Cluster
from .computes import usages, vm_sizes
from .refusals import Refused
from .tokens import audience, token
from .tracking import Tracking
from .workspace import HISTORY_HOST, Workspace

MANAGEMENT = "https://management.azure.com"
PAGE = 5
"""Entries of one page of artifacts."""


@dataclass
class Fault:
    """What to do with requests whose ``METHOD path`` matches: refuse, some times, perhaps after a while."""

    pattern: str
    status: int = 0
    code: str = "Fault"
    message: str = "as asked"
    times: int = 1
    after: float = 0.0
    done: bool = False
    """Whether what was asked is done all the same: the answer is lost on its way."""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Call:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    text: str
    """The query as it came."""
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        return dict(json.loads(self.body)) if self.body else {}


Answer = tuple[int, Any, dict[str, str]]


class Endpoints:
    """Routes requests to what they are about."""

    def __init__(self, workspace: Workspace, cluster: Cluster, tracking: Tracking) -> None:
        self.workspace, self.cluster, self.tracking = workspace, cluster, tracking
        self.seen: list[str] = []
        self.faults: list[Fault] = []
        self.login = True
        self.port = 0

    def answer(self, host: str, call: Call, bearer: str) -> Answer:
        self.seen.append(f"{call.method} {call.path}")
        lost = self._misbehave(call)
        answer = self._answer(host, call, bearer)
        if lost:
            raise lost
        return answer

    def _answer(self, host: str, call: Call, bearer: str) -> Answer:
        if host.startswith("login."):
            return self._sign_in(call)
        if call.path == "/metadata/endpoints":
            return 200, [], {}
        if not bearer:
            raise Refused(401, "AuthenticationFailed", "The access token is missing.")
        if host.startswith("management.") and audience(bearer) != MANAGEMENT:
            said = f"The access token has been obtained for wrong audience or resource '{audience(bearer)}'."
            raise Refused(401, "InvalidAuthenticationTokenAudience", said)
        if (place := self.workspace.location(call.path)) is not None:
            return 200, self._place(place), {}
        mlflow = re.fullmatch(r"/mlflow/v\d\.0(/subscriptions/.*?)(/api/.*)", call.path)
        if mlflow:
            self.workspace.below(mlflow[1])
            status, body = self.tracking.forward(call.method, mlflow[2], call.text, call.body)
            return status, body, {}
        if call.path.startswith("/history/v1.0"):
            return 200, self._history(self.workspace.below(call.path.removeprefix("/history/v1.0")), call), {}
        return self._manage(self.workspace.below(call.path), call)

    def _place(self, path: str) -> Any:
        """Return what a location of the subscription says."""
        if path == "/vmSizes":
            return vm_sizes()
        if path == "/usages":
            return usages(self.workspace.cores)
        raise Refused(404, "UserError", f"no such thing in a location: {path}")

    def _misbehave(self, call: Call) -> Refused | None:
        """Refuse a request, or return with what its answer is to be replaced."""
        for fault in self.faults:
            if fault.times > 0 and re.search(fault.pattern, f"{call.method} {call.path}"):
                fault.times -= 1
                time.sleep(fault.after)
                refused = Refused(fault.status, fault.code, fault.message, fault.headers)
                if fault.done:
                    return refused
                if fault.status:
                    raise refused
        return None

    def _sign_in(self, call: Call) -> Answer:
        if call.path.endswith("/token"):
            if not self.login:
                said = {"error": "invalid_client", "error_description": "AADSTS7000222: The client secret has expired."}
                return 401, said, {}
            scope = parse_qs(call.body.decode()).get("scope", [""])[0].replace("/.default", "")
            return 200, {"token_type": "Bearer", "expires_in": 3600, "access_token": token(scope)}, {}
        if call.path.endswith("/discovery/instance"):
            return 200, {"metadata": []}, {}
        base = f"https://login.microsoftonline.com{call.path.split('/v2.0')[0]}"
        return (
            200,
            {
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "issuer": f"{base}/v2.0",
            },
            {},
        )

    def _history(self, path: str, call: Call) -> Any:
        found = re.fullmatch(r"/runs/([^/]+)/details", path)
        if found:
            return self.cluster.details(self.cluster.find(found[1]))
        found = re.fullmatch(r"/runs/([^/]+)/children", path)
        if found:
            children = self.cluster.children(self.cluster.find(found[1]))
            value = [{"runId": job.name, "displayName": job.properties.get("displayName")} for job in children]
            return {"value": value}
        found = re.fullmatch(r"/experiments/[^/]+/runs/([^/]+)/artifacts(/.*)?", path)
        if not found:
            raise Refused(404, "UserError", f"no such history: {path}")
        run, rest = found[1], found[2] or ""
        if rest == "":
            paths = self.tracking.artifacts.paths(run)
            start = int(call.query.get("continuationToken", "0"))
            value = [self.tracking.artifacts.describe(run, path) for path in paths[start : start + PAGE]]
            following = f"https://{HISTORY_HOST}{call.path}?continuationToken={start + PAGE}"
            return {"value": value, "nextLink": following if len(paths) > start + PAGE else None}
        if rest == "/contentinfo":
            if call.query["path"] not in self.tracking.artifacts.paths(run):
                raise Refused(404, "UserError", f"no such artifact: {call.query['path']}")
            return self.tracking.artifacts.content_info(run, call.query["path"])
        if rest == "/batch/metadata":
            return self.tracking.artifacts.create(run, [item["path"] for item in call.document["paths"]])
        raise Refused(404, "UserError", f"no such history: {path}")

    def _manage(self, path: str, call: Call) -> Answer:
        for method, pattern, action in self._routes():
            found = re.fullmatch(pattern, path)
            if found and method == call.method:
                answer = action(call, *map(unquote, found.groups()))
                return answer if isinstance(answer, tuple) else (200, answer, {})
        raise Refused(404, "UserError", f"nothing answers {call.method} {path}")

    def _routes(self) -> list[tuple[str, str, Callable[..., Any]]]:
        at, jobs = self.workspace, self.cluster
        asset = r"/([^/]+)/versions/([^/]+)"
        return [
            ("GET", "", lambda call: at.describe()),
            ("GET", "/computes", lambda call: {"value": [at.compute(name) for name in at.computes]}),
            ("GET", "/computes/([^/]+)", lambda call, name: at.compute(name)),
            ("GET", f"/environments{asset}", lambda call, name, version: at.environment(name, version)),
            (
                "PUT",
                f"/environments{asset}",
                lambda call, name, version: at.environment(name, version, call.document),
            ),
            ("GET", f"/components{asset}", lambda call, name, version: at.component_version(name, version)),
            (
                "PUT",
                f"/components{asset}",
                lambda call, name, version: at.component_version(name, version, call.document),
            ),
            ("GET", "/codes/[^/]+/versions", lambda call: {"value": at.codes_with(call.query.get("hash", ""))}),
            ("GET", f"/codes{asset}", lambda call, name, version: at.code(name, version)),
            ("PUT", f"/codes{asset}", lambda call, name, version: at.code(name, version, call.document)),
            (
                "POST",
                f"/codes{asset}/startPendingUpload",
                lambda call, name, version: at.pending_upload(name, version),
            ),
            ("GET", "/models", lambda call: {"value": []}),
            ("GET", "/models/([^/]+)", lambda call, name: at.model(name)),
            (
                "PUT",
                f"/models{asset}",
                lambda call, name, version: at.register_model(name, version, call.document),
            ),
            ("GET", "/models/([^/]+)/versions", lambda call, name: {"value": at.model_versions(name)}),
            ("GET", f"/models{asset}", lambda call, name, version: at.model_version(name, version)),
            ("GET", "/datastores/([^/]+)", lambda call, name: at.datastore(name)),
            ("GET", "/jobs", lambda call: self._jobs(call)),
            ("GET", "/jobs/([^/]+)", lambda call, name: jobs.describe(jobs.find(name))),
            ("PUT", "/jobs/([^/]+)", lambda call, name: jobs.create(name, call.document)),
            ("POST", "/jobs/([^/]+)/cancel", self._cancel),
            ("GET", "/mfeOperationResults/jc:(.*)", self._cancelled),
        ]

    def _jobs(self, call: Call) -> dict[str, Any]:
        found = [self.cluster.describe(job) for job in self.cluster.listed()]
        start = int(call.query.get("$skip", "0"))
        following = f"{MANAGEMENT}{self.workspace.scope}/jobs?$skip={start + PAGE}&api-version=2024-04-01"
        return {"value": found[start : start + PAGE], "nextLink": following if len(found) > start + PAGE else None}

    def _cancel(self, call: Call, name: str) -> Answer:
        job = self.cluster.find(name)
        threading.Thread(target=self.cluster.cancel, args=(job,), daemon=True).start()
        where = f"{MANAGEMENT}{self.workspace.scope}/mfeOperationResults/jc:{name}"
        return 202, {}, {"Location": where, "Retry-After": "0"}

    def _cancelled(self, call: Call, name: str) -> Answer:
        done = self.cluster.find(name).status in ENDED
        time.sleep(0 if done else 0.1)
        return (200, {}, {}) if done else (202, {}, {"Location": f"{MANAGEMENT}{call.path}", "Retry-After": "0"})


@contextmanager
def running(context: ssl.SSLContext, workspace: Workspace, cluster: Cluster, tracking: Tracking) -> Iterator[Endpoints]:
    endpoints = Endpoints(workspace, cluster, tracking)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            with suppress(OSError, ValueError):
                super().handle()

        def _any(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            call = Call(self.command, unquote(parts.path), query, parts.query, body)
            bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
            try:
                status, answer, headers = endpoints.answer(self.headers.get("Host", ""), call, bearer)
            except Refused as error:
                status, answer, headers = error.status, error.body(), error.headers
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def get_request(self) -> Any:
            connection, address = super().get_request()
            return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    httpd = Server(("127.0.0.1", 0), Handler)
    httpd.handle_error = lambda *_: None  # type: ignore[method-assign]
    endpoints.port = httpd.server_port
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield endpoints
    finally:
        httpd.shutdown()
        httpd.server_close()
