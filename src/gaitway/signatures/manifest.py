"""Manifest of a release folder: every file with its role, size and hash, and the checkpoint they belong to."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gaitway_runtime.spec.checkpoint_files import sha256_of
from gaitway_runtime.spec.result import write_json

from ..errors import UsageError

MANIFEST_FILE = "release.json"
SIGNATURE_FILE = "release.sig"
SCHEMA = 1

CHECKPOINT, CONTRACT, VERDICT, PROVENANCE = "checkpoint", "contract", "verdict", "provenance"
EXPORT, PARITY, REPORT, FILM, CARD, SBOM = "export", "parity", "report", "film", "card", "sbom"
ROLES = (CHECKPOINT, EXPORT, CONTRACT, VERDICT, PARITY, PROVENANCE, REPORT, FILM, CARD, SBOM)
"""Roles that a file of a release can have."""


@dataclass(frozen=True, kw_only=True)
class ReleasedFile:
    """One file of a release."""

    path: str
    """Relative to the release folder, with forward slashes."""
    role: str
    """One of :data:`ROLES`."""
    size: int
    """[bytes]"""
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The table of contents of a release. It does not list itself or the signature."""

    name: str
    task: str
    created: str
    """ISO 8601, UTC."""
    checkpoint_sha256: str
    """Hash of the checkpoint that every file of the release was made from."""
    files: tuple[ReleasedFile, ...]
    schema: int = SCHEMA

    def with_role(self, role: str) -> tuple[ReleasedFile, ...]:
        """Return the files of a role."""
        return tuple(file for file in self.files if file.role == role)


def describe(folder: Path, path: str, role: str) -> ReleasedFile:
    """Return the manifest's entry of a file that lies in a release folder."""
    return ReleasedFile(path=path, role=role, size=(folder / path).stat().st_size, sha256=sha256_of(folder / path))


def write(manifest: Manifest, folder: Path) -> None:
    """Write the manifest into its folder."""
    write_json(dataclasses.asdict(manifest), folder / MANIFEST_FILE)


def read(folder: Path) -> Manifest:
    """Return the manifest of a release folder.

    Raises:
        UsageError: The folder has none that can be read.
    """
    path = folder / MANIFEST_FILE
    try:
        if path.is_symlink():
            raise ValueError("it is a link")
        document = json.loads(path.read_text(encoding="utf-8"))
        files = tuple(ReleasedFile(**entry) for entry in document.pop("files"))
        manifest = Manifest(**document, files=files)
    except FileNotFoundError:
        raise UsageError(
            f"{folder} is not a release: it has no {MANIFEST_FILE}", hint="gaitway release RUN makes one"
        ) from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UsageError(f"the release's manifest cannot be read: {error}", source=str(path)) from None
    if manifest.schema != SCHEMA:
        raise UsageError(
            f"the release has schema {manifest.schema}, which this gaitway does not know",
            source=str(path),
            allowed=str(SCHEMA),
        )
    return manifest


def entries(folder: Path) -> Iterator[tuple[str, bool]]:
    """Yield every entry below a folder that is not a folder itself: its relative path, and whether it is a plain file.

    Links are entries, whatever they lead to, and are never followed.
    """
    for place, folders, files in os.walk(folder, followlinks=False):
        for name in (*files, *(name for name in folders if (Path(place) / name).is_symlink())):
            path = Path(place) / name
            yield path.relative_to(folder).as_posix(), path.is_file() and not path.is_symlink()
