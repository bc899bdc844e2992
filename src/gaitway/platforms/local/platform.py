"""The local platform: pack, unpack in a fresh folder, start ``python -m gaitway_runtime``, and tell the truth of it."""

from __future__ import annotations

import dataclasses
import fnmatch
import importlib.util
import json
import os
import shlex
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaitway_runtime import result as results
from gaitway_runtime.cpus import available_cpus
from gaitway_runtime.fields import setting
from gaitway_runtime.job import Job, to_document
from gaitway_runtime.result import write_json
from gaitway_runtime.simulators import base as simulators

from ...errors import ConfigError, PlatformError, UsageError
from ...findings import Finding
from ...interpreters import installed, interpreter
from ...payload.pack import pack
from ...payload.unpack import unpack
from ...settings.values import Setting
from ..base import Limits, Request, RunRef, RunStatus, StatusReport, Submission
from ..container import GroupOptions
from . import processes
from .processes import Identity

GRACE_S = 60.0
"""Time a run gets to save and upload after it was asked to stop [s]."""

POLL_S = 0.2
"""Pause between two looks at a log [s]."""


GPUS = Path("/proc/driver/nvidia/gpus")
"""Has an entry for each GPU of this machine; Linux with NVIDIA's driver."""


@dataclass(frozen=True, kw_only=True)
class LocalOptions(GroupOptions):
    """Which Python runs a job on this machine, and how many of its processes train together."""

    python: str | None = setting(
        None,
        "Python that runs the job, for example the one that has Isaac Lab; gaitway's own when omitted.",
        flags="--python",
        env="GAITWAY_JOB_PYTHON",
        metavar="PATH",
    )


class LocalPlatform:
    """This machine."""

    name = "local"
    limits = Limits(remote=False, secrets=True)
    options: type[Any] = LocalOptions

    def forwarded_settings(self, job: type[Job], words: tuple[str, ...]) -> Mapping[str, str]:
        """Return nothing: what stands after ``--`` is for other platforms."""
        return {}

    def check(self, settings: Mapping[str, Setting]) -> Sequence[Finding]:
        """Look whether there is a simulator; ``gaitway doctor`` itself knows the packages that a job needs here."""
        named = settings["python"].value if "python" in settings else None
        if named is not None:
            return [_simulators_of(named)]
        mujoco = simulators.load("mujoco").availability()
        said = f"MuJoCo {mujoco.version}" if mujoco.present else mujoco.reason or "MuJoCo is not installed"
        return [Finding("simulator", mujoco.present, said, "pip install 'gaitway[local]'")]

    def render(self, submission: Submission) -> Request:
        """Return the process that will be started, as a shell would write it, and its ``job.json``."""
        count, python = _processes(submission), interpreter(submission.option("python"))
        document = to_document(submission.job, submission.context)
        body = "\n".join(
            (
                f"cd $GAITWAY_HOME/runs/{submission.run}/payload",
                f"PYTHONPATH=. {shlex.join(_command(python, count, '../job.json'))}",
                "",
                "# job.json",
                json.dumps(document, indent=2),
            )
        )
        notes: tuple[str, ...] = ()
        if submission.forwarded:
            notes = (f"not used on this machine: {shlex.join(submission.forwarded)}",)
        if count > 1:
            notes += (f"{count} processes train together, each with its own GPU where there are any",)
        return Request(self.name, body, notes)

    def submit(self, submission: Submission, request: Request, run_dir: Path) -> RunRef:
        """Unpack the payload into the run's folder and start the job.

        Raises:
            ConfigError: A part that the job needs is not installed.
            PlatformError: The process cannot be started.
            UsageError: More processes are asked for than there are GPUs, or cores where there is no GPU.
        """
        count, python = _processes(submission), interpreter(submission.option("python"))
        _check_room(count)
        _check_parts(submission)
        folder = run_dir / "payload"
        archive = run_dir / "payload.zip"
        with archive.open("w+b") as stream:
            pack(submission.payload, stream)
        unpack(archive, folder, max_files=len(submission.payload.files), max_bytes=submission.payload.size)
        archive.unlink()
        environ = {**os.environ, "PYTHONPATH": str(folder), "GAITWAY_HOME": str(run_dir.parents[1])}
        environ |= {name: secret.reveal() for name, secret in submission.secrets().items()}
        command = _command(python, count, str(run_dir / "job.json"))
        try:
            identity = processes.start(command, cwd=folder, env=environ, log=run_dir / "log.txt")
        except OSError as error:
            raise PlatformError(f"the job cannot be started: {error.strerror}", source=python) from None
        try:
            write_json(dataclasses.asdict(identity), run_dir / "process.json")
        except OSError:
            processes.end_group(identity, 0)
            raise
        return RunRef(submission.run, self.name, str(identity.pid))

    def status(self, ref: RunRef, run_dir: Path) -> StatusReport:
        """Tell how a run is doing, whatever has happened to it, to us or to the machine."""
        identity = _read_identity(run_dir)
        # First the process, then the result: the other way round a run that ends in between would seem to have failed.
        running = identity is not None and processes.alive(identity)
        result = results.read(run_dir / "outputs")
        if result is not None:
            detail = str(result.error["message"]) if result.error else ""
            return StatusReport(
                RunStatus(result.status), detail=detail, exit_code=result.exit_code, result=dataclasses.asdict(result)
            )
        if running:
            return StatusReport(RunStatus.RUNNING)
        if (run_dir / "cancel.json").exists():
            return StatusReport(RunStatus.CANCELLED, detail="it was ended before it could save", exit_code=130)
        return StatusReport(RunStatus.FAILED, detail=_why_without_result(identity), exit_code=1)

    def logs(self, ref: RunRef, run_dir: Path, follow: bool) -> Iterator[str]:
        """Yield the lines of the log."""
        path = run_dir / "log.txt"
        rest = ""
        with suppress(FileNotFoundError), path.open(encoding="utf-8", errors="replace", newline="\n") as stream:
            while True:
                # Asked before reading: what was written before the end is then read after it.
                over = not follow or self.status(ref, run_dir).status.ended
                while text := stream.read(1 << 16):
                    *lines, rest = (rest + text).split("\n")
                    yield from lines
                if over:
                    break
                time.sleep(POLL_S)
        if rest:
            yield rest

    def cancel(self, ref: RunRef, run_dir: Path) -> StatusReport:
        """Ask the whole process group to stop, and kill it if it does not."""
        identity = _read_identity(run_dir)
        if identity is not None:
            if processes.alive(identity):
                write_json({"time": time.time()}, run_dir / "cancel.json")
            processes.end_group(identity, GRACE_S)
        return self.status(ref, run_dir)

    def fetch(self, ref: RunRef, run_dir: Path, pattern: str, into: Path) -> Sequence[Path]:
        """Copy output files.

        Raises:
            UsageError: The target is not a folder.
        """
        outputs = run_dir / "outputs"
        if into.exists() and not into.is_dir():
            raise UsageError(f"{into} is not a folder")
        copied = []
        for source in sorted(path for path in outputs.rglob("*") if path.is_file() and not path.is_symlink()):
            name = source.relative_to(outputs)
            if fnmatch.fnmatchcase(name.as_posix(), pattern):
                target = into / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
                copied.append(target)
        return copied


def create() -> LocalPlatform:
    """Return the platform."""
    return LocalPlatform()


def _processes(submission: Submission) -> int:
    """Return how many processes do a job.

    Raises:
        UsageError: Several nodes are asked for.
    """
    if submission.option("num_nodes") != 1:
        raise UsageError(
            f"this machine is one node, {submission.option('num_nodes')} are asked for",
            source=str(submission.settings["num_nodes"].origin),
            hint="--on osmo or --on azureml",
        )
    return max(1, submission.option("num_gpus")) if submission.job.kind == "train" else 1


def _check_room(count: int) -> None:
    gpus = len(list(GPUS.iterdir())) if GPUS.is_dir() else 0
    room, what = (gpus, "GPUs") if gpus else (available_cpus(), "cores, and no GPU")
    if count > max(room, 1):
        raise UsageError(
            f"{count} processes cannot train together here: this machine has {room} {what}",
            source="--num-gpus",
            allowed=f"1 to {room}",
        )


def _command(python: str, count: int, job: str) -> list[str]:
    """Return how the runtime is started."""
    if count == 1:
        return [python, "-m", "gaitway_runtime", "--job", job]
    return [python, "-m", "gaitway_runtime.launch", "--processes", str(count), "--job", job]


def _check_parts(submission: Submission) -> None:
    """Check that the Python which will run the job has what no job can do without.

    Raises:
        ConfigError: It lacks PyTorch or the simulator.
    """
    named, simulator = submission.option("python"), submission.job.simulator
    if named is None:
        if importlib.util.find_spec("torch") is None:
            raise ConfigError("a job on this machine needs PyTorch", hint="pip install 'gaitway[local]'")
        simulators.choose(simulator)
        return
    wanted = list(simulators.SIMULATORS) if simulator == "auto" else [simulator]
    found = installed(named, ["torch", *wanted])
    for what, parts in (("PyTorch", ["torch"]), (f"simulator {' or '.join(wanted)}", wanted)):
        if not found.intersection(parts):
            raise ConfigError(f"the Python that shall run the job lacks {what}", source=f"--python {named}")


def _simulators_of(named: str) -> Finding:
    """Look which simulators another Python has."""
    try:
        found = installed(named, ["torch", *simulators.SIMULATORS])
    except ConfigError as error:
        return Finding("simulator", False, error.message, error.hint or "")
    has = [name for name in simulators.SIMULATORS if name in found]
    usable = bool(has) and "torch" in found
    said = f"{named} has {', '.join(has) or 'no simulator'}{'' if 'torch' in found else ', but no PyTorch'}"
    return Finding("simulator", usable, said, "name a Python with PyTorch and Isaac Lab: --python PATH")


def _read_identity(run_dir: Path) -> Identity | None:
    try:
        return Identity(**json.loads((run_dir / "process.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _why_without_result(identity: Identity | None) -> str:
    if identity is None:
        return "the process was never started"
    if identity.boot != processes.boot():
        return "the machine was restarted while it ran; the process ended without a result"
    return "the process ended without a result"
