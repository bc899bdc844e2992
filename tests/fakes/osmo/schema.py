"""OSMO's workflow schema: strict, with the messages that the service answers."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from .errors import OsmoError

NAME = r"^[a-zA-Z]([a-zA-Z0-9_-]*[a-zA-Z0-9])?$"
LABEL = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
CODES = re.compile(r"^(\d+(-\d+)?)+(,\d+(-\d+)?)*$")
TIMEOUT = re.compile(r"^\d+(s|m|h|d)$")
UNIT = re.compile(r"^\d+(\.\d+)?(B|Ki|Mi|Gi|Ti|Pi|K|M|G|T|P|E|Ei|m)?$")
SCHEMES = ("s3://", "gs://", "azure://", "swift://", "tos://")
MAX_TASKS = 20
MAX_NAME = 64

Name = Annotated[str, Field(pattern=NAME)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Url(Strict):
    url: str
    regex: str = ""


class TaskInput(Strict):
    """Outputs of a task: ``name`` in the same workflow, ``workflow:name`` in another."""

    task: str
    regex: str = ""


class DatasetSpec(Strict):
    name: str
    path: str = ""
    metadata: list[str] = []
    labels: list[str] = []
    regex: str = ""
    localpath: str | None = None


class Dataset(Strict):
    dataset: DatasetSpec


class Checkpoint(Strict):
    path: str
    url: str
    frequency: str | int
    regex: str = ""


class File(Strict):
    path: str
    contents: str
    base64: bool = False

    @pydantic.field_validator("path")
    @classmethod
    def not_osmo(cls, path: str) -> str:
        parts = [part for part in path.split("/") if part]
        if not parts or (parts[0] == "osmo" and not path.startswith("/osmo/data/output/")):
            raise ValueError(f'Empty path or adding file to "/osmo" is forbidden for file: {path}')
        return path


class TaskBase(Strict):
    name: Name
    image: str
    command: list[str]
    args: list[str] = []
    environment: dict[str, str] = {}
    files: list[File] = []
    credentials: dict[str, str | dict[str, str]] = {}
    resource: str = "default"
    lead: bool = False
    checkpoint: list[Checkpoint] = []
    exitActions: dict[str, str] = {}  # noqa: N815
    privileged: bool = False
    hostNetwork: bool = False  # noqa: N815
    volumeMounts: list[str] = []  # noqa: N815
    downloadType: str | None = None  # noqa: N815
    cacheSize: str | None = None  # noqa: N815
    backend: str = ""

    @pydantic.field_validator("command")
    @classmethod
    def some_command(cls, command: list[str]) -> list[str]:
        if not command:
            raise ValueError("Container should have at least one command.")
        return command

    @pydantic.field_validator("files")
    @classmethod
    def distinct_files(cls, files: list[File]) -> list[File]:
        paths = [file.path for file in files]
        if len(set(paths)) != len(paths):
            raise ValueError("multiple files at the same path. Each file path must be unique.")
        return files

    @pydantic.field_validator("exitActions")
    @classmethod
    def known_actions(cls, actions: dict[str, str]) -> dict[str, str]:
        for action, codes in actions.items():
            if action.upper() not in ("COMPLETE", "FAIL", "RESCHEDULE"):
                raise ValueError(f"Invalid exit action {action}.")
            if not CODES.fullmatch(codes):
                raise ValueError(f"Invalid exit codes {codes} for action {action}.")
        return actions


class TaskWithDatasets(TaskBase):
    inputs: list[TaskInput | Dataset | Url] = []
    outputs: list[Dataset | Url] = []


class TaskWithoutDatasets(TaskBase):
    inputs: list[TaskInput | Url] = []
    outputs: list[Url] = []


class Resource(Strict):
    cpu: int | None = None
    gpu: int | None = None
    memory: str | None = None
    storage: str | None = None
    platform: str | None = None
    nodesExcluded: list[str] = []  # noqa: N815
    topology: list[dict[str, Any]] = []


class Timeout(Strict):
    exec_timeout: str | int | None = None
    queue_timeout: str | int | None = None


def model(datasets: bool) -> type[BaseModel]:
    """Return the model of a whole file, for a release with or without datasets."""
    task_type = TaskWithDatasets if datasets else TaskWithoutDatasets

    class Group(Strict):
        name: Name
        tasks: list[task_type]  # type: ignore[valid-type]
        barrier: bool = True
        ignoreNonleadStatus: bool = True  # noqa: N815

    class Workflow(Strict):
        name: Name
        pool: str = ""
        groups: list[Group] = []
        tasks: list[task_type] = []  # type: ignore[valid-type]
        resources: dict[str, Resource] = {"default": Resource()}
        timeout: Timeout = Timeout()

    if not datasets:

        class LabelledWorkflow(Workflow):
            labels: dict[str, str] = {}  # noqa: RUF012

        Workflow = LabelledWorkflow  # noqa: N806

    class VersionedWorkflowSpec(Strict):
        version: Literal[2] = 2
        workflow: Workflow

    return VersionedWorkflowSpec


def check(document: Any, *, datasets: bool) -> Any:
    """Return the parsed workflow, or answer as the service does."""
    name = (document or {}).get("workflow", {}).get("name", "")
    if isinstance(name, str) and len(name) > MAX_NAME:
        raise OsmoError("USER", f"Name {name} is too long. It must be {MAX_NAME} characters or less.")
    try:
        workflow = model(datasets).model_validate(document).workflow  # type: ignore[attr-defined]
    except pydantic.ValidationError as error:
        raise OsmoError("USAGE", str(error)) from None
    if bool(workflow.groups) == bool(workflow.tasks):
        both = "Cannot use both groups and tasks in the same workflow."
        none = "Workflows need to have at least one group or one task."
        raise OsmoError("USAGE", both if workflow.tasks else none)
    _check_groups(workflow)
    _check_resources(workflow)
    return workflow


def groups_of(workflow: Any) -> list[tuple[str, list[Any], bool]]:
    """Return ``(group name, tasks, ignore non-lead status)``; bare tasks are groups of one."""
    if workflow.groups:
        return [(group.name, group.tasks, group.ignoreNonleadStatus) for group in workflow.groups]
    return [(f"{task.name}-group", [task], True) for task in workflow.tasks]


def seconds(frequency: str | int) -> float:
    """Return a time as OSMO writes it in seconds."""
    if isinstance(frequency, int):
        return frequency
    return float(frequency[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[frequency[-1]]


def gib(text: str | None) -> float | None:
    """Return a size as OSMO writes it in GiB."""
    if text is None:
        return None
    for unit, factor in (("Gi", 1.0), ("Mi", 1 / 1024), ("Ti", 1024.0), ("Ki", 1 / 1024**2)):
        if text.endswith(unit):
            return float(text[: -len(unit)]) * factor
    return 0.0


def _check_groups(workflow: Any) -> None:
    groups = groups_of(workflow)
    names: set[str] = set()
    for group_name, tasks, _ in groups:
        leads = sum(task.lead for task in tasks)
        if len(tasks) > 1 and leads != 1:
            raise OsmoError("USAGE", f'Group "{group_name}" has {leads} leader(s) but must have exactly one.')
        if len(tasks) == 1:
            tasks[0].lead = True
        for name in (*([group_name] if workflow.groups else []), *(task.name for task in tasks)):
            plain = name.lower().replace("_", "-")
            if plain in names:
                raise OsmoError("USAGE", f'Multiple tasks/groups have the same name: "{plain}".')
            names.add(plain)
    _check_order(groups)
    count = sum(len(tasks) for _, tasks, _ in groups)
    if count > MAX_TASKS:
        raise OsmoError("USAGE", f"Workflow has {count} tasks, more than the {MAX_TASKS} allowed.")
    for _, tasks, _ in groups:
        for task in tasks:
            if task.resource not in workflow.resources:
                raise OsmoError("RESOURCE", f"Requesting undefined resource {task.resource}.")
            _check_urls(task)


def _check_order(groups: list[tuple[str, list[Any], bool]]) -> None:
    """Refuse a task that reads one which stands after it: OSMO takes groups as they are written."""
    group_of = {task.name: name for name, tasks, _ in groups for task in tasks}
    above: set[str] = set()
    for name, tasks, _ in groups:
        for item in (item for task in tasks for item in task.inputs if isinstance(item, TaskInput)):
            if ":" in item.task:
                continue
            if item.task not in group_of:
                raise OsmoError("SUBMISSION", f"Task input {item.task} does not exist.")
            if group_of[item.task] not in above:
                told = f'Group "{name}" requires input group "{group_of[item.task]}" exists before itself.'
                raise OsmoError("USAGE", told)
        above.add(name)


def _check_urls(task: Any) -> None:
    urls = [item.url for item in (*task.inputs, *task.outputs) if isinstance(item, Url)]
    for url in (*urls, *(item.url for item in task.checkpoint)):
        if not url.startswith(SCHEMES):
            raise OsmoError("SERVER", f"Unknown URI scheme: {url}")
        if url.startswith("gs://"):
            raise OsmoError("CREDENTIAL", f"Could not find {url.split('/')[2]} credential for gs.")


def _check_resources(workflow: Any) -> None:
    for resource in workflow.resources.values():
        for field in ("memory", "storage"):
            value = getattr(resource, field)
            if value is not None and not UNIT.match(value):
                unit = re.sub(r"^[\d.]+", "", value)
                raise OsmoError("RESOURCE", f"Resource {field} field has invalid unit: {unit}")
    for value in (workflow.timeout.exec_timeout, workflow.timeout.queue_timeout):
        if isinstance(value, str) and not TIMEOUT.match(value):
            raise OsmoError("USAGE", f"Invalid timeout: {value}")


def check_labels(pairs: list[str]) -> None:
    """Refuse labels that Kubernetes would not take, and more than 16."""
    for key, equals, value in (pair.partition("=") for pair in pairs):
        if not equals or not LABEL.fullmatch(key.rpartition("/")[2]) or not LABEL.fullmatch(value):
            raise OsmoError("USAGE", f'Workflow label value "{value}" is not a valid non-empty Kubernetes label value.')
    if len(pairs) > 16:
        raise OsmoError("USAGE", "Workflows can have at most 16 labels.")
