"""Reader of the Terraform files of a folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PROVIDER = "azurerm_"


def documents(folder: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield each Terraform file of a folder and its modules, parsed."""
    import hcl2

    for path in sorted(folder.rglob("*.tf")):
        if ".terraform" not in path.parts:
            with path.open() as stream:
                yield path, hcl2.load(stream)


def named_kinds(folder: Path) -> set[str]:
    """Return every azurerm resource and data source that a folder declares."""
    return {f"{sort}.{kind}" for _, document in documents(folder) for sort, kind, _, _ in declared(document)}


def declared(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    """Yield ``(resource or data, type, name, body)`` of everything that azurerm provides in a parsed file."""
    for sort in ("resource", "data"):
        for item in document.get(sort, []):
            for kind, named in item.items():
                if kind.strip('"').startswith(PROVIDER):
                    for name, body in named.items():
                        yield sort, kind.strip('"'), name.strip('"'), body
