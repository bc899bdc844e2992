"""Copies of a job's checkpoints in the folder that its platform keeps. Standard library only."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..spec.checkpoint_files import COMPANION, old_companions
from ..spec.result import RESULT_FILE
from .attempt_mark import AttemptMark
from .repeating import repeating

COPY_EVERY_S = 1.0
"""Pause between two looks for checkpoints to copy [s]: what is not copied is lost with a node that is taken away."""


@contextlib.contextmanager
def copying(copier: CheckpointCopier | None) -> Iterator[None]:
    """Copy checkpoints every :data:`COPY_EVERY_S` while the job runs, and the rest at its end."""
    if copier is None:
        yield
        return
    copier.claim()

    def copy() -> float:
        copier.copy()
        return COPY_EVERY_S

    try:
        with repeating(copy, COPY_EVERY_S):
            yield
    finally:
        copier.copy()


@dataclass
class CheckpointCopier:
    """Copies checkpoints from where a job writes them to where its platform keeps them.

    Where the platform has started another attempt at the job, that one alone adds to the folder.
    """

    source: Path
    target: Path
    origin: AttemptMark
    """Marker of this attempt."""
    _copied: dict[str, tuple[int, int]] = field(default_factory=dict)
    _claimed: bool = False
    _replaced: bool = False

    def claim(self) -> bool:
        """Leave this attempt's marker in the platform's folder, and return whether the folder is this attempt's."""
        if not self._claimed:
            try:
                self.origin.write(self.target)
                for left in self.target.rglob(".*.partial"):  # of an attempt that was killed
                    left.unlink(missing_ok=True)
            except OSError as error:
                print(f"container: nothing could be copied to {self.target}: {error.strerror}", file=sys.stderr)
                return False
            self._claimed = True
        if not self._replaced and self.origin.replaced_by(AttemptMark.read(self.target)):
            self._replaced = True
            print(f"container: another attempt adds to {self.target} now: this one copies nothing more", flush=True)
        return not self._replaced

    def copy(self) -> None:
        """Copy new files; a platform's folder that cannot be written must not end the job.

        A companion is copied before its checkpoint, so that a checkpoint that is there has its companion.
        """
        if not self.claim():
            return
        companions = self.source.glob(COMPANION.format("*"))
        for path in (*sorted(companions), *sorted(self.source.glob("**/*.pt"))):
            name = str(path.relative_to(self.source))
            try:
                found = path.stat()
                state = (found.st_size, found.st_mtime_ns)
                if self._copied.get(name) == state:
                    continue
                if not self._copy(path, self.target / name):
                    return
            except FileNotFoundError:
                continue  # a companion that a newer one has just replaced
            except OSError as error:
                print(f"container: {name} could not be copied to {self.target}: {error.strerror}", file=sys.stderr)
            else:
                self._copied[name] = state
        with contextlib.suppress(OSError):
            for name in old_companions(path.name for path in self.target.iterdir()):
                (self.target / name).unlink()

    def _copy(self, path: Path, target: Path) -> bool:
        """Copy a file, and return whether the folder was still this attempt's when it was complete."""
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{self.origin.attempt[:8]}.partial")
        shutil.copyfile(path, partial)
        if not self.claim():
            partial.unlink(missing_ok=True)
            return False
        os.replace(partial, target)
        return True


def copy_outputs(source: Path, target: Path) -> None:
    """Copy a job's outputs, the result last: what lies there with a result is whole.

    A checkpoint that :class:`CheckpointCopier` has copied is left as it is.

    Raises:
        OSError: A file could not be copied.
    """
    files = [path for path in source.rglob("*") if path.is_file()]
    for path in sorted(files, key=lambda path: (path.name == RESULT_FILE, path)):
        copy = target / path.relative_to(source)
        if path.suffix == ".pt" and copy.is_file() and copy.stat().st_size == path.stat().st_size:
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
