"""Submitting a workflow: the payload goes where its route says, the file and its values to OSMO."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gaitway_runtime.result import write_json

from ...errors import ConfigError, PlatformError, UsageError
from ..base import Request, RunRef, Submission
from . import client, forwarding, own, uploading
from .delivery import LOCAL_FILE, Route
from .document import run_folder
from .options import chosen
from .pools import check_pool
from .rendering import render

FOLDER = "osmo"
"""Folder of a run that holds what was sent."""

RECORD_FILE = "submitted.json"


def send(submission: Submission, request: Request, run_dir: Path) -> RunRef:
    """Deliver the payload and submit the workflow.

    Raises:
        GaitwayError: OSMO refused, or cannot be reached.
    """
    if forwarding.read(submission.forwarded).dry_run:
        raise UsageError("a dry run is asked for, and a submission", source=forwarding.SOURCE, hint="gaitway.plan()")
    folder = run_dir / FOLDER
    options = chosen(submission).options
    nodes = options.num_nodes if submission.job.kind == "train" else 1
    check_pool(options.pool, options.num_gpus * nodes)
    inline = request.data["route"]["kind"] == "inline"
    archive = uploading.lay_out(submission.payload, folder, Path(options.tmp_dir), inline=inline)
    request, delivered = _deliver(submission, request, folder, archive)
    with contextlib.ExitStack() as stack:
        file, words = _file_and_words(submission, request, folder, stack)
        workflow_id, url = _submit(file, [*words, *_flags(request.data)])
    files = run_folder(options.storage_uri, workflow_id) + "/files" if options.storage_uri else ""
    document = {"workflow": workflow_id, "payload": dataclasses.asdict(delivered), "files": files}
    write_json(document, folder / RECORD_FILE)
    return RunRef(submission.run, "osmo", workflow_id, url)


def read_record(run_dir: Path) -> dict[str, Any]:
    """Return what :func:`send` kept of a submission; nothing where it cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        found: dict[str, Any] = json.loads((run_dir / FOLDER / RECORD_FILE).read_text(encoding="utf-8"))
        return found
    return {}


def _deliver(
    submission: Submission, request: Request, folder: Path, archive: Path
) -> tuple[Request, uploading.Delivered]:
    """Deliver the payload; return the request, rendered again where this OSMO has no datasets.

    Raises:
        ConfigError: It has none, and there is no object storage to upload to.
        GaitwayError: OSMO or the storage refused.
    """
    route = Route(**request.data["route"])
    try:
        if route.kind == "dataset" and "template" in request.data:
            # The template names the folder, and the osmo command uploads it.
            uploading.check_datasets(route.remote)
            return request, uploading.Delivered("dataset", dataset=route.remote)
        return request, uploading.deliver(route, submission.payload, folder, archive)
    except uploading.NoDatasets:
        if not chosen(submission).options.storage_uri:
            raise ConfigError(
                "this OSMO has no datasets (they ended with release 6.3), and no object storage is named",
                source="--payload",
                allowed="azure://ACCOUNT/CONTAINER/PATH, s3://BUCKET/PATH, gs://, swift://, tos://",
                hint="add --storage-uri URI, or set OSMO_STORAGE_URI",
            ) from None
    setting = dataclasses.replace(submission.settings["payload"], value="upload")
    by_upload = render(dataclasses.replace(submission, settings={**submission.settings, "payload": setting}))
    route = Route(**by_upload.data["route"])
    return by_upload, uploading.deliver(route, submission.payload, folder, archive)


def _file_and_words(
    submission: Submission, request: Request, folder: Path, stack: contextlib.ExitStack
) -> tuple[Path, list[str]]:
    """Return the file to submit and the words with its values."""
    if "template" not in request.data:
        file = folder / "workflow.yaml"
        file.write_text(request.body, encoding="utf-8")
        return file, []
    template = own.load(Path(request.data["template"]))
    values = dict(request.data["values"])
    if request.data["route"]["kind"] == "inline" and "payload_localpath" in values:
        values["payload_localpath"] = str((folder / LOCAL_FILE).absolute())
    if request.data["route"]["kind"] == "dataset":
        folder = stack.enter_context(uploading.staged(submission.payload, folder))
        values["training_localpath"] = str(folder.absolute())
    return template.path, own.flags(template, values, request.data["numbers"])


def _flags(data: Mapping[str, Any]) -> list[str]:
    words = [word for key in ("pool", "priority") if data[key] for word in (f"--{key}", data[key])]
    if "template" in data and data["environment"]:
        cut = next((name for name, value in data["environment"].items() if "=" in value), None)
        if cut:
            raise UsageError(
                f"OSMO would cut the value of {cut} at its '='", source="--set-env", hint="write it in the template"
            )
        words += ["--set-env", *(f"{name}={value}" for name, value in data["environment"].items())]
    return words


def _submit(file: Path, words: Sequence[str]) -> tuple[str, str | None]:
    """Submit a workflow file and return its id and the address of its page.

    Args:
        file: The workflow.
        words: Flags; the file goes before them, since some take every word that follows.

    Raises:
        GaitwayError: It was not accepted, or nobody knows whether it was.
    """
    try:
        answer = client.ask("workflow", "submit", str(file), *words)
    except PlatformError as error:
        hint = error.hint or "osmo workflow list, to see whether it arrived all the same"
        raise PlatformError(error.message, source=error.source, allowed=error.allowed, hint=hint) from None
    try:
        return str(answer["name"]), answer.get("dashboard_url") or answer.get("overview")
    except (KeyError, TypeError, AttributeError):
        raise PlatformError(
            "OSMO accepted the workflow and did not say under which name",
            source=client.shorten(json.dumps(answer)),
            hint="osmo workflow list",
        ) from None
