"""Code of a TorchScript archive as text: what is refused before anything of it runs; torch is not needed for that."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

from ..spec.checkpoint_files import damage_of, members_of
from ..spec.errors import UsageError

_REACHES_OUT = re.compile(
    r"\b(?:torch|ops\.aten|aten)\s*[.:]+\s*(?:save|load|from_file)\b|\bops\.(?!prim\b|aten\b)\w+"
    r"|\btorch\.hub\.\w+\s*\(|\b(?:from_file|save)\("
)
"""Calls in an archive's code that write or read files, and operators of extensions."""

_CODE_LIMIT = 16 * 2**20
"""Most code that is looked through [bytes]; a policy's has a few KiB."""


_ATTRIBUTE = re.compile(r"^  (\w+) : ", re.MULTILINE)
"""Declaration of what a module of an archive holds; ``training`` and its own are among them."""


def attribute_names(path: Path) -> list[str]:
    """Return the names of all that modules of an archive hold, each once: submodules and parameters are among them."""
    with zipfile.ZipFile(path) as archive:
        texts = [archive.read(entry).decode("utf-8", "replace") for entry in code_files(archive.infolist())]
    names = (name for text in texts for name in _ATTRIBUTE.findall(text))
    return [name for name in dict.fromkeys(names) if name != "training"]


def code_files(members: Iterable[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """Return the source files among the members of a TorchScript archive; none in an archive of another kind."""
    return [entry for entry in members if "/code/" in entry.filename and entry.filename.endswith(".py")]


def check_code(path: Path) -> None:
    """Refuse an archive whose code reaches beyond its tensors; it is read as text, and nothing of it has run then.

    torch reads an archive without a look at its checksums, which are checked here.

    Raises:
        UsageError: It is damaged, writes or reads files, calls operators of an extension, or is too long to be looked
            through.
    """
    code = code_files(members_of(path) or ())
    if sum(entry.file_size for entry in code) > _CODE_LIMIT:
        raise UsageError("the exported policy holds too much code to be looked through", source=str(path))
    damage = damage_of(path) if code else "it is no archive with a program inside"
    if damage:
        raise UsageError(f"the exported policy cannot be read: {damage}", source=str(path))
    with zipfile.ZipFile(path) as archive:
        texts = [archive.read(entry).decode("utf-8", errors="replace") for entry in code]
    found = next((match for text in texts if (match := _REACHES_OUT.search(text))), None)
    if found:
        raise UsageError(
            f"the exported policy's code does more than compute ('{found[0]}'): it is not run",
            source=str(path),
            hint="export the policy from its checkpoint",
        )
