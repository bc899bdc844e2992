"""Choosing the files of a payload: what git would commit, less the ignore files and what is never shipped."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import gaitway_runtime

from ..errors import UsageError
from .git import GitSilent, look
from .manifest import LeftOut, Payload, PayloadFile
from .rules import IGNORE_FILE, IgnoreFiles, is_litter, may_hold_secrets

RUNTIME = "gaitway_runtime"
INSTALLED = "the installed runtime"
"""Root of the files that are added to a folder without the runtime."""


@dataclass(frozen=True)
class Selection:
    """The files of one folder or file, before they are hashed. Payload paths are keys."""

    sources: dict[str, Path]
    commit: str | None = None
    dirty: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


class _Asked(NamedTuple):
    """What git said of a folder; no files: choose among all."""

    top: Path | None = None
    files: tuple[str, ...] = ()
    commit: str | None = None
    dirty: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


def select(training_path: str, with_paths: Sequence[str] = (), *, named: bool = False) -> Payload:
    """Choose the files of a payload and hash them. Reads files and asks git; writes nothing.

    The contents of ``training_path`` lie at the payload's root, each of ``with_paths`` under its own name. A
    training folder without the runtime gets the installed one beside its own files.

    Args:
        training_path: Folder to ship.
        with_paths: More folders or files.
        named: Whether the user named the training path; the default one may be missing.

    Raises:
        UsageError: A path is missing, two files would land in one place, or a name or link cannot be shipped.
    """
    folder = Path(training_path)
    selections, roots = [], []
    if folder.is_dir():
        selections.append(select_folder(folder))
        roots.append(training_path)
    elif named or folder.exists():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise UsageError(f"the training path {what}: {folder}", source="--training-path")
    if not any(f"{RUNTIME}/__init__.py" in selection.sources for selection in selections):
        added = select_folder(Path(gaitway_runtime.__file__).parent, f"{RUNTIME}/")
        # It is no part of the user's repository: where it happens to be another checkout, its commit would mislead.
        selections.append(dataclasses.replace(added, commit=None, dirty=()))
        roots.append(INSTALLED)
    selections += [_select_named(Path(path)) for path in with_paths]
    roots += with_paths
    return _assemble(selections, tuple(roots))


def select_folder(folder: Path, prefix: str = "") -> Selection:
    """Choose the files of one folder; they go below ``prefix``.

    Git's files where git knows any here, else all of them: a folder that git ignores was named on purpose.

    Raises:
        UsageError: A link leads out of the folder, to a folder or nowhere, or a name cannot be shipped.
    """
    root = folder.resolve()
    top, listed, commit, dirty, left_out, notes = _ask_git(root)
    names = listed or tuple(_walk(root))
    sources, folders, sifted = _sift(root, names, IgnoreFiles(root, top))
    nested = [select_folder(root / name, f"{prefix}{name}/") for name in folders]
    own = Selection(
        {prefix + name: path for name, path in sources.items()},
        commit,
        tuple(prefix + name for name in dirty if name in sources or not os.path.lexists(root / name)),
        tuple(LeftOut(prefix + left.path, left.reason) for left in (*left_out, *sifted)),
        notes,
    )
    return _merge([own, *nested])


def _ask_git(root: Path) -> _Asked:
    try:
        view = look(root)
    except GitSilent as silent:
        reason = str(silent)
        notes = (f"git has no answer for {root} ({reason}): all its files were considered",) if reason else ()
        return _Asked(notes=notes)
    if not view.files:
        return _Asked(view.top)
    ignored = tuple(LeftOut(name, "ignored by git") for name in view.ignored if not is_litter(name.rstrip("/")))
    return _Asked(view.top, view.files, view.commit, view.dirty, ignored)


def _select_named(path: Path) -> Selection:
    """Choose the files of one ``--with`` path, which go under its own name."""
    if not path.exists():
        raise UsageError(f"there is nothing at {path}", source="--with")
    name = path.name if path.name not in ("", "..") else path.resolve().name
    if not name:
        raise UsageError(f"{path} has no name to ship it under", source="--with")
    if may_hold_secrets(name):
        raise UsageError(f"{path} may hold secrets and is never shipped", source="--with")
    if path.is_dir():
        return select_folder(path, f"{name}/")
    _check_name(name, path)
    target = path.resolve()
    return Selection({name: _regular_file(target.parent, target)})


def _walk(root: Path) -> Iterator[str]:
    """Yield every file and link below a folder, caches and virtual environments aside."""
    for folder, subfolders, files in os.walk(root):
        here = Path(folder)
        links = [name for name in subfolders if (here / name).is_symlink()]
        subfolders[:] = sorted(
            name
            for name in subfolders
            if name not in links and not is_litter(name) and not (here / name / "pyvenv.cfg").exists()
        )
        for name in sorted(files + links):
            yield (here / name).relative_to(root).as_posix()


def _sift(root: Path, names: Sequence[str], ignore: IgnoreFiles) -> tuple[dict[str, Path], list[str], list[LeftOut]]:
    """Keep of some names (relative to ``root``) what may be shipped: files, and folders that are repositories."""
    sources: dict[str, Path] = {}
    folders: list[str] = []
    left_out: list[LeftOut] = []
    for name in (name.rstrip("/") for name in names):
        path = root / name
        if is_litter(name) or path.name == IGNORE_FILE or not os.path.lexists(path):
            continue
        ignored = ignore.names(name)
        if may_hold_secrets(name):
            left_out.append(LeftOut(name, "may hold secrets"))
        elif ignored:
            left_out.append(LeftOut(name, f"{ignored.name} in {ignored.parent}"))
        elif path.is_dir() and not path.is_symlink():
            folders.append(name)
        else:
            _check_name(name, path)
            sources[name] = _regular_file(root, path)
    return sources, folders, left_out


def _regular_file(root: Path, path: Path) -> Path:
    """Return the file that a path stands for: itself, or what a link inside the folder points to.

    Raises:
        UsageError: It is neither a regular file nor a link to a shippable one in the same folder.
    """
    target = Path(os.path.realpath(path))
    if path.is_symlink():
        inside = target.is_relative_to(root) and target.is_file()
        name = target.relative_to(root).as_posix() if inside else ""
        if not inside or is_litter(name) or may_hold_secrets(name):
            raise UsageError(
                f"the link {path} points to {os.readlink(path)}",
                source="payload",
                allowed="links to files inside the same folder; their contents are shipped",
                hint=f"leave it out in {IGNORE_FILE}, or ship what it points to with --with",
            )
    if not stat.S_ISREG(target.stat().st_mode):
        raise UsageError(f"{path} is not a regular file", source="payload", hint=f"leave it out in {IGNORE_FILE}")
    return target


def _check_name(name: str, path: Path) -> None:
    """Refuse a name that would not survive the journey.

    Raises:
        UsageError: It is not UTF-8, or has a backslash or a control character.
    """
    if not name.isprintable() or "\\" in name:
        shown = name.encode("utf-8", "backslashreplace").decode("utf-8")
        raise UsageError(
            f"the file name {shown!r} cannot be shipped",
            source=str(path.parent),
            allowed="UTF-8 without control characters and backslashes",
        )


def _merge(selections: Sequence[Selection]) -> Selection:
    """Join selections.

    Raises:
        UsageError: Two files would land in one place, on some file system.
    """
    sources: dict[str, Path] = {}
    for selection in selections:
        for path, source in selection.sources.items():
            if path in sources and sources[path] != source:
                raise UsageError(f"{sources[path]} and {source} would both be shipped as {path}", source="payload")
            sources[path] = source
    return Selection(
        sources,
        next((selection.commit for selection in selections if selection.commit), None),
        tuple(name for selection in selections for name in selection.dirty),
        tuple(left for selection in selections for left in selection.left_out),
        tuple(note for selection in selections for note in selection.notes),
    )


def _assemble(selections: Sequence[Selection], roots: tuple[str, ...]) -> Payload:
    chosen = _merge(selections)
    _check_collisions(chosen.sources)
    files = tuple(_hashed(source, path) for path, source in sorted(chosen.sources.items()))
    return Payload(
        files=files,
        sha256=content_hash(files),
        commit=chosen.commit,
        dirty=chosen.dirty,
        roots=roots,
        left_out=chosen.left_out,
        notes=chosen.notes,
    )


def content_hash(files: Sequence[PayloadFile]) -> str:
    """Return the digest of files that are sorted by path: of each its path and the digest of its content."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.path}\0{file.sha256}\n".encode())
    return digest.hexdigest()


def folded(path: str) -> str:
    """Return a path as a file system without case or Unicode forms sees it."""
    return unicodedata.normalize("NFC", path).casefold()


def _check_collisions(paths: dict[str, Path]) -> None:
    seen: dict[str, str] = {}
    for path in paths:
        other = seen.setdefault(folded(path), path)
        if other != path:
            raise UsageError(
                f"{other} and {path} differ only by case and cannot lie beside each other everywhere",
                source="payload",
                hint=f"rename one, or leave it out in {IGNORE_FILE}",
            )


def _hashed(source: Path, path: str) -> PayloadFile:
    digest = hashlib.sha256()
    size = 0
    try:
        with source.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
                size += len(block)
    except OSError as error:
        raise UsageError(f"a file of the payload cannot be read: {error.strerror}", source=str(source)) from None
    return PayloadFile(source, path, size, digest.hexdigest())
