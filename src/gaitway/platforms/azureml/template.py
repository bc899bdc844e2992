"""A user's own job file (``--job-file``), merged with the request of a submission.

The file keeps its own values. A setting takes the place of one only where somebody typed a flag or set a variable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gaitway_runtime.spec.types import Json, JsonObject, object_at

from ...errors import UsageError
from ..base import Submission
from .options import experiment_of

PARTS = {
    "compute": "compute",
    "instance_type": "resources",
    "shm_size": "resources",
    "num_nodes": "resources",
    "num_gpus": "distribution",
    "exec_timeout": "limits",
    "priority": "queue_settings",
    "job_tier": "queue_settings",
    "identity": "identity",
    "services": "services",
    "image": "environment",
    "environment": "environment",
    "environment_name": "environment",
    "environment_version": "environment",
    "experiment": "experiment_name",
    "display_name": "display_name",
}
"""Part of a job file that each setting replaces."""

KEYS = {
    "instance_type": "instance_type",
    "shm_size": "shm_size",
    "num_nodes": "instance_count",
    "num_gpus": "process_count_per_instance",
    "exec_timeout": "timeout",
    "priority": "priority",
    "job_tier": "job_tier",
}
"""Key of its part that each setting is."""

OURS = ("JOB_KIND", "GAITWAY_PLATFORM", "GAITWAY_CONTEXT", "POLICY_CONTRACT")
"""Variables that tell the runtime which job this is; a file's own value of any other variable is kept."""

UNSET = (None, "", "none")


@dataclass(frozen=True)
class Merge:
    """A job file after the merge, and what the plan says of it."""

    document: dict[str, Json]
    notes: tuple[str, ...]


def merged(own: JsonObject, ours: JsonObject, submission: Submission, name: str) -> Merge:
    """Return a user's job file with the payload, and with the settings that somebody typed.

    Args:
        own: The job file.
        ours: The document that gaitway would submit without it.
        submission: The submission.
        name: The file's name, for the notes.
    """
    typed = _typed(submission)
    inputs, notes = _inputs(own, ours, typed, name)
    found: dict[str, Json] = {
        **own,
        "code": ours["code"],
        "inputs": inputs,
        "outputs": {**object_at(own, "outputs"), **_by_flag(ours, "outputs", submission, "data_outputs")},
        "environment_variables": _variables(own, ours),
        "tags": {**object_at(own, "tags"), **object_at(ours, "tags"), **_task_tag(inputs)},
    }
    for part in ("environment", "display_name"):
        if part not in own and part in ours:
            found[part] = ours[part]
    if "compute" not in own and "compute" in ours and "instance_type" not in object_at(own, "resources"):
        found["compute"] = ours["compute"]
    if "experiment_name" not in own:
        found["experiment_name"] = _experiment(inputs, ours, submission)
    for key in typed:
        if key in PARTS and PARTS[key] in ours:
            _set(found, key, ours)
            notes.append(f"{_origin(submission, key)} takes the place of {PARTS[key]} in {name}")
    if not found["outputs"]:
        del found["outputs"]
    return Merge(found, tuple(notes))


def load_job_file(path: Path, source: str) -> dict[str, Json]:
    """Read a job file.

    Raises:
        UsageError: It cannot be read, or is not a YAML document with keys.
    """
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the job file cannot be read: {error}", source=source) from None
    except yaml.YAMLError as error:
        raise UsageError(f"the job file is not YAML: {' '.join(str(error).split())}", source=source) from None
    if not isinstance(found, dict):
        raise UsageError("the job file is not a YAML document with keys", source=source)
    return found


def _typed(submission: Submission) -> list[str]:
    return [key for key, setting in submission.settings.items() if setting.origin.layer in ("cli", "env")]


def _inputs(own: JsonObject, ours: JsonObject, typed: list[str], name: str) -> tuple[dict[str, Json], list[str]]:
    """Return a file's inputs with the typed settings in their places, and notes on what won."""
    mine, theirs = object_at(ours, "inputs"), object_at(own, "inputs")
    found: dict[str, Json] = dict(theirs)
    notes = []
    for key, value in theirs.items():
        if key not in mine or mine[key] == value:
            continue
        if key in typed or value in UNSET:
            found[key] = mine[key]
            if value not in UNSET:
                notes.append(f"{key} = {mine[key]} as typed; {name} has {value}")
        else:
            notes.append(f"{key} = {value} as {name} has it")
    absent = [key for key in typed if key in mine and key not in theirs]
    if absent:
        notes.append(f"no effect on the job, {name} has no input of that name: {', '.join(absent)}")
    # Data by flag is what somebody typed.
    found |= {key: value for key, value in mine.items() if isinstance(value, Mapping)}
    return found, notes


def _variables(own: JsonObject, ours: JsonObject) -> dict[str, Json]:
    known = object_at(ours, "environment_variables")
    fixed = {key: value for key, value in known.items() if key in OURS}
    return {**known, **object_at(own, "environment_variables"), **fixed}


def _by_flag(ours: JsonObject, part: str, submission: Submission, key: str) -> JsonObject:
    names = [word.partition("=")[0] for word in submission.option(key) or ()]
    return {name: value for name, value in object_at(ours, part).items() if name in names}


def _experiment(inputs: JsonObject, ours: JsonObject, submission: Submission) -> Json:
    task = inputs.get("task")
    plain = isinstance(task, str) and task not in UNSET
    if plain and "experiment" in submission.settings and submission.settings["experiment"].value is None:
        return experiment_of(str(inputs.get("backend") or submission.job.backend), str(task))
    return ours.get("experiment_name")


def _task_tag(inputs: JsonObject) -> dict[str, Json]:
    task = inputs.get("task")
    return {"task": task} if isinstance(task, str) and task not in UNSET else {}


def _set(found: dict[str, Json], key: str, ours: JsonObject) -> None:
    """Put a typed setting into its part of the file; the part's other keys stay as they are."""
    part = PARTS[key]
    value = ours[part]
    if key in KEYS and isinstance(value, Mapping):
        kept = object_at(found, part)
        found[part] = {**kept, **({"type": value["type"]} if "type" in value else {}), KEYS[key]: value.get(KEYS[key])}
    else:
        found[part] = value


def _origin(submission: Submission, key: str) -> str:
    origin = submission.settings[key].origin
    return re.sub(r"^(cli|env) ", "", str(origin))


def placeholders(text: str) -> Iterator[str]:
    """Yield what stands between the braces of each ``${{...}}`` in a text."""
    for found in re.finditer(r"\$\{\{\s*([^}]*?)\s*\}\}", text):
        yield found[1]
