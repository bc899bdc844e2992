"""Files that earlier attempts at a run have kept, brought back for the next one. Standard library only."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from ..spec.checkpoint_files import iteration_of, newest_whole
from .attempt_mark import ORIGIN_FILE, AttemptMark
from .uploads import CHECKPOINTS, PROGRESS_FILES, CheckpointStore


def earlier_files(store: CheckpointStore | None, environ: Mapping[str, str], scratch: Path) -> Path | None:
    """Return a folder with what earlier attempts at this run have kept beside their checkpoints; None for nothing.

    Args:
        store: The run's place in object storage.
        environ: ``RESUME_DIR`` is a folder that the platform has filled from there.
        scratch: Folder to download to where the platform has filled none.
    """
    if environ.get("RESUME_DIR"):
        folder = Path(environ["RESUME_DIR"])
    elif store is None:
        return None
    else:
        folder = scratch
        try:
            store.download(CHECKPOINTS, folder)
        except OSError as error:
            print(f"container: earlier attempts cannot be looked for: {error}", file=sys.stderr, flush=True)
            return None
    # OSMO may put the folder itself below the input.
    marker = next(iter(sorted(folder.rglob(ORIGIN_FILE))), None)
    return marker.parent if marker else folder


def restore(folder: Path | None, environ: Mapping[str, str], outputs: Path) -> Path | None:
    """Bring back what earlier attempts at this run have kept, and return the newest checkpoint.

    The platform may start the command of a group's task again where it is, when another task of the group was lost: its
    outputs then hold more than what was kept elsewhere when its container began.

    Args:
        folder: Where it lies; see :func:`earlier_files`.
        environ: ``RUN_ID`` says which run this is.
        outputs: The job's output folder; gets the checkpoints and the progress of the earlier attempts.
    """
    run = environ.get("RUN_ID", "")
    here = newest_whole(outputs / CHECKPOINTS) if _is_of_run(outputs / CHECKPOINTS, run) else None
    newest = newest_whole(folder) if folder else None
    if here is not None and (newest is None or _iteration(here) >= _iteration(newest)):
        print(f"container: this container has got to {here.name} before; continuing from there", flush=True)
        return here
    if newest is None:
        return None
    if not _is_of_run(newest.parent, run):
        print(f"container: the checkpoints in {newest.parent} are of another run; they are left alone", flush=True)
        return None
    for path in sorted(newest.parent.iterdir()):
        if path.is_file():
            target = outputs / ("" if path.name in PROGRESS_FILES else CHECKPOINTS) / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    print(f"container: an earlier attempt got to {newest.name}; continuing from there", flush=True)
    return outputs / CHECKPOINTS / newest.name


def _iteration(path: Path) -> int:
    return iteration_of(path.name) or 0


def _is_of_run(folder: Path, run: str) -> bool:
    """Return whether checkpoints are of a run; those without a marker are of nobody that this run knows."""
    if not run:
        return True
    found = AttemptMark.read(folder)
    return found is not None and found.run_id == run
