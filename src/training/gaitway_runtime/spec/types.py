"""Types of JSON documents, and reading of their parts. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Json = bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"] | None
"""Any value that JSON can hold."""

JsonObject = Mapping[str, Json]
"""A JSON object."""


def object_at(document: JsonObject, key: str) -> JsonObject:
    """Return the object at a key; an empty one where something else, or nothing, stands there."""
    found = document.get(key)
    return found if isinstance(found, Mapping) else {}


def objects_at(document: JsonObject, key: str) -> list[JsonObject]:
    """Return the objects of the list at a key; an empty list where something else, or nothing, stands there."""
    found = document.get(key)
    if isinstance(found, str) or not isinstance(found, Sequence):
        return []
    return [item for item in found if isinstance(item, Mapping)]
