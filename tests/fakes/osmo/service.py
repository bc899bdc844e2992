"""The OSMO service: HTTP on the loopback, as its command line speaks to it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from . import rendering, schema
from .cluster import EVICTED, LOST_NODE, PREEMPTED, Cluster
from .errors import OsmoError, Unrecorded
from .handler import Handler, flag
from .masking import masked
from .rendering import dump_yaml, load_yaml
from .storage import Datasets, Storage
from .workflow import Workflow

LONGEST_S = 240.0
"""Longest wait for anything [s]: nothing takes as long, but on a machine that is slow and busy."""

RELEASES: Mapping[str, tuple[str, str, str]] = {
    "6.2.10": ("6", "0", "0"),  # built from source it calls itself 6.0.0
    "6.3.1": ("6", "3", "1"),
    "6.4.0": ("6", "4", "0"),
}


class OsmoService:
    """One OSMO installation with one pool, its cluster and its storage.

    Args:
        root: Folder for pods, objects and datasets.
        release: A key of :data:`RELEASES`.
        storage: Object storage that it shares with another installation; one of its own when omitted.
    """

    def __init__(self, root: Path, release: str = "6.3.1", storage: Storage | None = None) -> None:
        self.release = release
        self.version = RELEASES[release]
        self.has_datasets = release < "6.4"
        self.storage = storage or Storage(root / "objects")
        self.datasets = Datasets(root / "datasets")
        self.cluster = Cluster(root / "pods", self.storage, self.datasets)
        self.pools: dict[str, dict[str, Any]] = {
            "default": {
                "platforms": ["gpu-node"],
                "gpus": 16,
                "gpus_per_node": 8,
                "gpus_used": 0,
                "gpus_guaranteed": None,
                "status": "ONLINE",
                "cpu": 64,
                "memory_gib": 512,
                "storage_gib": 1024,
            }
        }
        self.credentials: set[str] = set()
        self.data_profiles: list[str] = []
        """Buckets (``s3://bucket``) that the user has stored a data credential for."""
        self.rsync_enabled = False
        """Whether an administrator has switched rsync on; it is off by default."""
        self.is_admin = False
        """Whether the user may read the service's configuration."""
        self.workflows: dict[str, Workflow] = {}
        self.requests: list[tuple[str, str]] = []
        """Method and path of every request, in order."""
        self.login_expired = False
        self.cancel_breaks = False
        self.cut_logs_after: int | None = None
        """Lines after which the next log stream breaks."""
        self.cut_logs_of = ""
        """Part of the id of the workflow whose stream that is to be."""
        self.cut_logs_times = 1
        """Streams that break so."""
        self.logs_take_s = 0.0
        """Time from the beginning of a stream to its first line: OSMO fetches a stored log from object storage [s]."""
        self.stall_logs_after: int | None = None
        """Lines after which the next log stream falls silent, once."""
        self.reset_logs_after: int | None = None
        """Lines after which the connection of the next log stream is reset, once."""
        self._late = ""
        self._lost = "", 0
        self.forwarded: dict[int, int] = {}
        """Ports of this machine that were forwarded, and where to."""
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

        class Bound(Handler):
            osmo = service

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
        self._server.daemon_threads = True
        self.cluster.login = self.login_of_pods()
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

    def login_of_pods(self) -> dict[str, str]:
        """Return the ``osmo`` command that is mounted into pods, logged in as the user, with the user's credentials."""
        script = f'#!/bin/sh\nexec {sys.executable} -I -S "$(dirname "$0")/cli" {self.release} "$@"\n'
        modules = Path(__file__).with_name("cli").glob("*.py")
        profiles = {profile: {"endpoint": profile, "access_key_id": "x"} for profile in self.data_profiles}
        return {
            "usr/bin/osmo": script,
            **{f"usr/bin/cli/{path.name}": path.read_text(encoding="utf-8") for path in modules},
            "login/config/login.yaml": f"url: {self.url}\ndev_login: {{username: tester}}\n",
            "login/config/config.yaml": dump_yaml({"auth": {"data": profiles}}),
        }

    def answer_late(self, path: str) -> None:
        """Do what the next request to a path asks for, and answer it when its client has long given up."""
        self._late = path

    def lose_answer(self, path: str, status: int) -> None:
        """Do what the next request to a path asks for, and answer it as a gateway does that has waited too long."""
        self._lost = path, status

    def lost(self, path: str) -> int:
        """The status with which this answer is to be replaced; 0 for none."""
        part, status = self._lost
        if not status or part not in path:
            return 0
        self._lost = "", 0
        return status

    def keep_late(self, path: str) -> bool:
        """Whether this answer is to come too late; waits until the service is closed."""
        late, self._late = bool(self._late) and self._late in path, "" if self._late in path else self._late
        return late and self._silence.wait()

    def fall_silent(self, path: str) -> None:
        """Give no answer to requests whose path contains ``path``, until the service is closed."""
        self._silent = path

    def keep_silence(self, path: str) -> None:
        if self._silent and self._silent in path:
            self._silence.wait()

    def closed(self, longest: float | None = None) -> None:
        """Wait until the service is closed, or a time is over [s]."""
        self._silence.wait(longest)

    def cut(self, workflow_id: str) -> int | None:
        """Lines after which this stream of a workflow's log is to break; None for one that does not."""
        if self.cut_logs_after is None or self.cut_logs_of not in workflow_id:
            return None
        found, self.cut_logs_times = self.cut_logs_after, self.cut_logs_times - 1
        if not self.cut_logs_times:
            self.cut_logs_after, self.cut_logs_times = None, 1
        return found

    def failure(self, path: str) -> tuple[int, str] | None:
        with self._lock:
            for index, (part, status, times, message) in enumerate(self._failures):
                if part in path:
                    self._failures[index] = (part, status, times - 1, message)
                    self._failures = [entry for entry in self._failures if entry[2] > 0]
                    return status, message
        return None

    def evict(self, workflow_id: str, task: str = "") -> None:
        self.cluster.take(self.workflows[workflow_id], EVICTED, task)

    def lose_node(self, workflow_id: str) -> None:
        self.cluster.take(self.workflows[workflow_id], LOST_NODE)

    def run_out_of_memory(self, workflow_id: str) -> None:
        """Kill a task as the kernel does: OSMO calls it evicted, in the words of any other eviction."""
        self.fill_memory(workflow_id, 1.0)
        self.evict(workflow_id)

    def fill_memory(self, workflow_id: str, share: float) -> None:
        """Let the running tasks of a workflow use a share of their memory."""
        for task in self.workflows[workflow_id].tasks:
            if task.pod and task.status == "RUNNING":
                task.pod.use_memory(share)

    def preempt(self, workflow_id: str) -> None:
        self.cluster.take(self.workflows[workflow_id], PREEMPTED)

    def wait(self, workflow_id: str, *statuses: str, timeout: float = LONGEST_S) -> Workflow:
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
        if flag(query, "dry_run"):
            expanded = rendering.expand(text, *words) if rendering.is_templated(text) else text
            return {"name": "", "overview": "", "logs": "", "spec": dump_yaml(_load(expanded)), "dashboard_url": None}
        try:
            schema.check_labels(query.get("label", []))
            expanded = rendering.expand(text, *words) if rendering.is_templated(text) else text
            spec = schema.check(_load(expanded), datasets=self.has_datasets)
            self._check_pool(spec, pool, query.get("priority", ["NORMAL"])[0])
            self._check(spec, pool)
        except Unrecorded:
            raise
        except OsmoError as problem:
            problem.workflow_id = self._record_failure(expanded_name(text), pool, text)
            raise
        if flag(query, "validation_only"):
            return {"name": "", "overview": "", "logs": "Workflow validation succeeded.", "spec": expanded}
        return self._accept(spec, pool, query, expanded, body.get("uploaded_templated_spec") or "")

    def restart(self, pool: str, workflow_id: str) -> dict[str, Any]:
        """Submit the tasks of a failed workflow that have not completed; they read what the others have left."""
        before = self.workflow(workflow_id)
        if not before.status.startswith("FAILED"):
            message = f"Restart can only be used on FAILED workflows: Workflow {workflow_id} has status {before.status}"
            raise OsmoError("SUBMISSION", message)
        document = _load(before.text)
        done = {task.spec.name for task in before.tasks if task.status == "COMPLETED"}
        groups = document["workflow"]["groups"]
        left = [group for group in groups if not {task["name"] for task in group["tasks"]} <= done]
        for item in (item for group in left for task in group["tasks"] for item in task.get("inputs") or []):
            if item.get("task") in done:
                item["task"] = f"{workflow_id}:{item['task']}"
        document["workflow"]["groups"] = left
        spec = schema.check(document, datasets=self.has_datasets)
        self._check_pool(spec, pool, before.priority)
        self._check(spec, pool)
        query = {"priority": [before.priority]}
        answer = self._accept(spec, pool, query, dump_yaml(document), before.template)
        self.workflows[answer["name"]].parent = workflow_id
        return answer

    def workflow(self, workflow_id: str) -> Workflow:
        if workflow_id not in self.workflows:
            raise OsmoError("DATABASE", f"Workflow {workflow_id} is not found.")
        return self.workflows[workflow_id]

    def cancel(self, workflow_id: str) -> dict[str, str]:
        workflow = self.workflow(workflow_id)
        if self.cancel_breaks:
            raise OsmoError("SERVER", "The cancel job could not be queued.")
        if not workflow.alive:
            raise OsmoError("USER", f"Workflow {workflow_id} is already finished.")
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
        labels = {**getattr(spec, "labels", {}), **dict(pair.split("=", 1) for pair in query.get("label", []))}
        workflow = Workflow(
            workflow_id, spec, saved_spec(text, spec), template, pool, priority, overview, labels=labels
        )
        workflow.rsync = self.rsync_enabled
        self.workflows[workflow_id] = workflow
        self.cluster.start(workflow)
        links = {"logs": f"{overview}/logs", "spec": f"{overview}/spec", "dashboard_url": None}
        return {"name": workflow_id, "overview": overview, **links}

    def _check_pool(self, spec: Any, pool: str, priority: str) -> None:
        """Refuse work of a pool that is closed, and more GPUs than are guaranteed to a priority above LOW."""
        if self.pools[pool]["status"] == "MAINTENANCE":
            raise Unrecorded("USAGE", f"Pool {pool} is undergoing maintenance. Users will have to wait until it ends.")
        guaranteed = self.pools[pool]["gpus_guaranteed"]
        for name, tasks, _ in schema.groups_of(spec):
            gpus = sum((spec.resources[task.resource].gpu or 0) for task in tasks)
            if priority != "LOW" and guaranteed is not None and gpus > guaranteed:
                told = f"Pool {pool} has {guaranteed} GPUs guaranteed for NORMAL/HIGH priority workflows and group"
                more = f"{name} requires {gpus} GPUs. Higher gpu counts must be submitted with LOW priority"
                raise OsmoError("USAGE", f"{told} {more}")

    def _check(self, spec: Any, pool: str) -> None:
        limits = self.pools[pool]
        for resource in spec.resources.values():
            if resource.platform and resource.platform not in limits["platforms"]:
                raise OsmoError("USAGE", f"Platform {resource.platform} does not exist in pool {pool}!")
            asked = {
                "cpu": resource.cpu,
                "memory_gib": schema.gib(resource.memory),
                "storage_gib": schema.gib(resource.storage),
            }
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
            if isinstance(item, schema.TaskInput) and ":" in item.task:
                self._check_earlier(*item.task.split(":"))

    def _check_earlier(self, workflow_id: str, name: str) -> None:
        """Refuse to read outputs of a task of another workflow that still runs."""
        found = next((task for task in self.workflow(workflow_id).tasks if task.spec.name == name), None)
        if found is None:
            raise OsmoError("DATABASE", f"Task {name} of workflow {workflow_id} is not found.")
        if found.status != "COMPLETED" and not found.status.startswith("FAILED"):
            told = f"Workflow ID {workflow_id} task {name} has status {found.status}."
            raise OsmoError("SUBMISSION", f"Input tasks from previous workflows must be finished: {told}")

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


def saved_spec(text: str, spec: Any) -> str:
    """The spec that OSMO keeps of a workflow: tasks in groups, without pool and labels, what looks secret masked."""
    workflow = _load(text)["workflow"]
    kept = {key: workflow[key] for key in ("name", "resources", "timeout") if key in workflow}
    groups = workflow.get("groups") or [
        {"name": f"{task['name']}-group", "tasks": [task]} for task in workflow["tasks"]
    ]
    for task, parsed in zip(
        (task for group in groups for task in group["tasks"]),
        (task for _, tasks, _ in schema.groups_of(spec) for task in tasks),
        strict=True,
    ):
        task["environment"] = parsed.environment
    return masked(dump_yaml({"version": 2, "workflow": {**kept, "groups": groups}}))


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
