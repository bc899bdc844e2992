"""Requests to the stand-in OSMO service: which path does what, and how it is answered."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from .errors import OsmoError
from .pod import Pod
from .workflow import Task, Workflow

if TYPE_CHECKING:
    from .service import OsmoService


class Handler(BaseHTTPRequestHandler):
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
                data = [
                    {"cred_name": f"data-{index}", "cred_type": "DATA", "profile": profile}
                    for index, profile in enumerate(osmo.data_profiles)
                ]
                named = [{"cred_name": name, "cred_type": "GENERIC"} for name in sorted(osmo.credentials)]
                self._answer(200, {"credentials": [*named, *data]})
            case ["GET", "api", "resources"]:
                self._answer(200, _resources(osmo.pools, query.get("pools")))
            case ["GET", "api", "configs", "workflow"]:
                if not osmo.is_admin:
                    raise OsmoError("USER", "User tester does not have the role osmo-admin.")
                store = {"endpoint": "s3://osmo"} if osmo.cluster.has_store else None
                document = {"max_retry_per_task": osmo.cluster.max_retry, "workflow_data": {"credential": store}}
                self._answer(200, document)
            case ["POST", "api", "pool", pool, "workflow", workflow_id, "restart"]:
                self._answer_or_lose(path, osmo.restart(pool, workflow_id))
            case ["POST", "api", "pool", pool, "workflow"]:
                answer = osmo.submit(pool, query, json.loads(body))
                if answer["name"] and osmo.keep_late(path):
                    return
                self._answer_or_lose(path if answer["name"] else "", answer)
            case ["GET", "api", "workflow"]:
                self._answer(200, _listing(osmo, query))
            case ["GET", "api", "workflow", workflow_id]:
                self._answer(200, osmo.workflow(workflow_id).details())
            case ["GET", "api", "workflow", workflow_id, "logs"]:
                self._stream(osmo.workflow(workflow_id), query)
            case ["GET", "api", "workflow", workflow_id, "error_logs"]:
                task = _task_of(osmo.workflow(workflow_id), query)
                self._answer(200, "".join(f"{line}\n" for line in task.error_lines))
            case ["GET", "api", "workflow", workflow_id, "events"]:
                self._answer(200, "".join(f"{line}\n" for line in osmo.workflow(workflow_id).events))
            case ["POST", "api", "workflow", workflow_id, "exec", "task", name]:
                pod = _running_pod(osmo.workflow(workflow_id), name)
                code, output = pod.execute(query["entry_command"][0])
                self._answer(200, {"code": code, "output": output})
            case ["POST", "api", "workflow", workflow_id, "portforward", name]:
                _running_pod(osmo.workflow(workflow_id), name)
                self._answer(200, [{"key": port} for port in query["task_ports"]])
            case ["PUT" | "GET", "api", "workflow", workflow_id, "rsync", name, *rest]:
                if not osmo.workflow(workflow_id).rsync:
                    raise OsmoError("USER", "Rsync is not enabled for this workflow!")
                self._rsync(_running_pod(osmo.workflow(workflow_id), name), "/" + "/".join(rest), body)
            case ["GET", "api", "workflow", workflow_id, "spec"]:
                found = osmo.workflow(workflow_id)
                self._answer(200, found.template if flag(query, "use_template") else found.text)
            case ["POST", "api", "workflow", workflow_id, "cancel"]:
                self._answer(200, osmo.cancel(workflow_id))
            case [_, "api", "bucket", bucket, "dataset", name, *rest] if osmo.has_datasets:
                self._dataset(bucket, name, rest, query, body)
            case [method, "objects", *_]:
                self._object(method, unquote(path.partition("/objects/")[2]), body, query)
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

    def _rsync(self, pod: Pod, path: str, body: bytes) -> None:
        """Carry a file into a pod, or list or carry files out of it; the workspace is all that may be reached."""
        if not path.startswith("/osmo/run/workspace"):
            raise OsmoError("USER", f"Rsync module for {path} is not eligible for rsync")
        target = pod.root / path.lstrip("/")
        if self.command == "PUT":
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(body)
            self._answer(200, {})
        elif target.is_file():
            self._answer(200, target.read_bytes())
        else:
            names = sorted(str(item.relative_to(target)) for item in target.rglob("*") if item.is_file())
            self._answer(200, {"names": names})

    def _object(self, method: str, uri: str, body: bytes, query: Mapping[str, list[str]]) -> None:
        storage = self.osmo.storage
        if method == "PUT":
            storage.put(uri, body)
            self._answer(200, {})
        elif flag(query, "keys"):
            self._answer(200, {"keys": storage.keys(uri)})
        elif flag(query, "list"):
            keys = storage.list(uri, query.get("prefix", [""])[0], flag(query, "recursive"))
            self._answer(200, {"keys": keys})
        else:
            storage.check(uri)
            self._answer(200, storage.path(uri).read_bytes())

    def _stream(self, workflow: Workflow, query: Mapping[str, list[str]]) -> None:
        """Send log lines as they come, until the workflow has ended."""
        task = query.get("task_name", [""])[0]
        if task:
            found = _task_of(workflow, query)
            retry = int(query.get("retry_id", [str(found.retry_id)])[0])
            task = f"{task} retry-{retry}" if retry else task
        last = int(query.get("last_n_lines", ["0"])[0])
        cut = self.osmo.cut(workflow.id)
        stalled, self.osmo.stall_logs_after = self.osmo.stall_logs_after, None
        reset, self.osmo.reset_logs_after = self.osmo.reset_logs_after, None
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.osmo.logs_take_s:
            self.osmo.closed(self.osmo.logs_take_s)
        sent = max(0, len(workflow.lines) - last) if last else 0
        lines = workflow.follow(sent, self.osmo.closed)
        for count, line in enumerate(line for line in lines if not task or f" [{task}]" in line):
            if cut is not None and count >= cut:
                self.close_connection = True
                return
            if stalled is not None and count >= stalled:
                self.osmo.closed()
                return
            if reset is not None and count >= reset:
                self._reset()
                return
            self._chunk(line.encode() + b"\n")
        self._chunk(b"")

    def _reset(self) -> None:
        """Drop the connection as a service does that is killed."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _answer_or_lose(self, path: str, body: Any) -> None:
        """Answer, or let a gateway say in place of the service that it has waited too long."""
        status = self.osmo.lost(path)
        self._answer(status or 200, "<html>Gateway Timeout</html>" if status else body)

    def _answer(self, status: int, body: Any) -> None:
        data = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def flag(query: Mapping[str, list[str]], name: str) -> bool:
    return query.get(name, ["false"])[0].lower() == "true"


def _quota(pools: Mapping[str, Mapping[str, Any]], wanted: list[str] | None) -> dict[str, Any]:
    rows = []
    for name, pool in pools.items():
        if wanted and name not in wanted:
            continue
        used, guaranteed = pool.get("gpus_used", 0), pool.get("gpus_guaranteed")
        quota = pool["gpus"] if guaranteed is None else guaranteed
        figures = {
            "quota_used": used,
            "quota_free": quota - used,
            "quota_limit": quota,
            "total_usage": used,
            "total_capacity": pool["gpus"],
            "total_free": pool["gpus"] - used,
        }
        row = {"name": name, "description": "", "status": pool.get("status", "ONLINE"), "platforms": pool["platforms"]}
        rows.append({**row, "resource_usage": {key: str(value) for key, value in figures.items()}})
    return {"node_sets": [{"pools": rows}] if rows else [], "resource_sum": {}}


def _resources(pools: Mapping[str, Mapping[str, Any]], wanted: list[str] | None) -> dict[str, Any]:
    """Return the nodes of pools, as ``osmo resource list`` gets them."""
    rows = []
    for name, pool in pools.items():
        if wanted and name not in wanted:
            continue
        for platform in pool["platforms"]:
            per_node = pool.get("gpus_per_node", pool["gpus"])
            free = pool["gpus"] - pool.get("gpus_used", 0)
            for index in range(max(1, pool["gpus"] // max(1, per_node))):
                fields = {
                    "cpu": str(pool["cpu"]),
                    "gpu": str(per_node),
                    "memory": f"{pool['memory_gib'] * 1024**2}Ki",
                    "storage": str(pool["storage_gib"] * 1024**3),
                }
                used = per_node - max(0, min(per_node, free - index * per_node))
                rows.append(
                    {
                        "hostname": f"{platform}-{index}",
                        "exposed_fields": {"node": f"{platform}-{index}", "pool/platform": [f"{name}/{platform}"]},
                        "taints": [],
                        "usage_fields": {"gpu": str(used), "cpu": "0", "memory": "0Ki", "storage": "0"},
                        "non_workflow_usage_fields": {},
                        "platform_workflow_allocatable_fields": {name: {platform: fields}},
                        "allocatable_fields": fields,
                        "platform_allocatable_fields": {name: {platform: fields}},
                        "pool_platform_labels": {name: [platform]},
                        "backend": "default",
                        "resource_type": "SHARED",
                    }
                )
    return {"resources": rows}


def _task_of(workflow: Workflow, query: Mapping[str, list[str]]) -> Task:
    name = query.get("task_name", [""])[0]
    found = next((task for task in workflow.tasks if task.spec.name == name), None)
    if found is None:
        raise OsmoError("DATABASE", f"No task {name} in workflow {workflow.id}.")
    return found


def _running_pod(workflow: Workflow, name: str) -> Pod:
    if not workflow.alive:
        raise OsmoError("USER", f"Workflow {workflow.id} is not running!")
    if workflow.status != "RUNNING":
        raise OsmoError("USER", f"Workflow {workflow.id} is not running yet...")
    found = next((task for task in workflow.tasks if task.spec.name == name), None)
    if found is None:
        raise OsmoError("USER", f"Task {name} does not exist in workflow {workflow.id}!")
    if found.pod is None or found.status != "RUNNING":
        raise OsmoError("USER", f"Task {name} is not running.")
    return found.pod


def _listing(osmo: OsmoService, query: Mapping[str, list[str]]) -> dict[str, Any]:
    rows = [workflow.row() for workflow in reversed(osmo.workflows.values())]
    name, statuses = query.get("name", [""])[0], query.get("statuses")
    rows = [row for row in rows if name in row["name"] and (not statuses or row["status"] in statuses)]
    for selector in query.get("label", []):
        key, _, value = selector.partition("=")
        rows = [row for row in rows if row["labels"].get(key) == value]
    offset, limit = int(query.get("offset", ["0"])[0]), int(query.get("limit", ["20"])[0])
    page = rows[offset : offset + limit]
    return {"workflows": page, "more_entries": len(rows) > offset + limit}
