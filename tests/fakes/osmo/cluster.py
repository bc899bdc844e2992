"""Workflows on the stand-in's cluster: statuses over time, retries, logs, cancellation, and faults on demand."""

from __future__ import annotations

import contextlib
import itertools
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from . import pod as pods
from . import schema
from .pod import Pod
from .rendering import tokens
from .schema import Dataset, TaskInput, Url, groups_of, seconds
from .storage import Datasets, Storage
from .workflow import Task, Workflow

Runner = Callable[[Pod, Callable[[str], None]], int]
"""Runs a pod's command and returns its exit code."""

STEPS = ("PENDING", "INITIALIZING", "RUNNING", "ENDING")
"""Points at which a workflow can be held."""

UPSTREAM, LOST_NODE, SERVER_ERROR, START_ERROR, EVICTED, START_TIMEOUT, PREEMPTED = range(3000, 3007)
COMMAND_FAILED = 2031
"""End of a task whose upload or download was refused: OSMO repeats one that hangs, and no other."""
IMAGE_PULL = -1
"""Stands for the end of a task whose image cannot be pulled, which has no exit code."""
STATUS_OF_CODE = {
    UPSTREAM: "FAILED_UPSTREAM",
    LOST_NODE: "FAILED_BACKEND_ERROR",
    SERVER_ERROR: "FAILED_SERVER_ERROR",
    EVICTED: "FAILED_EVICTED",
    PREEMPTED: "FAILED_PREEMPTED",
    START_ERROR: "FAILED_START_ERROR",
    START_TIMEOUT: "FAILED_START_TIMEOUT",
    IMAGE_PULL: "FAILED_IMAGE_PULL",
}

REASON_OF_CODE = {
    LOST_NODE: "Node got removed from the cluster while the pod was on it. ",
    EVICTED: "Task was evicted. ",
    PREEMPTED: "Task was preempted. ",
}
RULE = "-" * 100


class Cluster:
    """Runs workflows, each in threads of its own."""

    def __init__(self, root: Path, storage: Storage, datasets: Datasets) -> None:
        self.root = root
        self.storage = storage
        self.own_store = Storage(root / "own-store")
        """OSMO's own object storage, which users have no credential for: ``s3://osmo/<workflow>/<task>``."""
        self.datasets = datasets
        self.has_store = True
        """Whether there is such a storage; without it no task is made."""
        self.max_retry = 0
        """``max_retry_per_task`` of the workflow configuration: OSMO's default."""
        self.log_lines_per_s = 10.0
        self.broken_uploads = 0
        """How many of the next uploads at the end of a task fail, as where the storage answers with an error."""
        self.login: Mapping[str, str] = {}
        """Files of the ``osmo`` command that is mounted into every pod, by name."""
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
        """End a workflow: its pods' first process ends at once, and the kernel kills the job with it."""
        workflow.canceled = True
        with self._gate:
            self._gate.notify_all()
        for task in workflow.tasks:
            if task.pod:
                task.pod.kill()

    def take(self, workflow: Workflow, code: int, name: str = "") -> None:
        """Take the running pods of a workflow away, as an eviction, a preemption or a lost node does: SIGKILL.

        Args:
            workflow: The workflow.
            code: OSMO's exit code for the way that they went.
            name: The task whose pod it is; all when empty.
        """
        for task in workflow.tasks:
            if task.pod and task.status == "RUNNING" and name in ("", task.spec.name):
                task.taken = code
                task.pod.kill()

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
        waiting = self._groups(workflow)
        completed: set[str] = set()
        while waiting and not workflow.canceled:
            ready = next((group for group in waiting if _upstream(group[1], workflow) <= completed), None)
            if ready is None:
                break
            waiting.remove(ready)
            if self._run_group(workflow, ready[1], ready[2]):
                completed |= {task.spec.name for task in ready[1]}
        for _, members, _ in waiting:
            for task in members:
                task.status, task.exit_code = "FAILED_UPSTREAM", UPSTREAM
        self._wait("ENDING", workflow)
        outcome = _outcome(workflow)
        if outcome != "COMPLETED":
            where = f"view task status at:\n{workflow.overview}\n\nView task error logs at:\n{workflow.overview}"
            workflow.dump(f"\n{RULE}\nWorkflow terminated abnormally, {where}/error_logs\n{RULE}\n")
        workflow.become(outcome)

    def _run_group(self, workflow: Workflow, members: list[Task], ignore_others: bool) -> bool:
        """Run the tasks of a group to their ends; return whether it completed."""
        threads = [
            threading.Thread(target=self._attempts, args=(workflow, task, members, ignore_others), daemon=True)
            for task in members
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        judged = [task for task in members if task.spec.lead] if ignore_others else members
        return all(task.status == "COMPLETED" for task in judged)

    def _groups(self, workflow: Workflow) -> list[tuple[str, list[Task], bool]]:
        return [
            (name, [task for task in workflow.tasks if task.group == name], ignore)
            for name, _, ignore in groups_of(workflow.spec)
        ]

    def _attempts(self, workflow: Workflow, task: Task, members: list[Task], ignore_others: bool) -> None:
        """Run a task until its exit action is not to run it again.

        The lead counts for its whole group, and so does any other task unless those are ignored: started again, it
        makes the others start their command again where they are; ended, it ends them.
        """
        others = [other for other in members if other is not task and (task.spec.lead or not ignore_others)]
        while True:
            code = self._attempt(workflow, task)
            if workflow.canceled:
                task.status = "FAILED_CANCELED"
                return
            if task.ended_by_group:
                task.status = task.ended_by_group
                return
            action = _action(task.spec.exitActions, code)
            task.exit_code = None if code == IMAGE_PULL else code
            task.failure_message = REASON_OF_CODE.get(code, task.failure_message)
            if action == "RESCHEDULE" and task.retry_id >= self.max_retry:
                limit = f"No exit action applied due to retry limit {self.max_retry}."
                task.failure_message = (task.failure_message or "") + limit
                action = "FAIL"
            if action != "RESCHEDULE":
                task.status = "COMPLETED" if action == "COMPLETE" else STATUS_OF_CODE.get(code, "FAILED")
                if task.spec.lead or action != "COMPLETE":
                    _end(others, "COMPLETED" if action == "COMPLETE" else "FAILED")
                return
            for other in others:
                if other.pod and other.status == "RUNNING" and not other.taken:
                    workflow.say(other.label, "Receive restart action", "[osmo]")
                    other.pod.start_again()
            workflow.happen(task.spec.name, "Rescheduled", f"exit code {code}")
            task.status = "RESCHEDULED"
            task.retry_id += 1
            task.taken = None

    def _attempt(self, workflow: Workflow, task: Task) -> int:
        if not self.has_store:
            task.failure_message = "Workflow data credential is not set"
            return SERVER_ERROR
        try:
            pod = self._pod(task, workflow)
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
            workflow.say(task.label, problem)
            return 256
        workflow.happen(task.spec.name, "Started", "container user")
        with self._log_path(workflow, task) as log, self._periodic_uploads(task, pod):
            code = self.runner(pod, log)
            while pod.again and not (task.taken or workflow.canceled or task.ended_by_group):
                pod.again = False  # in the same pod: nothing is downloaded again, and lines keep their label
                code = self.runner(pod, log)
        if task.taken or workflow.canceled or task.ended_by_group:
            return task.taken or code
        if self.broken_uploads:
            self.broken_uploads -= 1
            return max(code, COMMAND_FAILED)  # of several codes OSMO takes the highest
        self._upload(workflow, task, pod)
        return code

    @contextlib.contextmanager
    def _log_path(self, workflow: Workflow, task: Task) -> Iterator[Callable[[str], None]]:
        """Carry log lines to the service, so many a second; those of a pod that is taken away are lost on the way."""
        waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()

        def carry() -> None:
            while (line := waiting.get()) is not None:
                if not task.taken and not workflow.canceled:
                    workflow.say(task.label, line)
                    time.sleep(1 / self.log_lines_per_s)

        carrier = threading.Thread(target=carry, daemon=True)
        carrier.start()
        try:
            yield waiting.put
        finally:
            waiting.put(None)
            carrier.join()

    @contextlib.contextmanager
    def _periodic_uploads(self, task: Task, pod: Pod) -> Iterator[None]:
        """Upload what a task's checkpoint entries name every so often: the first time after one period."""
        over = threading.Event()

        def upload(item: Any) -> None:
            while not over.wait(seconds(item.frequency)):
                self._upload_checkpoint(item, pod)

        for item in task.spec.checkpoint:
            threading.Thread(target=upload, args=(item,), daemon=True).start()
        try:
            yield
        finally:
            over.set()

    def _pod(self, task: Task, workflow: Workflow) -> Pod:
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
            login=self.login,
            memory=int((schema.gib(workflow.spec.resources[task.spec.resource].memory) or 8.0) * 2**30),
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
            elif isinstance(item, TaskInput):
                parent, _, name = item.task.rpartition(":")
                self.own_store.download(f"s3://osmo/{parent or workflow.id}/{name}", into, item.regex)
            workflow.say(task.label, f"Downloaded input {index}", "[osmo]")

    def _upload_checkpoint(self, item: Any, pod: Pod) -> None:
        folder = pod.root / item.path.lstrip("/")
        if folder.is_dir():
            self.storage.upload_folder(folder, item.url, keep_name=True)

    def _upload(self, workflow: Workflow, task: Task, pod: Pod) -> None:
        """Upload checkpoints (once more at the end, as OSMO does) and outputs, whatever the exit code was.

        To OSMO's own store where a later task reads them, and where the task names no place for them.
        """
        for item in task.spec.checkpoint:
            self._upload_checkpoint(item, pod)
        read_here = any(task.spec.name in _upstream([other], workflow) for other in workflow.tasks)
        if read_here or not task.spec.outputs:
            self.own_store.upload_folder(pod.output, f"s3://osmo/{workflow.id}/{task.spec.name}", keep_name=False)
        for item in task.spec.outputs:
            if isinstance(item, Url):
                self.storage.upload_folder(pod.output, item.url, keep_name=False, regex=item.regex)


CLEANUP_S = 2.0
"""Time after which the pods of a group that has completed are deleted [s]."""


def _end(tasks: list[Task], status: str) -> None:
    """End tasks with the one that counts for their group."""
    for task in tasks:
        if task.pod and task.status == "RUNNING":
            threading.Timer(CLEANUP_S if status == "COMPLETED" else 0.0, task.pod.kill).start()
        task.ended_by_group = status


def _with_tokens(spec: Any, neighbours: list[Any], workflow_id: str) -> Any:
    """Return a task with values in place of the tokens, wherever in it they stand."""
    known = {"output": "/osmo/data/output", "workflow_id": workflow_id, "uuid": f"uuid-{workflow_id}"}
    known |= {f"input:{index}": f"/osmo/data/input/{index}" for index in range(len(spec.inputs))}
    known |= {
        f"input:{item.task.rpartition(':')[2]}": f"/osmo/data/input/{index}"
        for index, item in enumerate(spec.inputs)
        if isinstance(item, TaskInput)
    }
    known |= {f"host:{other.name}": "127.0.0.1" for other in neighbours}
    return type(spec).model_validate(tokens(spec.model_dump(), known))


def _action(actions: Mapping[str, str], code: int) -> str:
    for action, ranges in actions.items():
        for part in ranges.split(","):
            first, _, last = part.partition("-")
            if int(first) <= code <= int(last or first):
                return action.upper()
    return "COMPLETE" if code == 0 else "FAIL"


def _upstream(members: list[Task], workflow: Workflow) -> set[str]:
    """Return the names of the tasks of this workflow whose outputs some of its tasks read."""
    names = {task.spec.name for task in workflow.tasks}
    inputs = [item.task for task in members for item in task.spec.inputs if isinstance(item, TaskInput)]
    return {name for name in inputs if name in names}


def _outcome(workflow: Workflow) -> str:
    """Return what the failures of its groups make of a workflow: the one that they share, else a plain failure."""
    if workflow.canceled:
        return "FAILED_CANCELED"
    failed = {task.status for task in workflow.tasks if task.status.startswith("FAILED") and task.spec.lead}
    for worst in ("FAILED_SERVER_ERROR", "FAILED_EXEC_TIMEOUT", "FAILED_QUEUE_TIMEOUT"):
        if worst in failed:
            return worst
    first = failed - {"FAILED_UPSTREAM"}
    return (first.pop() if len(first) == 1 else "FAILED") if failed else "COMPLETED"
