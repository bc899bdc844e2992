"""Companions of checkpoints: fetched from where the checkpoint came from, where they are there."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from ..spec.checkpoint_files import CHECKPOINT_OUTPUT, companion_of
from ..spec.errors import GaitwayError
from ..spec.run_context import RunContext
from ..spec.secrets import public_form
from ..stores.streams import StreamLimits
from . import Fetched, fetch

_LIMITS = StreamLimits(max_bytes=1 << 30, attempts=2)


def fetch_companion(checkpoint: Fetched, asked: str, into: Path, context: RunContext) -> Path | None:
    """Bring a checkpoint's companion to this machine; None where there is none.

    Args:
        checkpoint: The fetched checkpoint.
        asked: The address that it was asked for, which may hold a credential.
        into: Folder for the file.
        context: The run on whose behalf it is.
    """
    name = companion_of(checkpoint.path.name)
    if name is None:
        return None
    for folder in _folders(checkpoint.path):
        if (folder / name).is_file():
            return folder / name
    for uri in _addresses(checkpoint, asked, name):
        try:
            return fetch(uri, into, context=context, limits=_LIMITS).path
        except GaitwayError:  # noqa: PERF203 - two addresses; that there is none is the usual answer
            continue
    kept = Path(os.environ.get(CHECKPOINT_OUTPUT) or into) / name
    return kept if kept.is_file() else None


def _folders(path: Path) -> list[Path]:
    return [path.parent, path.parent.parent] if path.parent.name == "final" else [path.parent]


def _addresses(checkpoint: Fetched, asked: str, name: str) -> list[str]:
    """Return where a companion may be: beside its checkpoint, and in the folder above ``final``."""
    if re.match(r"(runs|https?):", checkpoint.resolved_uri, re.IGNORECASE) is None:
        return []
    same = public_form(asked).split("?")[0] == checkpoint.resolved_uri.split("?")[0]
    parts = urlsplit(asked if same else checkpoint.resolved_uri)
    path = PurePosixPath(parts.path)
    folders = [path.parent, path.parent.parent] if path.parent.name == "final" else [path.parent]
    if companion_of(path.name) != name:
        return []
    return [parts._replace(path=str(folder / name), fragment="").geturl() for folder in folders]
