"""Submission of a workflow: the payload goes where its route says, the file and its values to OSMO."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import ConfigError, PlatformError, UsageError
from ..base import Request, RunRef, Submission, SubmissionUnconfirmed
from . import client, payload
from . import template as templates
from .handover import OUTPUTS_NAMED, check_handed_over
from .options import chosen, names_outputs
from .payload import LOCAL_FILE, Route
from .placement import check_placement
from .request import render
from .search import PAUSES_S, find_run
from .submit_record import FOLDER, write_record
from .workflow import run_folder


def submit_workflow(submission: Submission, request: Request, run_dir: Path) -> RunRef:
    """Deliver the payload and submit the workflow.

    Raises:
        GaitwayError: OSMO refused, or cannot be reached.
    """
    if templates.parse_forwarded(submission.forwarded).dry_run:
        raise UsageError("a dry run is asked for, and a submission", source=templates.SOURCE, hint="gaitway.plan()")
    folder = run_dir / FOLDER
    options = chosen(submission).options
    check_handed_over(submission.job.checkpoint_uri)
    check_placement(submission, chosen(submission))
    inline = request.data["route"]["kind"] == "inline"
    archive = payload.write_archive(submission.payload, folder, Path(options.tmp_dir), inline=inline)
    request, delivered = _deliver(submission, request, folder, archive)
    kept = run_folder(options.storage_uri, submission.context.run_id) if options.storage_uri else ""
    document: dict[str, Any] = {
        "name": _name(request),
        "run_id": submission.context.run_id,
        "payload": dataclasses.asdict(delivered),
        "kept": kept,
        "files": f"{kept}/files" if kept else "",
        OUTPUTS_NAMED: names_outputs(submission, options),
    }
    write_record(run_dir, document)
    with contextlib.ExitStack() as stack:
        file, words = _file_and_words(submission, request, folder, stack)
        if options.validate:
            pool = ["--pool", options.pool] if options.pool else []
            client.output_of("workflow", "validate", str(file), *words, *pool, *_labels(request.data))
        workflow_id, url = _submit(
            file, [*words, *_flags(request.data, submission.context.run_id)], submission.context.run_id, _name(request)
        )
    write_record(run_dir, {**document, "workflow": workflow_id})
    return RunRef(submission.run, "osmo", workflow_id, url)


def _deliver(
    submission: Submission, request: Request, folder: Path, archive: Path
) -> tuple[Request, payload.Delivered]:
    """Deliver the payload; return the request, rendered again where this OSMO has no datasets.

    Raises:
        ConfigError: It has none, and there is no object storage to upload to.
        GaitwayError: OSMO or the storage refused.
    """
    route = Route(**request.data["route"])
    try:
        if route.kind == "dataset" and "template" in request.data:
            # The template names the folder, and the osmo command uploads it.
            payload.check_datasets(route.remote)
            return request, payload.Delivered("dataset", dataset=route.remote)
        return request, payload.deliver(route, submission.payload, folder, archive)
    except payload.NoDatasets:
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
    return by_upload, payload.deliver(route, submission.payload, folder, archive)


def _file_and_words(
    submission: Submission, request: Request, folder: Path, stack: contextlib.ExitStack
) -> tuple[Path, list[str]]:
    """Return the file to submit and the words with its values."""
    if "template" not in request.data:
        file = folder / "workflow.yaml"
        file.write_text(request.body, encoding="utf-8")
        return file, []
    template = templates.read_template(Path(request.data["template"]))
    values = dict(request.data["values"])
    if request.data["route"]["kind"] == "inline" and "payload_localpath" in values:
        values["payload_localpath"] = str((folder / LOCAL_FILE).absolute())
    if request.data["route"]["kind"] == "dataset":
        folder = stack.enter_context(payload.staged(submission.payload, folder))
        values["training_localpath"] = str(folder.absolute())
    return template.path, templates.submit_flags(template, values, request.data["numbers"])


def _name(request: Request) -> str:
    """Return the name of the workflow in a request."""
    import yaml

    return str(yaml.safe_load(request.body)["workflow"]["name"])


def _flags(data: Mapping[str, Any], run_id: str) -> list[str]:
    words = [word for key in ("pool", "priority") if data[key] for word in (f"--{key}", data[key])]
    words += _labels(data)
    if "template" in data:
        cut = next((name for name, value in data["environment"].items() if "=" in value), None)
        if cut:
            raise UsageError(
                f"OSMO would cut the value of {cut} at its '='", source="--set-env", hint="write it in the template"
            )
        # The mark by which a submission that gets no answer is found; the built-in workflow has it in itself.
        marked = {"RUN_ID": run_id, **data["environment"]}
        words += ["--set-env", *(f"{name}={value}" for name, value in marked.items())]
    return words


def _labels(data: Mapping[str, Any]) -> list[str]:
    return [word for label in data.get("labels", ()) for word in ("--label", label)]


def _submit(file: Path, words: Sequence[str], run_id: str, name: str) -> tuple[str, str | None]:
    """Submit a workflow file and return its id and the address of its page.

    Args:
        file: The workflow.
        words: Flags; the file goes before them, since some take every word that follows.
        run_id: Id of the run, which the workflow carries.
        name: Name of the workflow, without OSMO's number.

    Raises:
        SubmissionUnconfirmed: OSMO gave no answer, and has no such workflow so far.
        GaitwayError: It was not accepted.
    """
    try:
        answer = client.json_of("workflow", "submit", str(file), *words)
    except client.NoAnswer as error:
        try:
            found = find_run(run_id, name, PAUSES_S)
        except PlatformError:
            found = None
        if found is None:
            raise SubmissionUnconfirmed(
                f"OSMO did not say whether it took the workflow: {error.message}",
                source="osmo workflow submit",
                hint="gaitway status RUN looks for it again; osmo workflow list shows what there is",
            ) from None
        return found.id, found.url
    try:
        return str(answer["name"]), answer.get("dashboard_url") or answer.get("overview")
    except (KeyError, TypeError, AttributeError):
        raise PlatformError(
            "OSMO accepted the workflow and did not say under which name",
            source=client.shorten(json.dumps(answer)),
            hint="osmo workflow list",
        ) from None
