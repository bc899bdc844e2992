"""Tasks of the user's own modules, known to the client as to the job."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from gaitway_runtime.spec import catalog

from .payload.sources import package_root


def import_user_tasks(imports: Sequence[str], with_paths: Sequence[str], training_path: str | None = None) -> None:
    """Import modules that register tasks, from where the payload will have them. Leaves no compiled files behind.

    Args:
        imports: Names of the modules.
        with_paths: Folders and files that are shipped under their own names.
        training_path: Folder whose contents are shipped.

    Raises:
        UsageError: A module cannot be imported here; the error names it and why.
    """
    folders = [str((package_root(Path(path), imports) or Path(path).parent).resolve()) for path in with_paths]
    folders += [str(Path(training_path).resolve())] if training_path else []
    with _search(folders):
        catalog.import_tasks(imports)


@contextlib.contextmanager
def _search(folders: Sequence[str]) -> Iterator[None]:
    """Look for modules in some folders too, after all others, and write no compiled files."""
    path, writes_none = list(sys.path), sys.dont_write_bytecode
    sys.path += folders
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.path[:] = path
        sys.dont_write_bytecode = writes_none
