"""Upload of a running job's checkpoints and progress to object storage, with the ``osmo`` command of OSMO's pods.

A pod that is preempted gets no signal: whatever it has not handed over by then is gone. So each checkpoint is uploaded
as soon as it is whole, and with it what an attempt needs to continue: its companion, the progress, the metrics, and a
marker that says which run all of it belongs to. Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..spec.checkpoint_files import is_checkpoint, is_whole, iteration_of, sha256_of
from ..spec.files import METRICS_FILE, PROGRESS_FILE
from ..spec.marks import CHECKPOINT_MARK
from ..spec.progress_reports import reward_at, rewards_in
from ..spec.result import RESULT_FILE
from .attempt_mark import ORIGIN_FILE, AttemptMark
from .memory_record import MEMORY_FILE
from .repeating import repeating

CHECKPOINTS = "checkpoints"
"""Folder of the outputs, and of a run's place in the store."""

PROGRESS_FILES = (PROGRESS_FILE, METRICS_FILE)
"""Files of the outputs that grow with a training, also after a resume."""

WORKSPACE = Path("/osmo/run/workspace")
"""Folder of a pod that OSMO's rsync reaches."""

SHOW_EVERY_S = 10.0
"""Least time between two copies of the progress to where rsync reaches it [s]."""

COMMAND_FOLDER = "/osmo/usr/bin"
"""Where OSMO mounts its command into a pod."""

LOOK_EVERY_S = 1.0
"""Pause between two looks for checkpoints [s]."""

RETRY_AFTER_S = 20.0
"""Pause after an upload that failed [s]."""

LONGEST_S = 900.0
"""Longest time for one upload or download [s]."""

_PLACE = r"(?P<uri>(?:s3|gs|azure|swift|tos)://[^\s'\"]+?)(?=/?:?(?:[\s'\"]|$))"
_URI = re.compile(_PLACE)
_ENDPOINT = re.compile(rf"endpoint:\s*['\"]?{_PLACE}")


@dataclass(frozen=True)
class CheckpointStore:
    """A place in object storage that the ``osmo`` command can read and write."""

    uri: str
    command: str

    def upload(self, files: Sequence[Path], below: str) -> None:
        """Upload files by their names into a folder of the place.

        Raises:
            OSError: It did not succeed; the error has the command's last words.
        """
        self._run("upload", f"{self.uri}/{below}".rstrip("/"), *map(str, files))

    def download(self, below: str, into: Path, only: str = "") -> None:
        """Download a folder of the place; one that is not there leaves ``into`` empty.

        Args:
            below: The folder.
            into: Gets its files.
            only: Expression that the paths of the files in the folder have to match.

        Raises:
            OSError: It did not succeed.
        """
        into.mkdir(parents=True, exist_ok=True)
        self._run("download", f"{self.uri}/{below}", str(into), *(("--regex", only) if only else ()))

    def origin(self) -> AttemptMark | None:
        """Return the marker beside the checkpoints; None where there is none.

        Raises:
            OSError: It could not be looked for.
        """
        with tempfile.TemporaryDirectory(prefix="gaitway-origin-") as folder:
            self.download(CHECKPOINTS, Path(folder), rf"{re.escape(ORIGIN_FILE)}$")
            return AttemptMark.read(Path(folder))

    def _run(self, *words: str) -> None:
        try:
            done = subprocess.run(
                [self.command, "data", *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=LONGEST_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise OSError(f"osmo data {words[0]} took longer than {LONGEST_S:g} s") from None
        if done.returncode != 0:
            last = " ".join((done.stdout.strip() or done.stderr.strip()).split())[-300:]
            raise OSError(f"osmo data {words[0]}: {last or f'exit code {done.returncode}'}")


def identified(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which ``RUN_ID`` is unique in the world.

    A workflow that was submitted by hand knows its own id alone (``workflow:<id>``), which another OSMO may give as
    well. OSMO tells the unique id that goes with it; the run's place in object storage is below that.
    """
    kind, _, workflow = environ.get("RUN_ID", "").partition(":")
    if kind != "workflow":
        return dict(environ)
    run = f"{workflow}-{_unique_id(workflow, environ)}".rstrip("-")
    place = environ.get("KEEP_AT", "").rstrip("/")
    return {**environ, "RUN_ID": run, "ATTEMPT_OF": run, "KEEP_AT": f"{place}/{run}" if place else "", "KEEP_ALL": "1"}


def _unique_id(workflow: str, environ: Mapping[str, str]) -> str:
    """Return OSMO's unique id of a workflow; empty where it cannot be asked."""
    command = _command(environ)
    if command is None:
        return ""
    words = [command, "workflow", "query", workflow, "--format-type", "json"]
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
        return re.sub(r"[^A-Za-z0-9-]", "", str(json.loads(done.stdout)["uuid"]))
    except (OSError, ValueError, TypeError, KeyError, subprocess.TimeoutExpired):
        print("container: OSMO does not tell the workflow's unique id", file=sys.stderr, flush=True)
        return ""


def _command(environ: Mapping[str, str]) -> str | None:
    return shutil.which("osmo", path=os.pathsep.join([environ.get("PATH", ""), COMMAND_FOLDER]))


def find_store(environ: Mapping[str, str]) -> CheckpointStore | None:
    """Return the place in object storage where this run keeps what it makes; None where there is none.

    It is the one that the run was given (``KEEP_AT``), else a folder of the run's own in the storage that the user's
    data credential opens, which OSMO puts into the pod.
    """
    command = _command(environ)
    run = environ.get("RUN_ID", "")
    if command is None or not (environ.get("KEEP_AT") or run):
        return None
    if environ.get("KEEP_AT"):
        return CheckpointStore(environ["KEEP_AT"].rstrip("/"), command)
    profile = _data_profile(environ)
    return CheckpointStore(f"{profile.rstrip('/')}/gaitway/runs/{run}", command) if profile else None


@dataclass
class Uploader:
    """Uploads each checkpoint of a job as soon as it is whole, and reports it in the log.

    Where the platform has started another attempt at the job, that one alone uploads.
    """

    outputs: Path
    store: CheckpointStore | None
    """None where there is no object storage: the log reports the checkpoints all the same."""
    whole: bool = False
    """Whether to upload all outputs at the end, because the platform does not know the place."""
    _done: dict[str, tuple[int, int]] = field(default_factory=dict)
    _told: dict[str, str] = field(default_factory=dict)
    _problem: str = ""
    _shown: float = -math.inf
    _claimed: bool = False
    _replaced: bool = False

    def show(self) -> None:
        """Copy the progress to where rsync reaches it."""
        if not WORKSPACE.is_dir() or time.monotonic() < self._shown + SHOW_EVERY_S:
            return
        self._shown = time.monotonic()
        for path in self._progress():
            with contextlib.suppress(OSError):
                partial = WORKSPACE / f".{path.name}.partial"
                shutil.copyfile(path, partial)
                partial.replace(WORKSPACE / path.name)

    def step(self) -> bool:
        """Upload what is new; return whether nothing is left to be done."""
        if not self._claim():
            return self._replaced
        fresh = [path for path in self._candidates() if self._done.get(path.name) != _state(path)]
        if not any(is_checkpoint(path.name) or path.name == MEMORY_FILE for path in fresh):
            return True
        states = {path.name: _state(path) for path in fresh}
        if not self._still_ours():
            return self._replaced
        if not self._upload([*fresh, *self._progress()], CHECKPOINTS):
            return False
        self._done |= states
        for path in fresh:
            if is_checkpoint(path.name):
                document = {
                    "path": f"{CHECKPOINTS}/{path.name}",
                    "iteration": iteration_of(path.name),
                    "sha256": sha256_of(path),
                    "kept_at": self.store.uri if self.store else None,
                    "reward": reward_at(rewards_in(self.outputs), iteration_of(path.name)),
                }
                self._told[path.name] = f"{CHECKPOINT_MARK} {json.dumps(document)}"
                print(self._told[path.name], flush=True)
        return True

    def finish(self) -> None:
        """Upload what is left at the job's end, and its result; report all checkpoints once more.

        A platform keeps the end of a long log, not its beginning.
        """
        self.step()
        ours = self._still_ours()
        if self._replaced:
            return
        for line in self._told.values():
            print(line, flush=True)
        if not ours:
            return
        if self.store and self.whole:
            self._upload([self.outputs], "files")
        result = self.outputs / RESULT_FILE
        if self.store and result.is_file():
            self._upload([*self._progress(), result], "")

    def _claim(self) -> bool:
        """Leave this attempt's marker in the store, once, and return whether it is there."""
        marker = self.outputs / CHECKPOINTS / ORIGIN_FILE
        if not self._claimed and marker.is_file():
            self._done[marker.name] = _state(marker)
            self._claimed = self._upload([marker], CHECKPOINTS)
            return self._claimed
        return not self._replaced

    def _still_ours(self) -> bool:
        """Look at the marker in the store, and return whether it is this attempt's."""
        mine = AttemptMark.read(self.outputs / CHECKPOINTS)
        if self._replaced or self.store is None or mine is None:
            return not self._replaced
        try:
            self._replaced = mine.replaced_by(self.store.origin())
        except OSError as error:
            self._say(error)
            return False
        if self._replaced:
            print("container: another attempt at this run uploads now: this one uploads nothing more", flush=True)
        return not self._replaced

    def _upload(self, files: Sequence[Path], below: str) -> bool:
        if self.store is None:
            return True
        try:
            self.store.upload(files, below)
        except OSError as error:
            self._say(error)
            return False
        return True

    def _say(self, error: OSError) -> None:
        """Say what is wrong with the store, once for each problem."""
        if str(error) != self._problem:
            print(f"container: {error}", file=sys.stderr, flush=True)
        self._problem = str(error)

    def _candidates(self) -> list[Path]:
        """Return the files beside the checkpoints, companions before the checkpoint that needs them."""
        folder = self.outputs / CHECKPOINTS
        if not folder.is_dir():
            return []
        files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
        whole = [path for path in files if not is_checkpoint(path.name) or is_whole(path)]
        return sorted(whole, key=lambda path: (is_checkpoint(path.name), path.name))

    def _progress(self) -> list[Path]:
        return [self.outputs / name for name in PROGRESS_FILES if (self.outputs / name).is_file()]


@contextlib.contextmanager
def uploading(uploader: Uploader | None) -> Iterator[None]:
    """Upload while a job runs, and what is left when it has ended."""
    if uploader is None:
        yield
        return

    def upload() -> float:
        uploader.show()
        return LOOK_EVERY_S if uploader.step() else RETRY_AFTER_S

    try:
        with repeating(upload, LOOK_EVERY_S):
            yield
    finally:
        uploader.finish()


def _data_profile(environ: Mapping[str, str]) -> str | None:
    """Return the storage of the first data credential in the pod's configuration of the ``osmo`` command."""
    folder = environ.get("OSMO_CONFIG_FILE_DIR", "")
    try:
        text = (Path(folder) / "config.yaml").read_text(encoding="utf-8") if folder else ""
    except OSError:
        return None
    found = _ENDPOINT.search(text) or _URI.search(text)
    place = found["uri"] if found else ""
    # Of Azure a credential may open an account; a folder needs a container in it.
    return None if not place or re.fullmatch(r"azure://[^/]+/?", place) else place


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
