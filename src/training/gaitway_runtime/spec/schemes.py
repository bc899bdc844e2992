"""Schemes of checkpoint addresses. Standard library only."""

from __future__ import annotations

import re
from typing import Any

from .registry import Registry

SCHEMES: Registry[Any] = Registry(
    "gaitway.checkpoint_schemes",
    "checkpoint scheme",
    {
        "runs": "gaitway_runtime.fetch.runs:RunsAddress",
        "models": "gaitway_runtime.fetch.models:ModelsAddress",
        "https": "gaitway_runtime.fetch.http:HttpAddress",
        "http": "gaitway_runtime.fetch.http:HttpAddress",
        "file": "gaitway_runtime.fetch.local:LocalAddress",
    },
)
"""Kinds of checkpoint addresses (:class:`~gaitway_runtime.fetch.base.Address`) by the scheme of their URIs.

A text without a scheme is a path, which ``file`` reads as well.
"""

TRACKED = ("runs", "models")
"""Schemes of the addresses that a tracking server is asked about."""

RUN_REFERENCE = "RUN[@latest|@best|@ITERATION]"
"""How a checkpoint of a run of this folder is written; the client turns it into an address."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)


def scheme_of(text: str) -> str | None:
    """Return the scheme of a checkpoint address in lower case; None for a path, which may contain colons.

    A text like ``gs:/bucket/x`` has a scheme, also if no row of :data:`SCHEMES` reads it.
    """
    found = _SCHEME.match(text)
    if found is None:
        return None
    name = found[1].lower()
    return name if text[found.end() :].startswith("/") or name in SCHEMES else None


def written_forms() -> tuple[str, ...]:
    """Return the beginnings of the addresses that are read, as help and errors show them; nothing is imported."""
    special = {"runs": "runs:/", "models": "models:/"}
    shown = (special.get(name, f"{name}://") for name in SCHEMES.names() if name not in ("http", "file"))
    return (*shown, "a path")


def checkpoint_help() -> str:
    """Return the help of ``--checkpoint-uri``."""
    return f"Checkpoint: {', '.join(written_forms())}, or {RUN_REFERENCE}."
