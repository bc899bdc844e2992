"""Copies of checkpoints in a folder that the platform keeps. Standard library only."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Keeper:
    """Copies checkpoints from where a job writes them to where its platform keeps them."""

    source: Path
    target: Path
    _kept: dict[str, tuple[int, int]] = field(default_factory=dict)

    def copy(self) -> None:
        """Copy what is new; a platform's folder that cannot be written must not end the job."""
        for path in sorted(self.source.glob("**/*.pt")):
            name = str(path.relative_to(self.source))
            try:
                found = path.stat()
                state = (found.st_size, found.st_mtime_ns)
                if self._kept.get(name) == state:
                    continue
                self._copy(path, self.target / name)
            except OSError as error:
                print(f"container: {name} could not be copied to {self.target}: {error.strerror}", file=sys.stderr)
            else:
                self._kept[name] = state

    def _copy(self, path: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.partial")
        shutil.copyfile(path, partial)
        os.replace(partial, target)
