"""Software bill of materials of a release, in CycloneDX 1.6 JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gaitway_runtime.spec.packages import missing_package

from ..signatures.manifest import EXPORT, ReleasedFile

if TYPE_CHECKING:
    from cyclonedx.model.component import Component


def write_sbom(path: Path, *, name: str, files: tuple[ReleasedFile, ...], versions: Mapping[str, str]) -> None:
    """Write the bill of materials: the policy, its files with hashes, the libraries that made them.

    Args:
        path: File to write.
        name: The release's name.
        files: Files of the release.
        versions: Version of each library that took part, by its name in the Python package index.

    Raises:
        ConfigError: The CycloneDX library is not installed.
    """
    try:
        from cyclonedx.model.bom import Bom
        from cyclonedx.model.component import Component, ComponentType
        from cyclonedx.output.json import JsonV1Dot6
    except ModuleNotFoundError as error:
        raise missing_package("a release", error, "release") from None
    bom = Bom()
    bom.metadata.component = Component(name=name, type=ComponentType.MACHINE_LEARNING_MODEL, bom_ref=name)
    parts = [_file_component(file) for file in files]
    parts += [_library_component(library, version) for library, version in sorted(versions.items())]
    bom.components.update(parts)
    bom.register_dependency(bom.metadata.component, parts)
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _file_component(file: ReleasedFile) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType

    kind: Any = ComponentType.MACHINE_LEARNING_MODEL if file.role == EXPORT else ComponentType.FILE
    return Component(
        name=file.path,
        type=kind,
        bom_ref=f"file:{file.path}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=file.sha256)],
    )


def _library_component(name: str, version: str) -> Component:
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    kind = ComponentType.PLATFORM if name == "python" else ComponentType.LIBRARY
    purl = None if name == "python" else PackageURL(type="pypi", name=name, version=version)
    return Component(name=name, version=version, type=kind, bom_ref=f"library:{name}", purl=purl)
