"""The OSMO service: HTTP on the loopback, as its command line speaks to it."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from . import rendering, schema
from .cluster import EVICTED, PREEMPTED, Cluster, Workflow
from .errors import OsmoError
from .rendering import dump_yaml, load_yaml
from .storage import Datasets, Storage

RELEASES: Mapping[str, tuple[str, str, str]] = {
    "6.2.10": ("6", "0", "0"),  # built from source it calls itself 6.0.0
    "6.3.1": ("6", "3", "1"),
    "6.4.0": ("6", "4", "0"),
}
MIB = 1024**2


class OsmoService:
    """One OSMO installation with one pool, its cluster and its storage.

    Args:
        root: Folder for pods, objects and datasets.
        release: A key of :data:`RELEASES`.
    """

    def __init__(self, root: Path, release: str = "6.3.1") -> None:
        self.release = release
        self.version = RELEASES[release]
        self.has_datasets = release < "6.4"
        self.storage = Storage(root / "objects")
        self.datasets = Datasets(root / "datasets")
        self.cluster = Cluster(root / "pods", self.storage, self.datasets)
        self.pools: dict[str, dict[str, Any]] = {
            "default": {"platforms": ["gpu-node"], "gpus": 8, "cpu": 64, "memory_gib": 512, "storage_gib": 1024}
        }
        self.credentials: set[str] = set()
        self.workflows: dict[str, Workflow] = {}
        self.requests: list[tuple[str, str]] = []
        """Method and path of every request, in order."""
        self.login_expired = False
        self.cancel_breaks = False
        self.cut_logs_after: int | None = None
        """Lines after which the next log stream breaks, once."""
        self._silence = threading.Event()
        self._silent = ""
        self._failures: list[tuple[str, int, int, str]] = []
        self._numbers: dict[str, int] = {}
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        assert self._server, "the service is not running"
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        service = self

        class Handler(_Handler):
            osmo = service

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Take the service away; workflows go on."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()

    def close(self) -> None:
        self._silence.set()
        for workflow in self.workflows.values():
            if workflow.alive:
                self.cluster.cancel(workflow)
        self.cluster.close()
        self.stop()

    def fail_next(self, path: str, status: int, *, times: int = 1, message: str = "no") -> None:
        """Answer the next requests to paths that contain ``path`` with an error."""
        self._failures.append((path, status, times, message))

    def fall_silent(self, path: str) -> None:
        """Give no answer to requests whose path contains ``path``, until the service is closed."""
        self._silent = path

    def keep_silence(self, path: str) -> None:
        if self._silent and self._silent in path:
            self._silence.wait()

    def failure(self, path: str) -> tuple[int, str] | None:
        with self._lock:
            for index, (part, status, times, message) in enumerate(self._failures):
                if part in path:
                    self._failures[index] = (part, status, times - 1, message)
                    self._failures = [entry for entry in self._failures if entry[2] > 0]
                    return status, message
        return None

    def evict(self, workflow_id: str) -> None:
        self.cluster.take(self.workflows[workflow_id], EVICTED)

    def preempt(self, workflow_id: str) -> None:
        self.cluster.take(self.workflows[workflow_id], PREEMPTED)

    def wait(self, workflow_id: str, *statuses: str, timeout: float = 60) -> Workflow:
        """Wait until a workflow has one of these statuses, or any in which it has ended."""
        workflow = self.workflows[workflow_id]
        with workflow.changed:
            reached = workflow.changed.wait_for(
                lambda: workflow.status in statuses if statuses else not workflow.alive, timeout
            )
        assert reached, f"{workflow_id} is {workflow.status}"
        return workflow

    # What the service does.

    def submit(self, pool: str, query: Mapping[str, list[str]], body: Mapping[str, Any]) -> dict[str, Any]:
        if pool not in self.pools:
            raise OsmoError("USER", f"Pool {pool} not found.")
        text, words = body["file"], (body["set_variables"], body["set_string_variables"])
        if _flag(query, "dry_run"):
            expanded = rendering.expand(text, *words) if rendering.is_templated(text) else text
            return {"name": "", "overview": "", "logs": "", "spec": dump_yaml(_load(expanded)), "dashboard_url": None}
        try:
            expanded = rendering.expand(text, *words) if rendering.is_templated(text) else text
            spec = schema.check(_load(expanded), datasets=self.has_datasets)
            self._check(spec, pool)
        except OsmoError as problem:
            problem.workflow_id = self._record_failure(expanded_name(text), pool, text)
            raise
        if _flag(query, "validation_only"):
            return {"name": "", "overview": "", "logs": "Workflow validation succeeded.", "spec": expanded}
        return self._accept(spec, pool, query, expanded, body.get("uploaded_templated_spec") or "")

    def workflow(self, workflow_id: str) -> Workflow:
        if workflow_id not in self.workflows:
            raise OsmoError("DATABASE", f"Workflow {workflow_id} is not found.")
        return self.workflows[workflow_id]

    def cancel(self, workflow_id: str) -> dict[str, str]:
        workflow = self.workflow(workflow_id)
        if self.cancel_breaks:
            raise OsmoError("SERVER", "The cancel job could not be queued.")
        if not workflow.alive:
            raise OsmoError("USER", f"Workflow {workflow_id} has finished with status {workflow.status}.")
        self.cluster.cancel(workflow)
        return {"name": workflow_id}

    def _accept(self, spec: Any, pool: str, query: Mapping[str, list[str]], text: str, template: str) -> dict[str, Any]:
        for pair in query.get("env_vars", []):
            key, _, value = pair.partition("=")
            for _, tasks, _ in schema.groups_of(spec):
                for task in tasks:
                    task.environment[key] = value.split("=")[0]  # the rest is dropped, as measured
        workflow_id = self._new_id(spec.name)
        overview = f"{self.url}/workflows/{workflow_id}"
        priority = query.get("priority", ["NORMAL"])[0]
        workflow = Workflow(workflow_id, spec, text, template, pool, priority, overview)
        self.workflows[workflow_id] = workflow
        self.cluster.start(workflow)
        links = {"logs": f"{overview}/logs", "spec": f"{overview}/spec", "dashboard_url": None}
        return {"name": workflow_id, "overview": overview, **links}

    def _check(self, spec: Any, pool: str) -> None:
        limits = self.pools[pool]
        for resource in spec.resources.values():
            if resource.platform and resource.platform not in limits["platforms"]:
                raise OsmoError("USAGE", f"Platform {resource.platform} does not exist in pool {pool}!")
            asked = {"cpu": resource.cpu, "memory_gib": _gib(resource.memory), "storage_gib": _gib(resource.storage)}
            for name, amount in asked.items():
                # gpu is not checked: such a workflow would wait in the queue for ever
                if amount is not None and amount > limits[name]:
                    first = schema.groups_of(spec)[0][1][0].name
                    raise OsmoError("RESOURCE", f"Resource validation failed for task: {first}\n{name}: {amount}")
        for _, tasks, _ in schema.groups_of(spec):
            for task in tasks:
                self._check_task(task)

    def _check_task(self, task: Any) -> None:
        for name in task.credentials:
            if name not in self.credentials:
                raise OsmoError("CREDENTIAL", f"Could not find the credential: {name}.")
        for item in task.inputs:
            if isinstance(item, schema.Dataset):
                self.datasets.resolve(item.dataset.name)

    def _record_failure(self, name: str, pool: str, text: str) -> str:
        workflow_id = self._new_id(name)
        overview = f"{self.url}/workflows/{workflow_id}"
        row = Workflow(workflow_id, None, text, "", pool, "NORMAL", overview, status="FAILED_SUBMISSION")
        self.workflows[workflow_id] = row
        return workflow_id

    def _new_id(self, name: str) -> str:
        with self._lock:
            self._numbers[name] = self._numbers.get(name, 0) + 1
            return f"{name}-{self._numbers[name]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    osmo: OsmoService

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._handle()

    do_POST = do_PUT = do_GET  # noqa: N815

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        path, query = unquote(parts.path), parse_qs(parts.query)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.osmo.requests.append((self.command, path))
        self.osmo.keep_silence(path)
        if failure := self.osmo.failure(path):
            self._answer(failure[0], {"message": failure[1], "error_code": "USER"})
            return
        try:
            self._route(path, query, body)
        except OsmoError as problem:
            self._answer(problem.status, problem.body())

    def _route(self, path: str, query: Mapping[str, list[str]], body: bytes) -> None:
        osmo = self.osmo
        match [self.command, *path.strip("/").split("/")]:
            case ["GET", "api", "version"]:
                major, minor, revision = osmo.version
                self._answer(200, {"major": major, "minor": minor, "revision": revision, "hash": ""})
            case ["POST", "api", "auth", "jwt", "access_token"]:
                if osmo.login_expired:
                    raise OsmoError("LOGIN", "Access Token has expired")
                self._answer(200, {"token": "id-token"})
            case ["GET", "api", "profile", "settings"]:
                self._answer(200, {"profile": {"username": "tester", "pool": "default", "bucket": "training"}})
            case ["GET", "api", "pool_quota"]:
                self._answer(200, _quota(osmo.pools, query.get("pools")))
            case ["GET", "api", "credentials"]:
                self._answer(200, {"credentials": [{"cred_name": name} for name in sorted(osmo.credentials)]})
            case ["POST", "api", "pool", pool, "workflow"]:
                self._answer(200, osmo.submit(pool, query, json.loads(body)))
            case ["GET", "api", "workflow"]:
                self._answer(200, _listing(osmo, query))
            case ["GET", "api", "workflow", workflow_id]:
                self._answer(200, osmo.workflow(workflow_id).details())
            case ["GET", "api", "workflow", workflow_id, "logs"]:
                self._stream(osmo.workflow(workflow_id), query)
            case ["GET", "api", "workflow", workflow_id, "spec"]:
                found = osmo.workflow(workflow_id)
                self._answer(200, found.template if _flag(query, "use_template") else found.text)
            case ["POST", "api", "workflow", workflow_id, "cancel"]:
                self._answer(200, osmo.cancel(workflow_id))
            case [_, "api", "bucket", bucket, "dataset", name, *rest] if osmo.has_datasets:
                self._dataset(bucket, name, rest, query, body)
            case [method, "objects", *_]:
                self._object(method, unquote(path.partition("/objects/")[2]), body, _flag(query, "list"))
            case _:
                self._answer(404, {"detail": "Not Found"})

    def _dataset(self, bucket: str, name: str, rest: list[str], query: Mapping[str, list[str]], body: bytes) -> None:
        datasets = self.osmo.datasets
        match [self.command, *rest]:
            case ["GET", "info"]:
                self._answer(200, datasets.info(bucket, name, query.get("tag", [""])[0]))
            case ["POST"]:
                self._answer(200, {"version_id": datasets.start(bucket, name)})
            case ["PUT", version, *path]:
                datasets.put(bucket, name, version, "/".join(path), body)
                self._answer(200, {})
            case ["POST", version, "finish"]:
                datasets.finish(bucket, name, version)
                self._answer(200, {})
            case ["POST", "attribute"]:
                done = datasets.tag(bucket, name, query.get("tag", [""])[0], query.get("set_tag", []))
                self._answer(200, {"tag_response": done})

    def _object(self, method: str, uri: str, body: bytes, keys: bool) -> None:
        storage = self.osmo.storage
        if method == "PUT":
            storage.put(uri, body)
            self._answer(200, {})
        elif keys:
            self._answer(200, {"keys": storage.list(uri)})
        else:
            storage.check(uri)
            self._answer(200, storage.path(uri).read_bytes())

    def _stream(self, workflow: Workflow, query: Mapping[str, list[str]]) -> None:
        """Send log lines as they come, until the workflow has ended."""
        task = query.get("task_name", [""])[0]
        last = int(query.get("last_n_lines", ["0"])[0])
        cut, self.osmo.cut_logs_after = self.osmo.cut_logs_after, None
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        sent = max(0, len(workflow.lines) - last) if last else 0
        for count, line in enumerate(line for line in workflow.follow(sent) if not task or f"[{task}]" in line):
            if cut is not None and count >= cut:
                self.close_connection = True
                return
            self._chunk(line.encode() + b"\n")
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _answer(self, status: int, body: Any) -> None:
        data = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def expanded_name(text: str) -> str:
    """The name under which a refused workflow is filed."""
    for line in text.splitlines():
        if line.startswith("  name:"):
            return line.partition(":")[2].strip().strip("\"'")
    return "unknown"


def _load(text: str) -> Any:
    try:
        document = load_yaml(text)
    except yaml.YAMLError as error:
        raise OsmoError("USAGE", f"Invalid YAML: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("workflow"), dict):
        raise OsmoError("USER", "Workflow spec not found.")
    return document


def _flag(query: Mapping[str, list[str]], name: str) -> bool:
    return query.get(name, ["false"])[0].lower() == "true"


def _gib(text: str | None) -> float | None:
    if text is None:
        return None
    for unit, factor in (("Gi", 1.0), ("Mi", 1 / 1024), ("Ti", 1024.0), ("Ki", 1 / MIB)):
        if text.endswith(unit):
            return float(text[: -len(unit)]) * factor
    return 0.0


def _quota(pools: Mapping[str, Mapping[str, Any]], wanted: list[str] | None) -> dict[str, Any]:
    rows = [
        {
            "name": name,
            "description": "",
            "status": "ONLINE",
            "platforms": pool["platforms"],
            "resource_usage": {
                "quota_used": "0",
                "quota_free": str(pool["gpus"]),
                "quota_limit": str(pool["gpus"]),
                "total_usage": "0",
                "total_capacity": str(pool["gpus"]),
                "total_free": str(pool["gpus"]),
            },
        }
        for name, pool in pools.items()
        if not wanted or name in wanted
    ]
    return {"node_sets": [{"pools": rows}] if rows else [], "resource_sum": {}}


def _listing(osmo: OsmoService, query: Mapping[str, list[str]]) -> dict[str, Any]:
    rows = [workflow.row() for workflow in reversed(osmo.workflows.values())]
    name, statuses = query.get("name", [""])[0], query.get("statuses")
    rows = [row for row in rows if name in row["name"] and (not statuses or row["status"] in statuses)]
    offset, limit = int(query.get("offset", ["0"])[0]), int(query.get("limit", ["20"])[0])
    page = rows[offset : offset + limit]
    return {"workflows": page, "more_entries": len(rows) > offset + limit}
