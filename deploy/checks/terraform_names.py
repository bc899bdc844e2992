"""Comparison of every azurerm name in a Terraform folder with the provider's schema.

Checked: the type of each resource and data source, each argument and block in it, what it must have, and each attribute
that an expression reads of one (``azurerm_x.y.attribute``). Values are left to Terraform.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from azurerm_schema import SCHEMA_FILE, Body, Schema, folded_name, load
from terraform_files import declared, documents

_META = frozenset({"count", "for_each", "depends_on", "lifecycle", "provider", "provisioner", "connection", "timeouts"})
_REFERENCE = re.compile(r"(?P<data>\bdata\.)?\b(?P<type>azurerm_\w+)\.\w+(?:\[[^]]*\])?\.(?P<attribute>[a-z]\w*)")


def problems(document: Mapping[str, Any], schema: Schema) -> Iterator[str]:
    """Yield what is wrong with the names in one parsed file."""
    for sort, kind, name, body in declared(document):
        known = schema.kinds.get(f"{sort}.{kind}")
        if known is None:
            yield f"{sort} {kind}.{name}: azurerm {schema.provider} has no such type in {SCHEMA_FILE.name}"
        else:
            yield from _compare(f"{kind}.{name}", body, known.body)


def _compare(where: str, body: Mapping[str, Any], known: Body) -> Iterator[str]:
    written = {name.strip('"'): value for name, value in body.items() if not name.startswith("__")}
    written |= {name: [None] for item in written.pop("dynamic", []) for name in item}
    for name, value in written.items():
        if name in known.blocks:
            for inner in value:
                if isinstance(inner, Mapping):
                    yield from _compare(f"{where}.{name}", inner, known.blocks[name])
        elif name not in known.arguments and name not in _META:
            close = difflib.get_close_matches(name, [*known.arguments, *known.blocks], n=1)
            yield f"{where}: unknown name {name}" + (f", did you mean {close[0]}?" if close else "")
    needed = {name for name, must in known.arguments.items() if must} | known.required_blocks
    for name in sorted(needed - written.keys()):
        yield f"{where}: {name} is required"


def reference_problems(text: str, schema: Schema) -> Iterator[str]:
    """Yield each attribute that an expression reads and the provider does not offer."""
    for found in _REFERENCE.finditer(text):
        known = schema.kinds.get(f"{'data' if found['data'] else 'resource'}.{found['type']}")
        if known and folded_name(found["attribute"]) not in known.attributes:
            yield f"{found[0]}: {found['type']} has no attribute {found['attribute']}"


def check(folder: Path, schema: Schema) -> list[str]:
    """Return every problem of a folder, with the file it is in."""
    found: list[str] = []
    for path, document in documents(folder):
        said: Iterable[str] = [*problems(document, schema), *reference_problems(path.read_text(), schema)]
        found += [f"{path.relative_to(folder)}: {line}" for line in said]
    return found


def main() -> int:
    """Check a folder; the exit code says whether every name is known."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=SCHEMA_FILE.parents[1] / "001-iac")
    folder = parser.parse_args().folder
    schema = load()
    found = check(folder, schema)
    print("\n".join(found) or f"every name in {folder} is one of azurerm {schema.provider}'s")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
