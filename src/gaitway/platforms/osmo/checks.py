"""Checks of a workflow document against everything that OSMO refuses, or accepts and then fails.

OSMO's own dry run only renders; its validation needs the server and files every failure under a number of its own.
The rules are those of OSMO 6.2 to 6.4 and of the Kubernetes and Linux below it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import UsageError, nearest
from .payload import INLINE_LIMIT

MAX_NAME = 64
MAX_TASKS = 20
MAX_LABELS = 16
MAX_TEXT = 100_000
"""Longest argument or variable [bytes]. Linux refuses 131,072 when the container starts; nothing needs as much."""

NAME = re.compile(r"[a-zA-Z]([a-zA-Z0-9_-]*[a-zA-Z0-9])?")
LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
LABEL_PREFIX = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
SIZE = re.compile(r"\d+(\.\d+)?(Ki|Mi|Gi|Ti|Pi|K|M|G|T|P|B)?")
TIME = re.compile(r"\d+[smhd]")
EXIT_CODES = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")
STORAGE_URL = re.compile(
    r"(s3|gs)://[^/,;*?]+(/[^,;*?]+)*|(azure|tos)://[^/,;*?]+(/[^/,;*?]+)+|swift://[^/,;*?]+(/[^/,;*?]+){2,}"
)
TOKEN = re.compile(r"\{\{(output|uuid|workflow_id|input:[^{}\s]+|host:[^{}\s]+)\}\}")
"""OSMO's own tokens, in the one spelling that rendering keeps."""

_OPENERS = ("{{", "{%", "{#")

KEYS: dict[str, frozenset[str]] = {
    "file": frozenset({"workflow"}),
    "workflow": frozenset({"name", "tasks", "groups", "resources", "timeout", "pool", "backend", "labels"}),
    "group": frozenset({"name", "tasks", "barrier", "ignoreNonleadStatus"}),
    "task": frozenset(
        {"name", "image", "command", "args", "environment", "files", "inputs", "outputs", "credentials", "resource"}
        | {"lead", "checkpoint", "exitActions", "privileged", "hostNetwork", "volumeMounts", "downloadType"}
        | {"cacheSize", "kpis", "backend"}
    ),
    "resource": frozenset({"cpu", "gpu", "memory", "storage", "platform", "nodesExcluded", "topology"}),
    "timeout": frozenset({"exec_timeout", "queue_timeout"}),
    "mounted file": frozenset({"path", "contents", "localpath", "base64"}),
    "checkpoint": frozenset({"path", "url", "frequency", "regex"}),
}
"""Keys that OSMO knows; it refuses any other."""


def check(document: Mapping[str, object], source: str, folder: Path | None = None) -> None:
    """Check a rendered workflow document.

    Args:
        document: The document, without ``default-values``.
        source: What to call it in errors.
        folder: Where local files of the document lie, if they are to be looked at.

    Raises:
        UsageError: OSMO or its cluster would not run it; the error says which part and why.
    """
    _keys(document, "file", source)
    workflow = document.get("workflow")
    if not isinstance(workflow, Mapping):
        raise UsageError("there is no workflow in the document", source=source)
    _keys(workflow, "workflow", f"{source}: workflow")
    _name(workflow.get("name"), "workflow", source)
    _resources(workflow, source)
    _groups(workflow, source)
    for task in tasks_of(workflow):
        _task(task, workflow, f"{source}: task {task.get('name')}", folder)


def check_labels(labels: Sequence[str]) -> None:
    """Check labels of a workflow, which Kubernetes puts on its pods.

    Raises:
        UsageError: One is not ``KEY=VALUE`` as Kubernetes has it, or there are too many.
    """
    for label in labels:
        key, equals, value = label.partition("=")
        prefix, _, name = key.rpartition("/")
        good = equals and LABEL.fullmatch(name) and LABEL.fullmatch(value) and "/" not in prefix
        if not good or (prefix and not LABEL_PREFIX.fullmatch(prefix)):
            raise UsageError(
                f"'{label}' cannot be a label",
                source="--label",
                allowed="KEY=VALUE, each at most 63 of letters, digits, '-', '_' and '.', letter or digit at both ends",
            )
    if len(labels) > MAX_LABELS:
        raise UsageError(f"{len(labels)} labels are given", source="--label", allowed=f"at most {MAX_LABELS}")


def check_marks(value: Any, source: str) -> None:
    """Refuse text that OSMO would render: what looks like a template, and is none of its own tokens.

    Raises:
        UsageError: There is some; the error says where.
    """
    for path, text in _texts(value):
        rest = TOKEN.sub("", text)
        mark = next((mark for mark in _OPENERS if mark in rest), None)
        if mark:
            raise UsageError(f"OSMO would render '{mark}' in {path}", source=source, hint=f"write it without '{mark}'")


def tasks_of(workflow: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return every task of a workflow."""
    grouped = [task for group in workflow.get("groups") or [] for task in group.get("tasks") or []]
    return [*(workflow.get("tasks") or []), *grouped]


def _keys(value: Any, kind: str, source: str) -> None:
    if not isinstance(value, Mapping):
        raise UsageError(f"a {kind} is not a mapping", source=source)
    unknown = next((key for key in value if key not in KEYS[kind]), None)
    if unknown is not None:
        close = nearest(str(unknown), KEYS[kind], 1)
        raise UsageError(
            f"OSMO knows no '{unknown}' in a {kind}", source=source, hint=f"did you mean {close}?" if close else None
        )


def _name(name: Any, kind: str, source: str) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        allowed = "letters, digits, '-' and '_', first a letter, last no sign"
        raise UsageError(f"'{name}' cannot be the name of a {kind}", source=source, allowed=allowed)
    if len(name) > MAX_NAME:
        raise UsageError(f"the {kind}'s name has {len(name)} characters", source=source, allowed=f"at most {MAX_NAME}")


def _resources(workflow: Mapping[str, Any], source: str) -> None:
    for label, resource in (workflow.get("resources") or {}).items():
        where = f"{source}: resource {label}"
        _keys(resource, "resource", where)
        for key in ("cpu", "gpu"):
            if key in resource and (type(resource[key]) is not int or resource[key] < 0):
                raise UsageError(f"{key} is not a count: {resource[key]}", source=where, allowed="0, 1, 2, ...")
        for key in ("memory", "storage"):
            if key in resource and not SIZE.fullmatch(str(resource[key])):
                raise UsageError(
                    f"{key} is not a size that OSMO reads: {resource[key]}", source=where, allowed="32Gi, 512Mi, ..."
                )
    timeout = workflow.get("timeout") or {}
    _keys(timeout, "timeout", f"{source}: timeout")
    for key, value in timeout.items():
        if not isinstance(value, int | float) and not TIME.fullmatch(str(value)):
            raise UsageError(
                f"{key} is not a time that OSMO reads: {value}", source=source, allowed="90s, 30m, 23h, 2d"
            )


def _groups(workflow: Mapping[str, Any], source: str) -> None:
    tasks, groups = workflow.get("tasks") or [], workflow.get("groups") or []
    if bool(tasks) == bool(groups):
        raise UsageError("a workflow has either tasks or groups", source=source)
    for group in groups:
        where = f"{source}: group {group.get('name')}"
        _keys(group, "group", where)
        _name(group.get("name"), "group", where)
        members = group.get("tasks") or []
        leads = sum(bool(task.get("lead")) for task in members)
        if len(members) > 1 and leads != 1:
            raise UsageError(f"the group has {leads} leads", source=where, allowed="exactly one task with lead: true")
    every = tasks_of(workflow)
    if len(every) > MAX_TASKS:
        raise UsageError(f"the workflow has {len(every)} tasks", source=source, allowed=f"at most {MAX_TASKS}")
    _order(tasks or groups, source)
    names = [group.get("name") for group in groups] + [task.get("name") for task in every]
    plain = [str(name).lower().replace("_", "-") for name in names]
    twice = next((name for name, key in zip(names, plain, strict=True) if plain.count(key) > 1), None)
    if twice is not None:
        raise UsageError(f"two tasks or groups are called {twice}", source=source)


def _order(groups: Sequence[Mapping[str, Any]], source: str) -> None:
    """Refuse a task that reads one which stands after it: OSMO takes tasks, and groups, as they are written."""
    above: set[str] = set()
    for group in groups:
        members = group.get("tasks") or [group]
        for task in members:
            for item in task.get("inputs") or []:
                name = str(item.get("task", ""))
                if name and ":" not in name and name not in above:
                    raise UsageError(
                        f"task {task.get('name')} reads task {name}, which does not stand before it", source=source
                    )
        above |= {str(task.get("name")) for task in members}


def _task(task: Mapping[str, Any], workflow: Mapping[str, Any], source: str, folder: Path | None) -> None:
    _keys(task, "task", source)
    _name(task.get("name"), "task", source)
    for key in ("image", "command"):
        if not task.get(key):
            raise UsageError(f"the task has no {key}", source=source)
    if task.get("resource", "default") not in (workflow.get("resources") or {"default": {}}):
        raise UsageError(f"the task asks for an undefined resource: {task['resource']}", source=source)
    _texts_of_task(task, source)
    _urls(task, source)
    _exit_actions(task, source)
    for entry in task.get("files") or []:
        _mounted(entry, source, folder)
    _dangling(task, workflow, source)


def _texts_of_task(task: Mapping[str, Any], source: str) -> None:
    words = [*(task.get("command") or []), *(task.get("args") or [])]
    environment = task.get("environment") or {}
    for name, value in environment.items():
        if not isinstance(value, str):
            raise UsageError(f"variable {name} is not a text: {value}", source=source, hint=f"quote it: '{value}'")
    for label, text in [("an argument", word) for word in words] + [
        (f"variable {k}", v) for k, v in environment.items()
    ]:
        size = len(str(text).encode())
        if size > MAX_TEXT:
            raise UsageError(
                f"{label} has {size:,} bytes; the container would not start",
                source=source,
                allowed=f"at most {MAX_TEXT:,}",
                hint="mount it as a file: files: with base64: true",
            )


def _urls(task: Mapping[str, Any], source: str) -> None:
    items = [*(task.get("inputs") or []), *(task.get("outputs") or []), *(task.get("checkpoint") or [])]
    for item in task.get("checkpoint") or []:
        _keys(item, "checkpoint", source)
    for item in items:
        url = item.get("url")
        if url is not None and not STORAGE_URL.fullmatch(str(url)):
            raise UsageError(
                f"OSMO cannot read or write {url}",
                source=source,
                allowed="azure://ACCOUNT/CONTAINER/PATH, s3://, gs://, swift://, tos://",
            )


def _exit_actions(task: Mapping[str, Any], source: str) -> None:
    for action, codes in (task.get("exitActions") or {}).items():
        if str(action).upper() not in ("COMPLETE", "FAIL", "RESCHEDULE") or not EXIT_CODES.fullmatch(str(codes)):
            raise UsageError(f"exit action {action}: {codes} is not one of OSMO's", source=source)


def _mounted(entry: Mapping[str, Any], source: str, folder: Path | None) -> None:
    _keys(entry, "mounted file", source)
    path = str(entry.get("path", ""))
    where = f"{source}: file {path}"
    if not path.startswith("/") or path.split("/")[1] == "osmo":
        raise UsageError(f"a file cannot be mounted at '{path}'", source=source, allowed="absolute paths outside /osmo")
    if ("contents" in entry) == ("localpath" in entry):
        raise UsageError("a mounted file has either contents or a localpath", source=where)
    contents = entry.get("contents")
    if contents is None and folder is not None:
        contents = _read(folder / str(entry["localpath"]), where)
    if contents is None:
        return
    size = _decoded_size(contents, where) if entry.get("base64") else len(str(contents).encode())
    if size > INLINE_LIMIT:
        raise UsageError(
            f"a mounted file has {size:,} bytes; the workflow would be accepted and fail",
            source=where,
            allowed=f"at most {INLINE_LIMIT:,}",
        )


def _read(path: Path, where: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the local file {path} cannot be read: {error.strerror}", source=where) from None
    except UnicodeDecodeError:
        raise UsageError(
            f"the local file {path} is not text", source=where, hint="encode it, and say base64: true"
        ) from None


def _decoded_size(contents: str, where: str) -> int:
    try:
        return len(base64.b64decode("".join(contents.split()), validate=True))
    except (binascii.Error, ValueError):
        raise UsageError("the contents are not base64", source=where) from None


def _dangling(task: Mapping[str, Any], workflow: Mapping[str, object], source: str) -> None:
    """Refuse tokens that name nothing: OSMO would leave them in the text."""
    inputs = task.get("inputs") or []
    known = {f"input:{index}" for index in range(len(inputs))}
    known |= {f"input:{item['task'].rpartition(':')[2]}" for item in inputs if "task" in item}
    known |= {f"host:{other.get('name')}" for other in _neighbours(task, workflow)} | {"output", "workflow_id", "uuid"}
    for path, text in _texts(task):
        unknown = next((match[1] for match in TOKEN.finditer(text) if match[1] not in known), None)
        if unknown:
            raise UsageError(
                f"{{{{{unknown}}}}} in {path} names nothing", source=source, allowed=", ".join(sorted(known))
            )


def _neighbours(task: Mapping[str, object], workflow: Mapping[str, Any]) -> list[Mapping[str, object]]:
    for group in workflow.get("groups") or []:
        if any(member is task for member in group["tasks"]):
            return list(group["tasks"])
    return [task]


def _texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text of a document with its path, base64 contents left out."""
    match value:
        case str():
            yield path or "the text", value
        case Mapping():
            for key, item in value.items():
                if not (key == "contents" and value.get("base64")):
                    yield from _texts(item, f"{path}.{key}" if path else str(key))
        case list() | tuple():
            for index, item in enumerate(value):
                yield from _texts(item, f"{path}[{index}]")
