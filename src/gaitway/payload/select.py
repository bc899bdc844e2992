"""Choosing the files of a payload: what git would commit, less the ignore files and what is never shipped."""

from __future__ import annotations

import dataclasses
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import gaitway_runtime
from gaitway_runtime.spec.files import payload_hash

from ..errors import UsageError
from .archive import LeftOut, Payload, PayloadFile, folded
from .rules import IGNORE_FILE, RUNTIME, GitIgnoreFiles, IgnoreFiles, is_litter, may_hold_secrets, read_file
from .sources import GitSilent, GitView, is_optional, look, package_root

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


def select(
    training_path: str, with_paths: Sequence[str] = (), *, named: bool = False, imports: Sequence[str] = ()
) -> Payload:
    """Choose the files of a payload and hash them. Reads files and asks git; writes nothing.

    The contents of ``training_path`` lie at the payload's root, each of ``with_paths`` under its own name. Of a Python
    project among them the contents lie at the root, so that its packages are imported by their own names. A training
    folder without the runtime gets the installed one beside its own files.

    Args:
        training_path: Folder to ship.
        with_paths: More folders or files.
        named: Whether the user named the training path; the default one may be missing.
        imports: Modules that the job imports.

    Raises:
        UsageError: A path is missing, two files would land in one place, or a name or link cannot be shipped.
    """
    folder = Path(training_path).expanduser()
    selections: list[Selection] = []
    roots: list[str] = []
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
    for path in with_paths:
        _add_named(Path(path).expanduser(), imports, selections)
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
        return _without_git(root, str(silent))
    if not view.files:
        return _Asked(view.top)
    left_out = [LeftOut(name, "ignored by git") for name in view.ignored if not is_litter(name.rstrip("/"))]
    left_out += [LeftOut(name, "not checked out (sparse checkout)") for name in view.absent]
    left_out += [LeftOut(name, "a submodule that is not checked out") for name in view.empty_submodules]
    gone = {*view.absent, *view.empty_submodules}
    files = tuple(name for name in view.files if name not in gone)
    return _Asked(view.top, files, view.commit, view.dirty, tuple(left_out), _notes_on(view))


def _without_git(root: Path, reason: str) -> _Asked:
    """Choose files by the ``.gitignore`` files alone: what is ignored must not travel because git does not answer."""
    ignored = GitIgnoreFiles(root)
    found = [(name, ignored.names(name)) for name in _walk(root)]
    left_out = tuple(LeftOut(name, "named in .gitignore") for name, out in found if out)
    notes = (f"git has no answer for {root} ({reason}): .gitignore files alone say what is left out",) if reason else ()
    return _Asked(files=tuple(name for name, out in found if not out), left_out=left_out, notes=notes)


def _notes_on(view: GitView) -> tuple[str, ...]:
    """Return what a user should know of a repository that is not whole."""
    notes = [
        f"{name} is a submodule that is not checked out: nothing of it travels (git submodule update --init {name})"
        for name in view.empty_submodules
    ]
    if view.absent:
        count = f"{len(view.absent)} tracked files are" if len(view.absent) > 1 else f"{view.absent[0]} is"
        notes.append(
            f"{count} not checked out (sparse checkout) and not shipped: git sparse-checkout list shows what is"
        )
    return tuple(notes)


def _add_named(path: Path, imports: Sequence[str], selections: list[Selection]) -> None:
    """Add the files of one ``--with`` path: under its own name, or those of a project at the root."""
    root = package_root(path, imports)
    if root is None:
        selections.append(_select_named(path))
        return
    chosen = select_folder(root)
    taken = {name for selection in selections for name in selection.sources}
    # Two projects have a setup.py each, which neither needs when it is imported from where it lies.
    sources = {
        name: source for name, source in chosen.sources.items() if name not in taken or not is_optional(name, root)
    }
    note = f"{path} is a Python project: its packages lie at the payload's root"
    selections.append(dataclasses.replace(chosen, sources=sources, notes=(*chosen.notes, note)))


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
    return Selection({name: _regular_file(target.parent, target, target.stat().st_mode)})


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
    real: dict[str, Path] = {}
    for name in (name.rstrip("/") for name in names):
        folder, _, last = name.rpartition("/")
        if is_litter(name) or last == IGNORE_FILE:
            continue
        mode = _mode(root, name)
        if mode is None:
            continue
        ignored = ignore.names(name)
        if may_hold_secrets(name):
            left_out.append(LeftOut(name, "may hold secrets"))
        elif ignored:
            left_out.append(LeftOut(name, f"{ignored.name} in {ignored.parent}"))
        elif stat.S_ISDIR(mode):
            folders.append(name)
        else:
            _check_name(name, root / name)
            if folder not in real:
                real[folder] = _folder_inside(root, root / folder)
            sources[name] = _regular_file(root, real[folder] / last, mode)
    return sources, folders, left_out


def _mode(root: Path, name: str) -> int | None:
    """Return the type of what stands at a name, links not followed; None where nothing does."""
    try:
        return os.lstat(f"{root}/{name}").st_mode
    except (OSError, ValueError):
        return None


def _folder_inside(root: Path, folder: Path) -> Path:
    """Return a folder without the links on the way to it.

    Raises:
        UsageError: They lead out of the root.
    """
    target = Path(os.path.realpath(folder))
    if not target.is_relative_to(root):
        raise _leads_away(folder)
    return target


def _regular_file(root: Path, path: Path, mode: int) -> Path:
    """Return the file that a path stands for: itself, or what a link inside the folder points to.

    Raises:
        UsageError: It is neither a regular file nor a link to a shippable one in the same folder.
    """
    target = path
    if stat.S_ISLNK(mode):
        target = Path(os.path.realpath(path))
        inside = target.is_relative_to(root) and target.is_file()
        name = target.relative_to(root).as_posix() if inside else ""
        if not inside or is_litter(name) or may_hold_secrets(name):
            raise _leads_away(path)
    elif not stat.S_ISREG(mode):
        raise UsageError(f"{path} is not a regular file", source="payload", hint=f"leave it out in {IGNORE_FILE}")
    return target


def _leads_away(link: Path) -> UsageError:
    what = f"the link {link} points to {os.readlink(link)}" if link.is_symlink() else f"{link} lies behind a link"
    return UsageError(
        what,
        source="payload",
        allowed="links to files inside the same folder; their contents are shipped",
        hint=f"leave it out in {IGNORE_FILE}, or ship what it points to with --with",
    )


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
    read = [read_file(source, path) for path, source in sorted(chosen.sources.items())]
    files = tuple(found.file for found in read if not found.left_out)
    return Payload(
        files=files,
        sha256=content_hash(files),
        commit=chosen.commit,
        dirty=chosen.dirty,
        roots=roots,
        left_out=(*chosen.left_out, *(LeftOut(found.file.path, found.left_out) for found in read if found.left_out)),
        notes=(*chosen.notes, *(found.note for found in read if found.note)),
    )


def content_hash(files: Sequence[PayloadFile]) -> str:
    """Return the digest of files that are sorted by path: of each its path and the digest of its content."""
    return payload_hash((file.path, file.sha256) for file in files)


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
