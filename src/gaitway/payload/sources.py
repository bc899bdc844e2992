"""Folders that a payload is selected from: their state in git, and the Python packages in them. Read-only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from .archive import Payload


@dataclass(frozen=True)
class GitView:
    """A folder as git sees it. All paths are relative to the folder, with ``/``."""

    top: Path
    """The repository's top folder."""
    files: tuple[str, ...]
    """Tracked files and untracked ones that are not ignored; a nested repository stands as one entry."""
    ignored: tuple[str, ...]
    """What git ignores; a folder that is ignored whole stands as one entry with a ``/`` at its end."""
    commit: str | None
    dirty: tuple[str, ...]
    absent: tuple[str, ...] = ()
    """Tracked files that a sparse checkout leaves out."""
    empty_submodules: tuple[str, ...] = ()
    """Submodules that are not checked out."""


class GitSilent(Exception):
    """Git could not be asked; the text says why. An empty text: the folder is in no repository."""


def look(folder: Path) -> GitView:
    """Ask git about a folder.

    Raises:
        GitSilent: There is no git, no repository, or git refuses to look.
    """
    top, _, prefix = _git(folder, "rev-parse", "--show-toplevel", "--show-prefix").rstrip("\n").partition("\n")
    listed = _names(folder, "--cached", "--others")
    ignored = _names(folder, "--others", "--ignored", "--directory")
    status = _git(
        folder, "status", "--porcelain=v2", "--branch", "-z", "--no-renames", "--untracked-files=all", "--", "."
    )
    commit, dirty = _read_status(status, prefix)
    absent, submodules = _read_index(_git(folder, "ls-files", "-z", "-t", "--stage"))
    empty = tuple(name for name in submodules if not (folder / name / ".git").exists())
    return GitView(Path(top), listed, ignored, commit, dirty, absent, empty)


def _read_index(listing: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the files that are not checked out, and the submodules, from ``git ls-files -z -t --stage``."""
    absent, submodules = [], []
    for entry in listing.split("\0"):
        about, _, name = entry.partition("\t")
        tag, mode = (*about.split(" "), "", "")[:2]
        if mode == "160000":
            submodules.append(name)
        elif tag == "S":
            absent.append(name)
    return tuple(absent), tuple(submodules)


def _names(folder: Path, *which: str) -> tuple[str, ...]:
    listed = _git(folder, "ls-files", "-z", "--exclude-standard", *which)
    return tuple(sorted({name for name in listed.split("\0") if name}))


def _read_status(status: str, prefix: str) -> tuple[str | None, tuple[str, ...]]:
    """Return the commit and the changed paths from ``git status --porcelain=v2 --branch -z``."""
    commit = None
    dirty = []
    for line in status.split("\0"):
        kind, _, rest = line.partition(" ")
        if kind == "#" and rest.startswith("branch.oid "):
            oid = rest.removeprefix("branch.oid ")
            commit = None if oid == "(initial)" else oid
        elif kind in _FIELDS_BEFORE_PATH:
            dirty.append(rest.split(" ", _FIELDS_BEFORE_PATH[kind])[-1].removeprefix(prefix))
    return commit, tuple(sorted(dirty))


_FIELDS_BEFORE_PATH = {"1": 7, "u": 9, "?": 0}
"""Fields between the kind and the path of a status line (git-status(1), porcelain format version 2)."""


def _git(folder: Path, *args: str) -> str:
    # A caller's GIT_DIR (a hook, say) must not lead elsewhere; a dry run must not refresh the index; and a
    # repository's own fsmonitor command is not to be run for a listing.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environ |= {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(folder), *args]
    try:
        done = subprocess.run(command, capture_output=True, env=environ, check=False, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise GitSilent(f"git cannot be started ({error.strerror})") from None
    if done.returncode != 0:
        message = os.fsdecode(done.stderr).strip().partition("\n")[0]
        raise GitSilent("" if "not a git repository" in message else message)
    return os.fsdecode(done.stdout)


MARKS = ("setup.py", "pyproject.toml", "setup.cfg", "config/extension.toml")
"""Files that make a folder a Python project, or an extension of Isaac Lab."""

NO_PACKAGES = frozenset({"tests", "test", "docs", "scripts", "examples"})
"""Folders of a project that may look like packages and are not what it is for."""


def package_root(folder: Path, imports: Sequence[str] = ()) -> Path | None:
    """Return the folder of a project in which its packages lie; None for a package, and for a folder of anything else.

    Isaac Lab's template puts the package ``ext`` at ``source/ext/ext``: under the name of ``source/ext`` it would be
    imported as a namespace package without anything in it.

    Args:
        folder: What the user named.
        imports: Modules that the job imports; a project whose folder they begin with is no project to them.
    """
    if (folder / "__init__.py").is_file() or not folder.is_dir():
        return None
    if any(name.startswith(f"{folder.resolve().name}.{inner}") for name in imports for inner in _packages(folder)):
        return None
    same_name = folder.resolve().name in _packages(folder)
    if not same_name and not any((folder / mark).is_file() for mark in MARKS):
        return None
    return next((root for root in (folder, folder / "src") if _packages(root)), None)


def is_optional(path: str, root: Path) -> bool:
    """Whether a file of a project is none of its code, so that another project's may have its place."""
    top = path.partition("/")[0]
    return top not in _packages(root) and (top == "setup.py" or not top.endswith(".py"))


def check_imports(payload: Payload, imports: Sequence[str]) -> tuple[str, ...]:
    """Return a note for each module that is not among the files that travel.

    Raises:
        UsageError: A module would be imported as a folder without code: what is in it is imported under another name.
    """
    paths = {file.path for file in payload.files}
    return tuple(note for name in imports if (note := _check_import(name, paths)))


def _check_import(name: str, paths: set[str]) -> str:
    place = name.replace(".", "/")
    if f"{place}.py" in paths or f"{place}/__init__.py" in paths:
        return ""
    inside = sorted(path for path in paths if path.startswith(f"{place}/") and path.endswith(".py"))
    if not inside:
        return f"{name} is not among the files that travel: it must be installed where the job runs"
    packages = [path.removesuffix("/__init__.py") for path in inside if path.endswith("/__init__.py")]
    nearest = min(packages, key=len).replace("/", ".") if packages else inside[0].removesuffix(".py").replace("/", ".")
    raise UsageError(
        f"--import {name} would import an empty folder: {place} has no __init__.py",
        source="--import",
        allowed="a module or a package among the files that travel (gaitway payload lists them)",
        hint=f"--import {nearest}, or add {place}/__init__.py that imports it",
    )


def _packages(root: Path) -> set[str]:
    if not root.is_dir():
        return set()
    return {path.parent.name for path in root.glob("*/__init__.py") if path.parent.name not in NO_PACKAGES}
