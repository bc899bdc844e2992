"""Fetching of checkpoints by address: one function for the laptop and for the container.

Heavy libraries (MLflow, httpx, azure-identity) are imported by the scheme that needs them, when it needs them.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..spec.checkpoint_files import damage_of, iteration_of, sha256_of
from ..spec.errors import UsageError
from ..spec.run_context import RunContext
from ..spec.schemes import SCHEMES, scheme_of
from ..spec.secrets import public_form, restore
from ..stores.streams import MissingFile, StreamLimits, UnreadableFile
from ..stores.transfer import Received, check_hash, transfer
from .base import Address, Located, Order
from .cache import Cache

_LONGEST = 4096

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fetched:
    """A checkpoint that is on this machine now, checked against every hash that is known of it."""

    path: Path
    uri: str
    """The address that was asked for, without secrets."""
    resolved_uri: str
    """The address of the very file."""
    sha256: str
    size: int
    run_id: str | None = None
    """MLflow run it comes from, where known."""
    iteration: int | None = None
    note: str = ""
    """Note for the user: which file was chosen, and what is doubtful."""
    config_folders: tuple[Path, ...] | None = None
    """Folders with the training configuration of the same run; None for a file that lies where its owner keeps it."""


def parse(text: str) -> Address:
    """Return the address that a text stands for; nothing is contacted.

    Raises:
        UsageError: It is not an address of a checkpoint.
        ConfigError: The plug-in that reads such addresses cannot be used.
    """
    text = text.strip()
    if not text or len(text) > _LONGEST or re.search(r"[\x00-\x1f\x7f]", text):
        raise UsageError("this is not an address of a checkpoint", source=public_form(text)[:80], allowed=_forms())
    scheme = scheme_of(text) or "file"
    if scheme not in SCHEMES:
        raise UsageError(
            f"checkpoints cannot be fetched from a {scheme}: address", source=public_form(text), allowed=_forms()
        )
    placeholder = re.search(r"<[^<>]+>", text)
    if placeholder and scheme != "file":
        raise UsageError(
            f"the address still has the placeholder of an example in it: {placeholder[0]}",
            source=public_form(text),
            hint="gaitway checkpoints lists addresses ready to paste",
        )
    address: Address = SCHEMES.get(scheme).parse(text)
    return address


def fetch(
    uri: str,
    into: Path,
    *,
    expected_sha256: str | None = None,
    tracking_uri: str | None = None,
    context: RunContext | None = None,
    cache: Path | None = None,
    limits: StreamLimits | None = None,
) -> Fetched:
    """Bring a checkpoint to this machine.

    Args:
        uri: An address of any scheme; a folder stands for the newest whole checkpoint in it.
        into: Folder for the file. A checkpoint that is on this machine already stays where it is.
        expected_sha256: Expected SHA-256 of the file.
        tracking_uri: MLflow server or store to ask.
        context: Run whose tracking server to ask if none is named; by default the environment's or the local store.
        cache: Folder of checkpoints fetched before; by default ``$GAITWAY_HOME/cache`` where that is set.
        limits: Bounds of the transfer.

    Raises:
        UsageError: The address is malformed or leads nowhere.
        ConfigError: A credential is missing or refused, or the disk is full.
        PlatformError: A server is away, broke a bound, or sent another file than was promised.
    """
    whole = restore(uri.strip(), os.environ)
    wanted = _digest(expected_sha256)
    limits = limits or StreamLimits()
    context = RunContext(tracking_uri=tracking_uri) if tracking_uri else context or RunContext()
    found = parse(whole).locate(Order(context, limits))
    chosen, path, received = _first_readable(found, into, wanted, _cache(cache), limits)
    return Fetched(
        path=path,
        uri=public_form(whole),
        resolved_uri=chosen.resolved_uri,
        sha256=received.sha256,
        size=received.size,
        run_id=chosen.run_id,
        iteration=iteration_of(chosen.name),
        note=chosen.note,
        config_folders=None if chosen.source is None else _fetch_config(chosen, into / "params", limits),
    )


def _fetch_config(chosen: Located, into: Path, limits: StreamLimits) -> tuple[Path, ...]:
    """Fetch the training configuration that the checkpoint's run keeps, and return the folder, if there is any."""
    shutil.rmtree(into, ignore_errors=True)
    for name, source in chosen.config().items():
        transfer(source, into / name, limits, f"{chosen.resolved_uri} ({name})", None)
    return (into,) if into.is_dir() else ()


def _first_readable(
    found: Sequence[Located], into: Path, wanted: str | None, cache: Cache | None, limits: StreamLimits
) -> tuple[Located, Path, Received]:
    """Bring the first of some files that can be read.

    Raises:
        GaitwayError: None can be; the error is of the last one.
    """
    skipped: list[str] = []
    for number, candidate in enumerate(found, start=1):
        try:
            path, received = _bring(candidate, into, wanted, cache, limits)
        except (UnreadableFile, MissingFile) as error:  # noqa: PERF203 - at most a few files
            if number == len(found):
                raise
            log.warning("%s cannot be read (%s); the next older one is taken", candidate.resolved_uri, error.message)
            skipped.append(candidate.name.rpartition("/")[2])
        else:
            note = f"; newer ones cannot be read: {', '.join(skipped)}" if skipped else ""
            return replace(candidate, note=candidate.note + note), path, received
    raise AssertionError("an address stands for at least one file")


def _bring(
    found: Located, into: Path, wanted: str | None, cache: Cache | None, limits: StreamLimits
) -> tuple[Path, Received]:
    wanted = wanted or found.sha256
    if found.source is None:
        assert found.path is not None
        received = Received(sha256_of(found.path), found.path.stat().st_size)
        path = found.path
        check_hash(received.sha256, wanted, found.resolved_uri)
    else:
        path = into / safe_name(found.name)
        kept = cache.take(wanted, path) if cache and wanted else None
        received = kept or transfer(found.source, path, limits, found.resolved_uri, wanted)
        if cache and not kept:
            cache.put(received.sha256, path)
    check_hash(received.sha256, found.sha256, found.resolved_uri)
    _check_whole(path, found.resolved_uri)
    return path, received


def _check_whole(path: Path, shown: str) -> None:
    """Check a checkpoint's own checksums, where its format has any.

    Raises:
        UnreadableFile: One is wrong.
    """
    damage = damage_of(path)
    if damage:
        raise UnreadableFile(
            f"the checkpoint is damaged: {damage}", source=shown, hint="fetch it again, or take an older one"
        )


def safe_name(name: str) -> str:
    """Return a file name made of harmless characters, from whatever a server calls a file."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name.rpartition("/")[2])[-120:].lstrip(".")
    return plain or "checkpoint"


def _cache(folder: Path | None) -> Cache | None:
    if folder is None and os.environ.get("GAITWAY_HOME"):
        folder = Path(os.environ["GAITWAY_HOME"]) / "cache"
    return Cache(folder) if folder else None


def _digest(text: str | None) -> str | None:
    """Return an expected SHA-256 in the form that hashes are compared in."""
    plain = (text or "").strip().lower().removeprefix("sha256:")
    if plain and not re.fullmatch(r"[0-9a-f]{64}", plain):
        raise UsageError("this is not a SHA-256", source="--checkpoint-sha256", allowed="64 hexadecimal digits")
    return plain or None


def _forms() -> str:
    """Return how the addresses of every scheme are written."""
    return ", ".join(dict.fromkeys(scheme.form for _, scheme in SCHEMES.working()))
