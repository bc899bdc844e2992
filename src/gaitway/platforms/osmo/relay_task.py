"""Script of a relay task: writes output files of other tasks into the log. Standard library only, Python 3.8 or later.

``SOURCES`` is the number of the task's inputs, ``PATTERN`` the pattern of the paths below their output folders.
"""

import base64
import fnmatch
import hashlib
import json
import os
import time
import zlib
from pathlib import Path

PIECE = 24_000
"""Bytes of a file in one line: encoded it is shorter than the 32 KiB at which OSMO cuts a line."""

PACE_S = 0.12
"""Pause after each line [s]: OSMO's log carries ten a second, and drops what it cannot."""

HOLD_S = 60.0
"""Time to wait at the end [s]: the last lines are read while the task runs."""


def say(line: str) -> None:
    """Write a line of log and keep the pace."""
    print(line, flush=True)
    time.sleep(PACE_S)


def main() -> None:
    """Write every file that matches, each path once."""
    seen = set()
    for index in range(int(os.environ["SOURCES"])):
        root = Path("/osmo/data/input", str(index), "outputs")
        for path in sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink()):
            name = path.relative_to(root).as_posix()
            if name in seen or not fnmatch.fnmatchcase(name, os.environ["PATTERN"]):
                continue
            seen.add(name)
            content = path.read_bytes()
            packed = zlib.compress(content, 6)
            pieces = [packed[at : at + PIECE] for at in range(0, len(packed), PIECE)]
            document = {"path": name, "sha256": hashlib.sha256(content).hexdigest(), "parts": len(pieces)}
            say("::gaitway-file:: " + json.dumps(document))
            for number, piece in enumerate(pieces):
                say(f"::gaitway-part:: {number} {base64.b64encode(piece).decode()}")
    say("::gaitway-end::")
    time.sleep(HOLD_S)


if __name__ == "__main__":
    main()
