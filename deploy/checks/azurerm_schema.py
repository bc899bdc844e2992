"""Schema of the azurerm provider, as far as this project uses it: allowed and required names of each resource.

No package registry holds the provider itself. The Python package ``cdktf-cdktf-provider-azurerm`` is generated from
the provider's schema and carries the generator's own description (a jsii assembly): every resource, argument and
nested block with its Terraform name. ``python deploy/checks/azurerm_schema.py`` reads that package and writes the part
that ``deploy/001-iac`` names to ``azurerm_schema.json``, so that the check itself needs neither package nor network.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from terraform_files import named_kinds

PACKAGE = "cdktf-cdktf-provider-azurerm==14.23.1"
SCHEMA_FILE = Path(__file__).with_name("azurerm_schema.json")
_ASSEMBLY = "package/.jsii"
_DOCS = re.compile(r"azurerm/(?P<version>[\d.]+)/docs/(?P<kind>resources|data-sources)/(?P<page>\w+)#(?P<name>\w+)")
_META = frozenset({"id", "timeouts"})


@dataclass(frozen=True)
class Body:
    """Arguments and blocks of a resource or block, by name; True for a required argument."""

    arguments: Mapping[str, bool] = field(default_factory=dict)
    blocks: Mapping[str, Body] = field(default_factory=dict)
    required_blocks: frozenset[str] = frozenset()

    def document(self) -> dict[str, Any]:
        """Return the body as a JSON document."""
        return {
            "arguments": dict(sorted(self.arguments.items())),
            "blocks": {name: body.document() for name, body in sorted(self.blocks.items())},
            "required_blocks": sorted(self.required_blocks),
        }


@dataclass(frozen=True)
class Kind:
    """A resource or data source: its body, and the attributes that can be read from it."""

    body: Body
    attributes: frozenset[str]


@dataclass(frozen=True)
class Schema:
    """The kinds that were extracted, by ``resource.TYPE`` or ``data.TYPE``."""

    provider: str
    kinds: Mapping[str, Kind]


def load(path: Path = SCHEMA_FILE) -> Schema:
    """Read the extracted schema."""
    document = json.loads(path.read_text())
    kinds = {name: Kind(_body(item["body"]), frozenset(item["attributes"])) for name, item in document["kinds"].items()}
    return Schema(document["provider"], kinds)


def _body(item: Mapping[str, Any]) -> Body:
    blocks = {name: _body(inner) for name, inner in item["blocks"].items()}
    return Body(dict(item["arguments"]), blocks, frozenset(item["required_blocks"]))


class Assembly:
    """The generator's description of the provider, with lookup of a resource's types by generated name."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._types: Mapping[str, Any] = document["types"]
        self._by_tail = {name.rpartition(".")[2]: name for name in self._types}
        self.provider = ""

    def kind(self, name: str) -> Kind | None:
        """Return a kind such as ``resource.azurerm_storage_account``, or None where the provider has none."""
        sort, _, terraform_type = name.partition(".")
        generated = _camel(terraform_type.removeprefix("azurerm_"))
        generated = f"DataAzurerm{generated}" if sort == "data" else generated
        config, owner = self._by_tail.get(f"{generated}Config"), self._by_tail.get(generated)
        # A generated class whose name is taken by the target language gets an A behind it.
        owner = owner or self._by_tail.get(f"{generated}A")
        if config is None or owner is None:
            return None
        outputs = {item["name"] for item in self._types[owner].get("properties", []) if not item.get("static")}
        attributes = {_folded(item) for item in outputs if not item.endswith("Input")}
        return Kind(self._described(config), frozenset(attributes))

    def _described(self, type_name: str) -> Body:
        arguments: dict[str, bool] = {}
        blocks: dict[str, Body] = {}
        required = set()
        for item in self._types[type_name].get("properties", []):
            found = _DOCS.search(json.dumps(item.get("docs", {})))
            if found is None:
                continue
            self.provider = found["version"]
            name, needed = found["name"], not item.get("optional", False)
            nested = self._struct(item["type"])
            if nested is None:
                arguments[name] = needed
            elif name not in _META:
                blocks[name] = self._described(nested)
                required |= {name} if needed else set()
        return Body(arguments, blocks, frozenset(required))

    def _struct(self, described: Mapping[str, Any]) -> str | None:
        """Return the generated type of a block, looking through lists and unions."""
        if "union" in described:
            found = (self._struct(option) for option in described["union"]["types"])
            return next((name for name in found if name), None)
        if "collection" in described:
            return self._struct(described["collection"]["elementtype"])
        name = described.get("fqn", "")
        return name if name in self._types and self._types[name]["kind"] == "interface" else None


def folded_name(name: str) -> str:
    """Return a Terraform name in the form in which attributes are compared."""
    return name.replace("_", "").lower()


def _folded(generated: str) -> str:
    # ``count`` and ``id`` are taken in the generator's language; it appends what is cut off here.
    return generated.removesuffix("Attribute").lower()


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def extract(assembly: Assembly, names: Iterable[str]) -> Schema:
    """Return the part of the provider's schema that some kinds need; kinds it does not have are left out."""
    kinds = {name: kind for name in sorted(names) if (kind := assembly.kind(name)) is not None}
    return Schema(assembly.provider, kinds)


def write(schema: Schema, path: Path) -> None:
    """Write an extracted schema, one kind a line, so that a change of the provider can be read in a diff."""
    lines = [
        f"    {json.dumps(name)}: "
        + json.dumps({"body": kind.body.document(), "attributes": sorted(kind.attributes)}, separators=(",", ":"))
        for name, kind in schema.kinds.items()
    ]
    head = f'{{\n  "source": {json.dumps(PACKAGE)},\n  "provider": {json.dumps(schema.provider)},\n  "kinds": {{\n'
    path.write_text(head + ",\n".join(lines) + "\n  }\n}\n")


def fetch_assembly(wheel: Path | None = None) -> Assembly:
    """Read the assembly from the package's wheel, which is fetched from the package index where it is not given."""
    if wheel is not None:
        return Assembly(json.loads(_assembly_bytes(wheel)))
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
        subprocess.run(command, check=True)
        return Assembly(json.loads(_assembly_bytes(next(Path(folder).glob("*.whl")))))


def _assembly_bytes(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".jsii.tgz"))
        packed = gzip.decompress(archive.read(name))
    with tarfile.open(fileobj=io.BytesIO(packed)) as package:
        member = package.extractfile(_ASSEMBLY)
        if member is None:
            raise FileNotFoundError(f"{_ASSEMBLY} in {wheel.name}")
        return member.read()


def main() -> None:
    """Extract the schema of the kinds that the Terraform files name."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--wheel", type=Path, help=f"{PACKAGE}, already fetched")
    parser.add_argument("--folder", type=Path, default=SCHEMA_FILE.parents[1] / "001-iac")
    arguments = parser.parse_args()
    schema = extract(fetch_assembly(arguments.wheel), named_kinds(arguments.folder))
    write(schema, SCHEMA_FILE)
    print(f"{SCHEMA_FILE.name}: {len(schema.kinds)} kinds of azurerm {schema.provider}")


if __name__ == "__main__":
    main()
