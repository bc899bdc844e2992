"""What Azure ML or its client would refuse late, or worse, accept and let die: checked before anything is sent.

The client (azure-ai-ml 1.35) loads undefined ``${{inputs.x}}``, an instance count of 0, a shared memory size that is
none, an image in capitals and an empty compute without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...errors import UsageError, nearest

LONGEST_VARIABLE = 131_000
"""Longest variable or command [bytes]; Linux takes no string of 131,072 when the container starts."""

_SIZE = re.compile(r"[1-9]\d*[bkmg]?")
_TIME = re.compile(r"[1-9]\d*[smhd]")
_IMAGE = re.compile(
    r"(?:[A-Za-z0-9.-]+(?::\d+)?/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")
_MARK = re.compile(r"\$\{\{\s*([^}]*?)\s*\}\}")


def check_values(*, image: str, shm_size: str, exec_timeout: str, environment_name: str) -> None:
    """Check the settings that are texts with a form of their own.

    Raises:
        UsageError: One is not of its form.
    """
    if not _IMAGE.fullmatch(image):
        raise UsageError(f"'{image}' is no container image", source="--image", allowed="registry/name:tag, lower case")
    if not _SIZE.fullmatch(shm_size):
        raise UsageError(
            f"'{shm_size}' is no size of shared memory", source="--shm-size", allowed="a number and b, k, m or g: 8g"
        )
    if not _TIME.fullmatch(exec_timeout):
        raise UsageError(
            f"'{exec_timeout}' is no time", source="--exec-timeout", allowed="a number and s, m, h or d: 90m"
        )
    if not _NAME.fullmatch(environment_name):
        raise UsageError(
            f"'{environment_name}' is no name of an environment",
            source="--environment-name",
            allowed="letters, digits, '-', '_' and '.'",
        )


def check(document: Mapping[str, Any], source: str) -> None:
    """Check a job document.

    Args:
        document: The job.
        source: Where it comes from, for errors.

    Raises:
        UsageError: It would be refused, or die.
    """
    _check_type(document, source)
    _check_marks(document, source)
    _check_inputs(document.get("inputs") or {}, source)
    _check_resources(document, source)
    for name, value in {**(document.get("environment_variables") or {}), "command": document["command"]}.items():
        if len(str(value).encode()) > LONGEST_VARIABLE:
            raise UsageError(
                f"{name} is too long for a container",
                source=source,
                allowed=f"at most {LONGEST_VARIABLE:,} bytes",
            )


def _check_type(document: Mapping[str, Any], source: str) -> None:
    if document.get("type", "command") != "command" or not document.get("command"):
        raise UsageError("the job file is no command job with a command", source=source, allowed="type: command")
    if document.get("compute", "azureml:x") in ("", "azureml:", None):
        raise UsageError("the compute is empty", source=source, hint="name one, or leave the key out")


def _check_marks(document: Mapping[str, Any], source: str) -> None:
    """Refuse ``${{...}}`` that names nothing, or stands where the service expands nothing."""
    known = {f"{kind}.{name}" for kind in ("inputs", "outputs") for name in document.get(kind) or {}}
    for mark in _MARK.findall(document["command"]):
        if mark not in known:
            close = nearest(mark, known, 1)
            raise UsageError(
                f"the command uses ${{{{{mark}}}}}, which the job does not have",
                source=source,
                allowed=", ".join(sorted(known)),
                hint=f"did you mean {close}?" if close else None,
            )
    for place, text in _texts({name: value for name, value in document.items() if name != "command"}):
        if "${{" in text:
            found = text[text.index("${{") :][:40]
            raise UsageError(f"Azure ML expands nothing in {place}: {found}", source=source)


def _check_inputs(inputs: Mapping[str, Any], source: str) -> None:
    for name, value in inputs.items():
        if isinstance(value, Mapping):
            continue
        text = str(value)
        if not text.strip():
            raise UsageError(f"input {name} is empty, which Azure ML refuses", source=source, hint="none stands for it")
        if any(mark in text for mark in "'\n\r\0"):
            raise UsageError(
                f"input {name} holds a quote or a line break, which would end its place in the command",
                source=source,
            )


def _check_resources(document: Mapping[str, Any], source: str) -> None:
    resources, distribution = document.get("resources") or {}, document.get("distribution") or {}
    counts = {
        "instance_count": resources.get("instance_count", 1),
        "process_count_per_instance": distribution.get("process_count_per_instance", 1),
    }
    for name, count in counts.items():
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise UsageError(f"{name} is {count!r}", source=source, allowed="1 or more")
    size = resources.get("shm_size")
    if size is not None and not _SIZE.fullmatch(str(size)):
        raise UsageError(f"shm_size is {size!r}", source=source, allowed="a number and b, k, m or g: 8g")
    image = (document.get("environment") or {}) if isinstance(document.get("environment"), Mapping) else {}
    if "image" in image and not _IMAGE.fullmatch(str(image["image"])):
        raise UsageError(f"'{image['image']}' is no container image", source=source)


def _texts(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text of a document with the path to it."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _texts(part, f"{place}.{name}".lstrip("."))
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part, place)
    elif isinstance(value, str):
        yield place, value
