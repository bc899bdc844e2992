"""Everything that changes the world: uploading a payload, submitting a workflow."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaitway_runtime.result import write_json

from ...errors import ConfigError, GaitwayError, PlatformError, UsageError
from ...payload.manifest import Payload
from ...payload.pack import packed
from ..base import Request, RunRef, Submission
from . import client, own
from .delivery import LOCAL_FILE, Route
from .document import encoded, run_folder
from .options import chosen
from .rendering import KEPT_ENCODED, render

FOLDER = "osmo"
"""Folder of a run that holds what was sent."""

RECORD_FILE = "submitted.json"
KEPT_ARCHIVE = "osmo-training.zip"
"""Names of the copy, with :data:`KEPT_ENCODED`, that instructions tell people to look at."""


@dataclass(frozen=True)
class Delivered:
    """Where a payload lies for the task."""

    kind: str
    reused: bool = False
    dataset: str = ""
    version: str = ""
    uri: str = ""


class NoDatasets(Exception):
    """This OSMO has no datasets (any more)."""


def lay_out(payload: Payload, folder: Path, tmp_dir: Path) -> Path:
    """Write the archive, plain and encoded, into a folder; keep copies for people. Returns the archive."""
    folder.mkdir(parents=True, exist_ok=True)
    content = packed(payload)
    archive = folder / "payload.zip"
    archive.write_bytes(content)
    text = encoded(content)
    (folder / LOCAL_FILE).write_text(text, encoding="ascii")
    # The copies are a convenience: a folder that cannot be written must not stop a submission.
    with contextlib.suppress(OSError):
        tmp_dir.mkdir(parents=True, exist_ok=True)
        _replace(tmp_dir / KEPT_ARCHIVE, content)
        _replace(tmp_dir / KEPT_ENCODED, text.encode("ascii"))
    return archive


@contextlib.contextmanager
def staged(payload: Payload, folder: Path) -> Iterator[Path]:
    """Lay a payload's files out as a folder called ``training``: OSMO uploads folders without ignore rules."""
    target = folder / "stage" / "training"
    for file in payload.files:
        path = target / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file.source, path)
    try:
        yield target
    finally:
        shutil.rmtree(folder / "stage", ignore_errors=True)


def deliver(route: Route, payload: Payload, folder: Path, archive: Path) -> Delivered:
    """Bring a payload to where its route says, unless the same content is there already.

    Raises:
        NoDatasets: The route is a dataset's, and this OSMO has none.
        GaitwayError: OSMO or the storage refused.
    """
    if route.kind == "dataset":
        version, reused = _dataset(route, payload, folder)
        return Delivered("dataset", reused, dataset=route.remote, version=version)
    if route.kind == "upload":
        return Delivered("upload", _upload(route.remote, archive), uri=route.remote)
    return Delivered("inline")


def send(submission: Submission, request: Request, run_dir: Path) -> RunRef:
    """Deliver the payload and submit the workflow.

    Raises:
        GaitwayError: OSMO refused, or cannot be reached.
    """
    folder = run_dir / FOLDER
    options = chosen(submission).options
    archive = lay_out(submission.payload, folder, Path(options.tmp_dir))
    nodes = options.num_nodes if submission.job.kind == "train" else 1
    check_pool(request.data["pool"], options.num_gpus * nodes)
    try:
        delivered = deliver(Route(**request.data["route"]), submission.payload, folder, archive)
    except NoDatasets:
        request = _by_upload(submission)
        delivered = deliver(Route(**request.data["route"]), submission.payload, folder, archive)
    with contextlib.ExitStack() as stack:
        file, words = _file_and_words(submission, request, folder, stack)
        workflow_id, url = submit(file, [*words, *_flags(request.data)])
    files = run_folder(options.storage_uri, workflow_id) + "/files" if options.storage_uri else ""
    record(folder, {"workflow": workflow_id, "payload": dataclasses.asdict(delivered), "files": files})
    return RunRef(submission.run, "osmo", workflow_id, url)


def _by_upload(submission: Submission) -> Request:
    """Render again for a release that has no datasets.

    Raises:
        ConfigError: There is no object storage to upload to.
    """
    if not chosen(submission).options.storage_uri:
        raise ConfigError(
            "this OSMO has no datasets (they ended with release 6.3), and no object storage is named",
            source="--payload",
            allowed="azure://ACCOUNT/CONTAINER/PATH, s3://BUCKET/PATH, gs://, swift://, tos://",
            hint="add --storage-uri URI, or set OSMO_STORAGE_URI",
        )
    setting = dataclasses.replace(submission.settings["payload"], value="upload")
    return render(dataclasses.replace(submission, settings={**submission.settings, "payload": setting}))


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
    if "payload_localpath" in values:
        values["payload_localpath"] = str((folder / LOCAL_FILE).absolute())
    if "training_localpath" in values and not values.get("payload_url"):
        values["training_localpath"] = str(stack.enter_context(staged(submission.payload, folder)).absolute())
    return template.path, own.flags(template, values)


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


def submit(file: Path, words: Sequence[str]) -> tuple[str, str | None]:
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


def record(folder: Path, document: Mapping[str, Any]) -> None:
    """Keep what following needs to know of a submission."""
    write_json(dict(document), folder / RECORD_FILE)


def read_record(run_dir: Path) -> dict[str, Any]:
    """Return what :func:`record` kept; nothing where it cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        found: dict[str, Any] = json.loads((run_dir / FOLDER / RECORD_FILE).read_text(encoding="utf-8"))
        return found
    return {}


def check_pool(pool: str | None, gpus: int) -> None:
    """Compare the GPUs that are asked for with the pool: OSMO does not, and the workflow would wait for ever.

    Raises:
        UsageError: There is no such pool, or it has fewer GPUs.
        GaitwayError: OSMO does not answer.
    """
    pools = _pools()
    if pool is not None and pools and pool not in pools:
        raise UsageError(f"there is no pool '{pool}'", source="--pool", allowed=", ".join(sorted(pools)))
    candidates = {pool: pools[pool]} if pool in pools else pools
    if candidates and all(size is not None and size < gpus for size in candidates.values()):
        most = ", ".join(f"{name}: {size}" for name, size in candidates.items())
        raise UsageError(f"{gpus} GPUs are asked for and no pool has as many", source="--num-gpus", allowed=most)


def _pools() -> dict[str, int | None]:
    """Return the number of GPUs of each pool that the user may use."""
    found: dict[str, int | None] = {}
    # Whoever may submit to a pool need not be allowed to look at it.
    answer = client.ask_if_it_may_be("pool", "list") or {}
    for node_set in answer.get("node_sets", []):
        for pool in node_set.get("pools", []):
            size = str(pool.get("resource_usage", {}).get("total_capacity", ""))
            found[str(pool.get("name"))] = int(size) if size.isdecimal() else None
    return found


def _dataset(route: Route, payload: Payload, folder: Path) -> tuple[str, bool]:
    known = _dataset_versions(f"{route.remote}:{route.tag}")
    if known:
        return known[-1], True
    before = set(_dataset_versions(route.remote))
    with staged(payload, folder) as source:
        client.run("dataset", "upload", route.remote, str(source), timeout=client.UPLOAD_TIMEOUT_S)
    fresh = [version for version in _dataset_versions(route.remote) if version not in before]
    if len(fresh) != 1:
        raise PlatformError(
            f"dataset {route.remote} got {len(fresh)} new versions while one was uploaded",
            source="osmo dataset info",
            hint="someone else uploaded at the same moment: run the command again",
        )
    client.run("dataset", "tag", f"{route.remote}:{fresh[0]}", "--set", route.tag)
    return fresh[0], False


def _dataset_versions(name: str) -> list[str]:
    """Return the versions of a dataset or of one of its tags; none where there is no such dataset.

    Raises:
        NoDatasets: The command or the service knows no datasets.
        GaitwayError: There is no login, or OSMO does not answer.
    """
    done = client.attempt("dataset", "info", name, "--format-type", "json")
    if done.code == 0:
        return [str(version["version"]) for version in json.loads(done.stdout)["versions"]]
    if "invalid choice" in done.stderr or "Not Found" in done.stdout:
        raise NoDatasets
    error = client.failure(done.code, done.stdout, done.stderr, ("dataset", "info"))
    if isinstance(error, ConfigError) or done.code in client.UNWELL:
        raise error
    return []


def _upload(uri: str, archive: Path) -> bool:
    """Upload an archive under its own name unless it is there; return whether it was."""
    parent, _, name = uri.rpartition("/")
    done = client.attempt("data", "list", uri, "--no-pager")
    if done.code == 0 and any(line.endswith(name) for line in done.stdout.splitlines()):
        return True
    named = archive.with_name(name)
    os.link(archive, named)
    try:
        client.run("data", "upload", parent, str(named), timeout=client.UPLOAD_TIMEOUT_S)
    except GaitwayError as error:
        raise PlatformError(
            f"the payload could not be uploaded: {error.message}", source=uri, hint=f"osmo data check {parent}"
        ) from None
    finally:
        named.unlink()
    return False


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(path)
