"""Checks of a job document, made before anything is sent.

The client (azure-ai-ml 1.35) accepts an undefined ``${{inputs.x}}``, an instance count of 0, a malformed shared memory
size, an image in capitals and an empty compute; the service then refuses them late, or starts a job that dies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from gaitway_runtime.spec.types import Json, JsonObject, object_at

from ...errors import UsageError, nearest
from ..base import Submission
from .options import AzuremlOptions, ChosenOptions
from .template import placeholders

LONGEST_DISPLAY_NAME = 255
LONGEST_VARIABLE = 131_000
"""Longest variable or command [bytes]; Linux takes no string of 131,072 when the container starts."""

_SIZE = re.compile(r"[1-9]\d*[bkmg]?")
_TIME = re.compile(r"[1-9]\d*[smhd]")
_IMAGE = re.compile(
    r"(?:[A-Za-z0-9.-]+(?::\d+)?/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")
_ENVIRONMENT = re.compile(
    r"azureml:[A-Za-z0-9][\w.-]*(?::[\w.-]+|@latest)"
    r"|azureml://registries/[\w.-]+/environments/[\w.-]+/(?:versions/[\w.-]+|labels/latest)"
)
_OUTPUT_PATH = re.compile(r"outputs\.\w+\.path")
_INPUT_PATH = re.compile(r"inputs\.\w+\.path")
_PARENT = re.compile(r"\$\{\{parent\.jobs\.\w+\.outputs\.\w+\}\}")
PATH_MARKS = ("name", "output_name", "default_datastore")
"""What Azure ML expands in the path of an output (how-to-read-write-data-v2)."""


def check_options(submission: Submission, settings: ChosenOptions) -> None:
    """Check the settings of a submission: formats of texts, names that Azure ML refuses, settings that exclude another.

    Raises:
        UsageError: One does not match its format, or has no meaning beside another.
    """
    options = settings.options
    if not _IMAGE.fullmatch(options.image):
        raise UsageError(
            f"'{options.image}' is not a container image", source="--image", allowed="registry/name:tag, lower case"
        )
    if not _SIZE.fullmatch(options.shm_size):
        raise UsageError(
            f"'{options.shm_size}' is not a size of shared memory",
            source="--shm-size",
            allowed="a number and b, k, m or g: 8g",
        )
    if not _TIME.fullmatch(settings.exec_timeout):
        raise UsageError(
            f"'{settings.exec_timeout}' is not a time",
            source="--exec-timeout",
            allowed="a number and s, m, h or d: 90m",
        )
    _check_names(submission, settings)
    _check_environment(submission, options)
    if options.job_tier and settings.compute is not None:
        raise UsageError(
            f"compute {settings.compute} has no job tier: tiers are for serverless compute",
            source=f"job_tier = {options.job_tier} ({submission.settings['job_tier'].origin})",
            hint="--compute serverless, or a low-priority compute cluster without --job-tier",
        )
    if settings.compute is None and settings.instance_type and not settings.instance_type.startswith("Standard_"):
        raise UsageError(
            f"'{settings.instance_type}' is not a VM size, which serverless compute needs",
            source=f"instance_type = {settings.instance_type} ({submission.settings['instance_type'].origin})",
            allowed="Standard_NC24ads_A100_v4 and the like",
            hint="az ml compute list-sizes",
        )


def _check_names(submission: Submission, settings: ChosenOptions) -> None:
    registered = getattr(submission.job, "register_checkpoint", None)
    names = {
        "--environment-name": (settings.options.environment_name, "an environment"),
        "--environment-version": (settings.environment_version, "an environment's version"),
        "--experiment-name": (settings.experiment, "an experiment"),
        "--register-checkpoint": (registered or "x", "a registered model"),
    }
    for flag, (name, what) in names.items():
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"'{_short(name)}' is not a name for {what}",
                source=flag,
                allowed="letters, digits, '-', '_' and '.', at most 255, a letter or digit first",
            )
    if len(settings.display_name) > LONGEST_DISPLAY_NAME:
        raise UsageError(
            f"'{_short(settings.display_name)}' is too long to be shown by Azure ML",
            source="--display-name",
            allowed=f"at most {LONGEST_DISPLAY_NAME} characters",
        )


def _check_environment(submission: Submission, options: AzuremlOptions) -> None:
    if options.environment is None:
        return
    if not _ENVIRONMENT.fullmatch(options.environment):
        raise UsageError(
            f"'{options.environment}' is not an environment",
            source="--environment",
            allowed="azureml:NAME:VERSION, azureml:NAME@latest or "
            "azureml://registries/REGISTRY/environments/NAME/versions/VERSION",
        )
    for key in ("image", "environment_name", "environment_version"):
        if key in submission.settings and submission.settings[key].origin.layer == "cli":
            raise UsageError(
                f"--environment and {submission.settings[key].origin.detail} exclude each other", source="--environment"
            )


def check_document(document: JsonObject, source: str) -> None:
    """Check a job document.

    Args:
        document: The job.
        source: Where the document comes from, for errors.

    Raises:
        UsageError: Azure ML would refuse the job, or start it and let it fail.
    """
    if document.get("type") == "pipeline":
        for name, step in object_at(document, "jobs").items():
            if isinstance(step, Mapping):
                check_document(step, f"step {name} of {source}")
        return
    _check_type(document, source)
    _check_marks(document, source)
    _check_inputs(object_at(document, "inputs"), source)
    _check_resources(document, source)
    for name, value in {**object_at(document, "environment_variables"), "command": document["command"]}.items():
        if len(str(value).encode()) > LONGEST_VARIABLE:
            raise UsageError(
                f"{name} is too long for a container",
                source=source,
                allowed=f"at most {LONGEST_VARIABLE:,} bytes",
            )


def _check_type(document: JsonObject, source: str) -> None:
    if document.get("type", "command") != "command" or not document.get("command"):
        raise UsageError("the job file is not a command job with a command", source=source, allowed="type: command")
    if document.get("compute", "azureml:x") in ("", "azureml:", None):
        raise UsageError(
            "the compute is empty", source=source, hint="name one, or leave the key out for serverless compute"
        )


def _check_marks(document: JsonObject, source: str) -> None:
    """Refuse a ``${{...}}`` that names nothing, or that is in a place where the service does not expand it."""
    known = {f"{kind}.{name}" for kind in ("inputs", "outputs", "search_space") for name in object_at(document, kind)}
    for mark in placeholders(str(document["command"])):
        if mark not in known:
            close = nearest(mark, known, 1)
            raise UsageError(
                f"the command uses ${{{{{mark}}}}}, which the job does not have",
                source=source,
                allowed=", ".join(sorted(known)),
                hint=f"did you mean {close}?" if close else None,
            )
    for place, text in _texts({name: value for name, value in document.items() if name != "command"}):
        allowed = PATH_MARKS if _OUTPUT_PATH.fullmatch(place) else ()
        if _INPUT_PATH.fullmatch(place) and _PARENT.fullmatch(text):
            continue
        found = next((mark for mark in placeholders(text) if mark not in allowed), None)
        if found is not None:
            raise UsageError(
                f"Azure ML does not expand ${{{{{found}}}}} in {place}",
                source=source,
                allowed=", ".join(f"${{{{{mark}}}}}" for mark in allowed) or None,
            )


def _check_inputs(inputs: JsonObject, source: str) -> None:
    for name, value in inputs.items():
        if isinstance(value, Mapping):
            continue
        text = str(value)
        if not text.strip():
            raise UsageError(
                f"input {name} is empty, which Azure ML refuses", source=source, hint="write none for no value"
            )
        if any(mark in text for mark in "'\n\r\0"):
            raise UsageError(
                f"input {name} holds a quote or a line break, which would end its quotes in the command",
                source=source,
            )


def _check_resources(document: JsonObject, source: str) -> None:
    resources, distribution = object_at(document, "resources"), object_at(document, "distribution")
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
    image = object_at(document, "environment")
    if "image" in image and not _IMAGE.fullmatch(str(image["image"])):
        raise UsageError(f"'{image['image']}' is not a container image", source=source)


def _texts(value: Json, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text of a document with the path to it."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _texts(part, f"{place}.{name}".lstrip("."))
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part, place)
    elif isinstance(value, str):
        yield place, value


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
