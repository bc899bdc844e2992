"""Relay of files out of OSMO's own object storage, which only a task can read, through the log of a small workflow.

The workflow takes the outputs of a task as its input and writes the files that are asked for into its log, compressed
and in pieces, at a pace that the log keeps up with. It needs nothing but the right to submit.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from ...errors import PlatformError
from ..container import CHOOSE_PYTHON, to_yaml
from . import client
from .logs import IDLE_S, PATIENCE, STORED_IDLE_S, SeenLines, parse_line
from .payload import encoded
from .status import has_ended

FILE_MARK, PART_MARK, END_MARK = "::gaitway-file::", "::gaitway-part::", "::gaitway-end::"
"""Starts of the lines that announce a file, carry a piece of it, and end the relay; see ``relay_task.py``."""

TASK = "gaitway-relay"
SCRIPT = "/tmp/gaitway/relay.py"
LONGEST_S = 3600.0
"""Longest time for a relay [s]."""


@dataclass
class _File:
    """A file on its way."""

    path: str
    sha256: str
    parts: int
    pieces: dict[int, bytes] = field(default_factory=dict)

    def content(self) -> bytes:
        """Return the whole content.

        Raises:
            PlatformError: Pieces were lost on the way.
        """
        try:
            data = zlib.decompress(b"".join(self.pieces[index] for index in range(self.parts)))
        except (KeyError, zlib.error):
            data = b""
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise PlatformError(
                f"{self.path} did not come through OSMO's log whole",
                hint="run the command again; --storage-uri at submission keeps outputs where they can be read directly",
            )
        return data


def relay_files(
    sources: Sequence[tuple[str, str]], pattern: str, into: Path, *, image: str, pool: str | None, folder: Path
) -> Iterator[Path]:
    """Copy the output files of tasks whose path matches a pattern and yield where they lie now.

    Args:
        sources: Workflow and name of each task.
        pattern: Pattern of the paths below the job's output folder.
        into: Folder to copy to.
        image: Container image with a Python.
        pool: Pool to run in; the user's default when None.
        folder: Folder for the workflow file.

    Raises:
        GaitwayError: OSMO refused, or a file did not come through.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "relay.yaml"
    file.write_text(to_yaml(workflow(sources, pattern, image)), encoding="utf-8")
    answer = client.json_of("workflow", "submit", str(file), *(["--pool", pool] if pool else []))
    relay = str(answer["name"])
    try:
        for path, content in received(_lines(relay)):
            target = into / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            yield target
    finally:
        # It waits for a while, so that its last lines are read while it runs.
        with contextlib.suppress(PlatformError):
            client.output_of("workflow", "cancel", relay)


def workflow(sources: Sequence[tuple[str, str]], pattern: str, image: str) -> dict[str, object]:
    """Return the workflow document of a relay."""
    script = resources.files(__package__).joinpath("relay_task.py").read_text(encoding="utf-8")
    task = {
        "name": TASK,
        "image": image,
        "command": ["/bin/bash", "-c"],
        "args": [f"{CHOOSE_PYTHON}exec $python {SCRIPT}\n"],
        "environment": {"PATTERN": pattern, "SOURCES": str(len(sources))},
        "files": [{"path": SCRIPT, "base64": True, "contents": encoded(script.encode())}],
        "inputs": [{"task": f"{workflow_id}:{name}"} for workflow_id, name in sources],
    }
    resource = {"cpu": 1, "gpu": 0, "memory": "2Gi", "storage": "20Gi"}
    return {"workflow": {"name": TASK, "resources": {"default": resource}, "tasks": [task]}}


def received(lines: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of each file that lines of a relay's log carry.

    Raises:
        PlatformError: A file is not whole, or the relay ended before it was done.
    """
    current: _File | None = None
    for text in lines:
        if text.startswith(END_MARK):
            if current:
                yield current.path, current.content()
            return
        with contextlib.suppress(ValueError, KeyError, TypeError, binascii.Error):
            if text.startswith(FILE_MARK):
                if current:
                    yield current.path, current.content()
                document = json.loads(text.removeprefix(FILE_MARK))
                current = _File(_safe(str(document["path"])), str(document["sha256"]), int(document["parts"]))
            elif text.startswith(PART_MARK) and current:
                _, index, data = text.split(" ", 2)
                current.pieces[int(index)] = base64.b64decode(data, validate=True)
    raise PlatformError("OSMO's relay ended before it was done", hint=f"osmo workflow list --name {TASK}")


def _lines(relay: str) -> Iterator[str]:
    """Yield the texts of a relay's log as they come, over as many streams as it takes."""
    end = time.monotonic() + LONGEST_S

    def goes_on() -> bool:
        return time.monotonic() < end and not has_ended(relay)

    seen, failures = SeenLines(), 0
    while failures < PATIENCE:
        over = not goes_on()  # asked before the log is read: then it is there whole
        seen.restart()
        failures += 1
        for line in client.log_stream(relay, idle=STORED_IDLE_S if over else IDLE_S, goes_on=goes_on):
            found = parse_line(line)
            if seen.is_new(line) and found and not found.by_osmo:
                failures = 0
                yield found.text
        if over:
            return


def _safe(path: str) -> str:
    """Return a path that stays below the folder it is copied to.

    Raises:
        PlatformError: It leads elsewhere.
    """
    if path.startswith("/") or ".." in path.split("/"):
        raise PlatformError(f"a file that OSMO hands out would lie outside its folder: {path!r}")
    return path
