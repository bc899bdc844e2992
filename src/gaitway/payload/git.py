"""What git knows of a folder: its files, its commit, what is not committed. Read-only."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path


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
    return GitView(Path(top), listed, ignored, commit, dirty)


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
