"""Workflows on the stand-in's cluster: statuses over time, retries, logs, cancellation, and faults on demand."""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import pod as pods
from .pod import Pod
from .rendering import tokens
from .schema import Dataset, Url, groups_of
from .storage import Datasets, Storage

Runner = Callable[[Pod, Callable[[str], None]], int]
"""Runs a pod's command and returns its exit code."""

ALIVE = ("PENDING", "RUNNING", "WAITING")
STEPS = ("PENDING", "INITIALIZING", "RUNNING", "ENDING")
"""Points at which a workflow can be held."""

SERVER_ERROR, START_ERROR, EVICTED, IMAGE_PULL, PREEMPTED = 3002, 3003, 3004, 3005, 3006
STATUS_OF_CODE = {
    SERVER_ERROR: "FAILED_SERVER_ERROR",
    EVICTED: "FAILED_EVICTED",
    PREEMPTED: "FAILED_PREEMPTED",
    START_ERROR: "FAILED_START_ERROR",
    IMAGE_PULL: "FAILED_IMAGE_PULL",
}


@dataclass
class Task:
    spec: Any
    group: str
    status: str = "SUBMITTING"
    retry_id: int = 0
    exit_code: int | None = None
    failure_message: str | None = None
    pod: Pod | None = None
    taken: int | None = None
    """Exit code of the service that took the pod away (eviction, preemption)."""

    def row(self) -> dict[str, Any]:
        return {
            "name": self.spec.name,
            "retry_id": self.retry_id,
            "status": self.status,
            "exit_code": self.exit_code,
            "failure_message": self.failure_message,
            "lead": self.spec.lead,
            "pod_name": f"pod-{self.spec.name}-{self.retry_id}",
            "node_name": "node-1",
            "start_time": None,
            "end_time": None,
        }


@dataclass
class Workflow:
    """One submitted workflow."""

    id: str
    spec: Any
    text: str
    template: str
    pool: str
    priority: str
    overview: str
    status: str = "PENDING"
    tasks: list[Task] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    canceled: bool = False
    submitted: str = "2026-02-03T15:37:23"
    user: str = "tester"

    @property
    def alive(self) -> bool:
        return self.status in ALIVE

    def say(self, task: str, text: str, source: str = "") -> None:
        """Write a log line as the service keeps it."""
        stamp = time.strftime("%Y/%m/%d %H:%M:%S")
        with self.changed:
            self.lines.append(f"{stamp} [{task}]{source} {text}")
            self.changed.notify_all()

    def follow(self, start: int) -> Iterator[str]:
        """Yield log lines from a number on, as they come, until the workflow has ended."""
        while True:
            with self.changed:
                self.changed.wait_for(lambda: len(self.lines) > start or not self.alive)  # noqa: B023
                fresh, ended = self.lines[start:], not self.alive
            yield from fresh
            start += len(fresh)
            if ended and not fresh:
                return

    def become(self, status: str) -> None:
        with self.changed:
            self.status = status
            self.changed.notify_all()

    def row(self) -> dict[str, Any]:
        return {
            "name": self.id,
            "user": self.user,
            "submitted_by": self.user,
            "status": self.status,
            "pool": self.pool,
            "priority": self.priority,
            "submit_time": self.submitted,
            "start_time": None,
            "end_time": None,
            "overview": self.overview,
            "workflow_uuid": f"uuid-{self.id}",
        }

    def details(self) -> dict[str, Any]:
        groups: dict[str, list[Task]] = {}
        for task in self.tasks:
            groups.setdefault(task.group, []).append(task)
        return {
            **self.row(),
            "uuid": f"uuid-{self.id}",
            "groups": [
                {
                    "name": name,
                    "status": _group_status(members),
                    "failure_message": next((task.failure_message for task in members if task.failure_message), None),
                    "tasks": [task.row() for task in members],
                }
                for name, members in groups.items()
            ],
        }


class Cluster:
    """Runs workflows, each in threads of its own."""

    def __init__(self, root: Path, storage: Storage, datasets: Datasets) -> None:
        self.root = root
        self.storage = storage
        self.datasets = datasets
        self.runner: Runner = Pod.run
        self.image_environment: Mapping[str, str] = {}
        self.missing_images: set[str] = set()
        self._held: set[str] = set()
        self._gate = threading.Condition()
        self._numbers = itertools.count(1)
        self._threads: list[threading.Thread] = []
        self._closed = False

    def hold(self, *steps: str) -> None:
        """Keep every workflow from leaving these steps until :meth:`release`."""
        self._held |= set(steps)

    def release(self, *steps: str) -> None:
        with self._gate:
            self._held -= set(steps or STEPS)
            self._gate.notify_all()

    def start(self, workflow: Workflow) -> None:
        for group, specs, _ in groups_of(workflow.spec):
            workflow.tasks += [Task(_with_tokens(spec, specs, workflow.id), group) for spec in specs]
        thread = threading.Thread(target=self._run, args=(workflow,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def cancel(self, workflow: Workflow) -> None:
        workflow.canceled = True
        with self._gate:
            self._gate.notify_all()
        for task in workflow.tasks:
            if task.pod:
                threading.Thread(target=task.pod.stop, daemon=True).start()

    def take(self, workflow: Workflow, code: int) -> None:
        """Take the running pods of a workflow away, as an eviction or a preemption does."""
        for task in workflow.tasks:
            if task.pod and task.status == "RUNNING":
                task.taken = code
                task.pod.stop()

    def close(self) -> None:
        self._closed = True
        self.release()
        for thread in self._threads:
            thread.join(timeout=30)

    def _wait(self, step: str, workflow: Workflow) -> None:
        with self._gate:
            self._gate.wait_for(lambda: step not in self._held or workflow.canceled or self._closed)

    def _run(self, workflow: Workflow) -> None:
        self._wait("PENDING", workflow)
        for _, members, ignore_others in self._groups(workflow):
            if workflow.canceled:
                break
            threads = [threading.Thread(target=self._attempts, args=(workflow, task), daemon=True) for task in members]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            judged = [task for task in members if task.spec.lead] if ignore_others else members
            if any(task.status != "COMPLETED" for task in judged):
                break
        self._wait("ENDING", workflow)
        workflow.become(_outcome(workflow))

    def _groups(self, workflow: Workflow) -> list[tuple[str, list[Task], bool]]:
        return [
            (name, [task for task in workflow.tasks if task.group == name], ignore)
            for name, _, ignore in groups_of(workflow.spec)
        ]

    def _attempts(self, workflow: Workflow, task: Task) -> None:
        """Run a task until its exit action is not to run it again."""
        while True:
            code = self._attempt(workflow, task)
            if workflow.canceled:
                task.status = "FAILED_CANCELED"
                return
            action = _action(task.spec.exitActions, code)
            task.exit_code = code
            if action != "RESCHEDULE":
                task.status = "COMPLETED" if action == "COMPLETE" else STATUS_OF_CODE.get(code, "FAILED")
                return
            workflow.say(task.spec.name, f"Task is rescheduled after exit code {code}", "[osmo]")
            task.status = "RESCHEDULED"
            task.retry_id += 1
            task.taken = None

    def _attempt(self, workflow: Workflow, task: Task) -> int:
        try:
            pod = self._pod(task)
        except ValueError as problem:
            task.failure_message = str(problem)
            return SERVER_ERROR
        task.status = "INITIALIZING"
        if task.spec.image in self.missing_images:
            task.failure_message = f'Failed to pull image "{task.spec.image}": not found'
            return IMAGE_PULL
        self._wait("INITIALIZING", workflow)
        pod.prepare()
        self._download(workflow, task, pod)
        task.pod, task.status = pod, "RUNNING"
        workflow.become("RUNNING")
        self._wait("RUNNING", workflow)
        if workflow.canceled:
            return 143
        if problem := pod.too_long():
            task.failure_message = problem
            workflow.say(task.spec.name, problem)
            return 256
        code = self.runner(pod, lambda line: workflow.say(task.spec.name, line))
        self._upload(task, pod)
        return task.taken or code

    def _pod(self, task: Task) -> Pod:
        """Build a task's pod; raises ``ValueError`` for a file that cannot become a Secret."""
        files = {}
        for file in task.spec.files:
            try:
                content = pods.decoded(file.contents, file.base64)
            except ValueError as error:
                raise ValueError(f"illegal base64 data for {file.path}: {error}") from None
            if len(content) > pods.SECRET_LIMIT:
                raise ValueError(
                    f"Secret for {file.path} is invalid: data: Too long: must have at most {pods.SECRET_LIMIT} bytes"
                )
            files[file.path] = content
        secrets = {
            variable: f"secret-of-{name}-{key}"
            for name, entry in task.spec.credentials.items()
            if isinstance(entry, dict)
            for variable, key in entry.items()
        }
        return Pod(
            name=task.spec.name,
            command=[*task.spec.command, *task.spec.args],
            environment={**task.spec.environment, **secrets},
            files=files,
            root=self.root / f"{next(self._numbers)}-{task.spec.name}",
            image_environment=self.image_environment,
        )

    def _download(self, workflow: Workflow, task: Task, pod: Pod) -> None:
        for index, item in enumerate(task.spec.inputs):
            into = pod.input(index)
            into.mkdir(parents=True, exist_ok=True)
            if isinstance(item, Url):
                self.storage.download(item.url, into)
            elif isinstance(item, Dataset):
                bucket, name, version = self.datasets.resolve(item.dataset.name)
                shutil.copytree(self.datasets.folder(bucket, name, version), into / name)
            workflow.say(task.spec.name, f"Downloaded input {index}", "[osmo]")

    def _upload(self, task: Task, pod: Pod) -> None:
        """Upload checkpoints (once more at the end, as OSMO does) and outputs."""
        for item in task.spec.checkpoint:
            folder = pod.root / item.path.lstrip("/")
            if folder.is_dir():
                self.storage.upload_folder(folder, item.url, keep_name=True)
        if task.taken:
            return
        for item in task.spec.outputs:
            if isinstance(item, Url):
                self.storage.upload_folder(pod.output, item.url, keep_name=False)


def _with_tokens(spec: Any, neighbours: list[Any], workflow_id: str) -> Any:
    """Return a task with values in place of the tokens, wherever in it they stand."""
    known = {"output": "/osmo/data/output", "workflow_id": workflow_id, "uuid": f"uuid-{workflow_id}"}
    known |= {f"input:{index}": f"/osmo/data/input/{index}" for index in range(len(spec.inputs))}
    known |= {f"host:{other.name}": "127.0.0.1" for other in neighbours}
    return type(spec).model_validate(tokens(spec.model_dump(), known))


def _action(actions: Mapping[str, str], code: int) -> str:
    for action, ranges in actions.items():
        for part in ranges.split(","):
            first, _, last = part.partition("-")
            if int(first) <= code <= int(last or first):
                return action.upper()
    if code == PREEMPTED:
        return "RESCHEDULE"
    return "COMPLETE" if code == 0 else "FAIL"


def _outcome(workflow: Workflow) -> str:
    if workflow.canceled:
        return "FAILED_CANCELED"
    failed = [task.status for task in workflow.tasks if task.status.startswith("FAILED") and task.spec.lead]
    return failed[0] if failed else "COMPLETED"


def _group_status(members: list[Task]) -> str:
    lead = next((task for task in members if task.spec.lead), members[0])
    return lead.status
