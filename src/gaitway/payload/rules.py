"""What is never shipped, and what the user's ``.gaitwayignore`` files leave out."""

from __future__ import annotations

import re
from fnmatch import translate
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILE = ".gaitwayignore"

SECRETS = (
    ".env",
    ".env.*",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.keystore",
    "*.kdbx",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    ".netrc",
    "_netrc",
    ".pypirc",
    ".npmrc",
    ".htpasswd",
    ".git-credentials",
    ".aws",
    ".azure",
    ".ssh",
    "*.tfstate",
    "*.tfstate.*",
)
"""Names of files and folders that may hold secrets: never shipped, tracked by git or not."""

LITTER = (
    ".git",
    ".gaitway",
    ".tmp",
    ".terraform",
    "__pycache__",
    "*.pyc",
    "*.pyo",
    "*.egg-info",
    ".venv",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".hypothesis",
    ".ipynb_checkpoints",
    ".tox",
    ".nox",
    "node_modules",
    ".ds_store",
)
"""Names of caches and of tools' own folders: never shipped, and not worth a word."""


_LITTER = re.compile("|".join(map(translate, LITTER)))
_SECRETS = re.compile("|".join(map(translate, SECRETS)))


def is_litter(path: str) -> bool:
    """Whether a path is, or lies in, a cache or a tool's own folder."""
    return any(map(_LITTER.match, path.casefold().split("/")))


def may_hold_secrets(path: str) -> bool:
    """Whether a path is, or lies in, something that may hold secrets."""
    return any(map(_SECRETS.match, path.casefold().split("/")))


class IgnoreFiles:
    """The ``.gaitwayignore`` files of a folder and of the folders above it up to the repository's top."""

    def __init__(self, root: Path, top: Path | None) -> None:
        folders = [root]
        while top is not None and folders[-1] != top and folders[-1] != folders[-1].parent:
            folders.append(folders[-1].parent)
        self.root = root
        self._specs = [(folder, _read(folder / IGNORE_FILE)) for folder in folders if (folder / IGNORE_FILE).is_file()]

    def names(self, path: str) -> Path | None:
        """Return the ignore file that leaves out ``path`` (relative to the root), or None."""
        for folder, spec in self._specs:
            if spec.match_file((self.root / path).relative_to(folder).as_posix()):
                return folder / IGNORE_FILE
        return None


def _read(path: Path) -> GitIgnoreSpec:
    # Imported here: most folders have no ignore file, and a dry run is to be quick.
    from pathspec import GitIgnoreSpec

    try:
        return GitIgnoreSpec.from_lines(path.read_text(encoding="utf-8").splitlines())
    except (OSError, ValueError) as error:
        raise UsageError(f"the ignore file cannot be read: {error}", source=str(path)) from error
