"""Ways into a running workflow, by OSMO's own means: exec, port-forward, rsync, events."""

from __future__ import annotations

import os
import pty
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from ...errors import PlatformError, UsageError
from ..base import RunRef, RunStatus
from . import client
from .names import MASK
from .query import query_workflow, url_of
from .status import status_of

REMOTE = "run:"
"""Begins a path that is in the run."""

WORKSPACE = "/osmo/run/workspace"
"""Folder of a task that OSMO's rsync always reaches."""


def execute(ref: RunRef, command: Sequence[str]) -> int:
    """Run a command in the task that runs now, with this terminal; a shell when it is empty.

    OSMO does not report the exit code of the command: the code is that of the connection.

    Raises:
        UsageError: Nothing of the run runs now.
    """
    entry = shlex.join(command) if command else "/bin/bash"
    return _with_terminal("workflow", "exec", ref.id, running_task(ref), "--entry", entry)


def forward_port(ref: RunRef, local: int, remote: int) -> int:
    """Make a port of the task that runs now one of this machine, until interrupted.

    Raises:
        UsageError: Nothing of the run runs now.
    """
    return _with_terminal("workflow", "port-forward", ref.id, running_task(ref), "--port", f"{local}:{remote}")


def sync(ref: RunRef, source: str, target: str, patterns: Sequence[str]) -> int:
    """Copy files to or from the task that runs now.

    Args:
        ref: The run.
        source: A path here, or ``run:PATH`` in the run.
        target: The other of the two.
        patterns: Patterns of the file names or paths to copy; all when empty.

    Raises:
        UsageError: Both or neither of the places is in the run, there is nothing at the source, or nothing runs.
    """
    if source.startswith(REMOTE) == target.startswith(REMOTE):
        raise UsageError(
            "one of the two places is in the run, the other here",
            source=f"{source} {target}",
            allowed=f"sync RUN PATH {REMOTE}PATH, or sync RUN {REMOTE}PATH PATH",
        )
    task = running_task(ref)
    if query_workflow(ref.id).rsync is False:
        raise UsageError(
            f"this OSMO carries no files to or from runs: rsync was off when '{ref.name}' was submitted",
            source="plugins_config.rsync.enabled of the workflow configuration",
            hint="an administrator switches it on; deploy/002-setup does. gaitway exec RUN -- cat FILE shows a file",
        )
    if source.startswith(REMOTE):
        return _download(ref, task, _in_run(source), Path(target).expanduser(), patterns)
    return _upload(ref, task, Path(source).expanduser(), _in_run(target), patterns)


def events(ref: RunRef) -> Iterator[str]:
    """Yield what happened to the pods of a workflow, oldest first."""
    lines = client.output_of("workflow", "events", ref.id, timeout=client.TIMEOUT_S).splitlines()
    yield from (line for line in lines if line.strip() and not line.startswith("Workflow "))


def restart(ref: RunRef) -> RunRef:
    """Start the tasks of a failed workflow that have not completed, and return the workflow that does them.

    Raises:
        UsageError: The workflow has not failed.
        GaitwayError: OSMO refused.
    """
    found = query_workflow(ref.id)
    if status_of(found.word) not in (RunStatus.FAILED, RunStatus.CANCELLED):
        raise UsageError(
            f"run '{ref.name}' has not failed: {found.word.lower()}", source="RUN", hint=f"gaitway status {ref.name}"
        )
    if MASK in client.output_of("workflow", "spec", ref.id):
        raise UsageError(
            f"OSMO has masked what looks secret in the workflow of run '{ref.name}', and would start it again so",
            source=f"osmo workflow spec {ref.id}",
            hint=f"submit it anew: gaitway train --checkpoint-uri {ref.name}@latest --checkpoint-mode resume ...",
        )
    # Up to release 6.3 the command would take the user's default pool.
    pool = ["--pool", found.pool] if found.pool else []
    answer = client.json_of("workflow", "restart", ref.id, *pool)
    return RunRef(ref.name, "osmo", str(answer["name"]), url_of(answer))


def running_task(ref: RunRef) -> str:
    """Return the name of the task of a workflow that runs now, a leading one first.

    Raises:
        UsageError: None runs.
        GaitwayError: OSMO does not answer.
    """
    found = query_workflow(ref.id)
    running = [task for task in found.tasks if task.status == "RUNNING"]
    chosen = next((task for task in running if task.lead), running[0] if running else None)
    if chosen is None:
        what = "has ended" if status_of(found.word).ended else "is not running yet"
        raise UsageError(
            f"run '{ref.name}' {what}: {found.word.lower()}", source="RUN", hint=f"gaitway status {ref.name}"
        )
    return chosen.name


def _in_run(place: str) -> str:
    """Return the path in the run; a relative one is below OSMO's workspace."""
    path = place.removeprefix(REMOTE)
    return path if path.startswith("/") else f"{WORKSPACE}/{path}".rstrip("/")


def _upload(ref: RunRef, task: str, source: Path, target: str, patterns: Sequence[str]) -> int:
    if not source.exists():
        raise UsageError(f"there is nothing at {source}", source="SRC")
    with tempfile.TemporaryDirectory(prefix="gaitway-sync-") as place:
        chosen = source
        if patterns and source.is_dir():
            chosen = Path(place) / source.name
            if not _copy(source, chosen, patterns):
                raise UsageError(f"no file in {source} matches {', '.join(patterns)}", source="--include")
        # As rsync has it: with a slash at its end a folder's content is copied, without one the folder itself.
        words = f"{chosen}/:{target}" if chosen.is_dir() else f"{chosen}:{target}"
        return _with_terminal("workflow", "rsync", "upload", ref.id, task, words)


def _download(ref: RunRef, task: str, source: str, target: Path, patterns: Sequence[str]) -> int:
    target.mkdir(parents=True, exist_ok=True)
    if not patterns:
        return _with_terminal("workflow", "rsync", "download", ref.id, task, f"{source}:{target}")
    with tempfile.TemporaryDirectory(prefix="gaitway-sync-") as place:
        code = _with_terminal("workflow", "rsync", "download", ref.id, task, f"{source}:{place}")
        _copy(Path(place), target, patterns)
        return code


def _copy(source: Path, target: Path, patterns: Sequence[str]) -> bool:
    """Copy the files of a folder that match; return whether there were any."""
    found = False
    for path in sorted(path for path in source.rglob("*") if path.is_file() and not path.is_symlink()):
        name = path.relative_to(source).as_posix()
        if any(fnmatchcase(name, pattern) or fnmatchcase(path.name, pattern) for pattern in patterns):
            found = True
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / name)
    return found


def _with_terminal(*words: str) -> int:
    """Run an ``osmo`` command with this terminal and return its exit code.

    Raises:
        PlatformError: It cannot be started.
    """
    command = [client.executable(), *words]
    try:
        if words[:2] == ("workflow", "exec") and not sys.stdin.isatty():
            # The command sets its terminal to raw, so it needs one.
            return os.waitstatus_to_exitcode(pty.spawn(command))
        return subprocess.run(command, check=False).returncode
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        raise PlatformError(f"osmo {' '.join(words[:2])} cannot be started: {error.strerror}") from None
