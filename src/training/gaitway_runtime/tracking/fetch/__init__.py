"""Fetching a checkpoint from wherever it is: one function for the laptop and for the container.

Heavy libraries (MLflow, httpx, azure-identity) are imported by the kind of address that needs them, when it needs them.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ...errors import UsageError
from ...job import RunContext
from ..credentials import public_form, restore
from ..hashing import sha256_of
from .base import Address, Limits, Located, Order, safe_name
from .blob import BlobAddress
from .cache import Cache
from .http import HttpAddress
from .local import LocalAddress
from .models import ModelsAddress
from .picking import iteration_of
from .runs import RunsAddress
from .transfer import Received, check_hash, transfer

SCHEMES: tuple[type[Address], ...] = (RunsAddress, ModelsAddress, BlobAddress, HttpAddress, LocalAddress)
"""Kinds of addresses; the first that recognises a text has it."""

_LONGEST = 4096


@dataclass(frozen=True)
class Fetched:
    """A checkpoint that is on this machine now, and proven to be what it was said to be as far as anyone said."""

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
    """What a user should see: which file was chosen, and what is doubtful."""


def parse(text: str) -> Address:
    """Return the address that a text stands for; nothing is contacted.

    Raises:
        UsageError: It is no address of a checkpoint.
    """
    text = text.strip()
    if not text or len(text) > _LONGEST or re.search(r"[\x00-\x1f\x7f]", text):
        raise UsageError("this is no address of a checkpoint", source=public_form(text)[:80], allowed=_forms())
    for scheme in () if _is_foreign(text) else SCHEMES:
        if (address := scheme.parse(text)) is not None:
            return address
    raise UsageError("checkpoints cannot be fetched from such an address", source=public_form(text), allowed=_forms())


def fetch(
    uri: str,
    into: Path,
    *,
    expected_sha256: str | None = None,
    tracking_uri: str | None = None,
    context: RunContext | None = None,
    cache: Path | None = None,
    limits: Limits | None = None,
) -> Fetched:
    """Bring a checkpoint to this machine.

    Args:
        uri: Any address of :data:`SCHEMES`; a folder stands for the newest checkpoint in it.
        into: Folder for the file. A checkpoint that is on this machine already stays where it is.
        expected_sha256: What the file must hash to.
        tracking_uri: MLflow server or store to ask.
        context: Run whose tracking server to ask if none is named; by default the environment's or the local store.
        cache: Folder of checkpoints fetched before; by default ``$GAITWAY_HOME/cache`` where that is set.
        limits: Bounds of the transfer.

    Raises:
        UsageError: The address is malformed or leads nowhere.
        ConfigError: A credential is missing or refused, or the disk is full.
        PlatformError: A server is away, broke a bound, or handed over something else than was promised.
    """
    whole = restore(uri.strip(), os.environ)
    wanted = _digest(expected_sha256)
    limits = limits or Limits()
    context = RunContext(tracking_uri=tracking_uri) if tracking_uri else context or RunContext()
    found = parse(whole).locate(Order(context, limits))
    path, received = _bring(found, into, wanted or found.sha256, _cache(cache), limits)
    check_hash(received.sha256, found.sha256, found.resolved_uri)
    return Fetched(
        path=path,
        uri=public_form(whole),
        resolved_uri=found.resolved_uri,
        sha256=received.sha256,
        size=received.size,
        run_id=found.run_id,
        iteration=iteration_of(found.name),
        note=found.note,
    )


def _bring(
    found: Located, into: Path, wanted: str | None, cache: Cache | None, limits: Limits
) -> tuple[Path, Received]:
    if found.source is None:
        assert found.path is not None
        received = Received(sha256_of(found.path), found.path.stat().st_size)
        check_hash(received.sha256, wanted, found.resolved_uri)
        return found.path, received
    path = into / safe_name(found.name)
    kept = cache.take(wanted, path) if cache and wanted else None
    if kept:
        return path, kept
    received = transfer(found.source, path, limits, found.resolved_uri, wanted)
    if cache:
        cache.put(received.sha256, path)
    return path, received


def _cache(folder: Path | None) -> Cache | None:
    if folder is None and os.environ.get("GAITWAY_HOME"):
        folder = Path(os.environ["GAITWAY_HOME"]) / "cache"
    return Cache(folder) if folder else None


def _digest(text: str | None) -> str | None:
    """Return an expected SHA-256 in the form that hashes are compared in."""
    plain = (text or "").strip().lower().removeprefix("sha256:")
    if plain and not re.fullmatch(r"[0-9a-f]{64}", plain):
        raise UsageError("this is no SHA-256", source="--checkpoint-sha256", allowed="64 hexadecimal digits")
    return plain or None


def _is_foreign(text: str) -> bool:
    """Whether a text is a URL of a kind that nothing here reads, which would else pass for an odd file name."""
    found = re.match(r"([a-z][a-z0-9+.-]*):/", text, re.IGNORECASE)
    return found is not None and found[1].lower() not in ("runs", "models", "http", "https", "file")


def _forms() -> str:
    return ", ".join(scheme.form for scheme in SCHEMES)
