"""Fields of the custom resources that 002-setup applies, which Kubernetes itself has no schema for."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CRDS_FILE = Path(__file__).with_name("crds.json")


@dataclass(frozen=True)
class CustomKind:
    """What is known of one kind: its fields, a mapping for each object and True for what is open, and what it needs."""

    fields: Mapping[str, Any]
    required: tuple[str, ...]


def load_crds(path: Path = CRDS_FILE) -> dict[str, CustomKind]:
    """Read the kinds by ``GROUP/VERSION/KIND``."""
    document = json.loads(path.read_text())
    return {name: CustomKind(item["fields"], tuple(item["required"])) for name, item in document.items()}


def field_problems(item: Mapping[str, Any], kind: CustomKind) -> Iterator[str]:
    """Yield each field of an object that its kind does not have, and each that it needs and the object lacks."""
    yield from _unknown(item, kind.fields, "")
    for path in kind.required:
        node: Any = item
        for part in path.split("."):
            node = node.get(part) if isinstance(node, Mapping) else None
        if not node:
            yield f"{path} is required"


def _unknown(item: Mapping[str, Any], fields: Mapping[str, Any], above: str) -> Iterator[str]:
    for name, value in item.items():
        known = fields.get(name)
        if known is None:
            close = difflib.get_close_matches(name, list(fields), n=1)
            yield f"there is no field {above}{name}" + (f", did you mean {close[0]}?" if close else "")
        elif isinstance(known, Mapping) and isinstance(value, Mapping):
            yield from _unknown(value, known, f"{above}{name}.")
