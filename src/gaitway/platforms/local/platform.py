"""The local platform: pack, unpack in a fresh folder, start ``python -m gaitway_runtime``, and tell the truth of it."""

from __future__ import annotations

import dataclasses
import fnmatch
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaitway_runtime.spec import result as results
from gaitway_runtime.spec.files import LOCKS_VARIABLE, boot_id
from gaitway_runtime.spec.job import AUTOMATIC, SIMULATORS, Job
from gaitway_runtime.spec.job_document import to_document
from gaitway_runtime.spec.packages import install_command, missing_package
from gaitway_runtime.spec.result import write_json
from gaitway_runtime.spec.settings import setting

from ... import locks
from ...errors import ConfigError, PlatformError, UsageError
from ...findings import Finding
from ...ledger import MACHINE_FILE, read_document
from ...locks import Machine
from ...payload.archive import pack, unpack
from ...settings.values import Setting
from ..base import Limits, Request, RunRef, RunStatus, StatusReport, Submission
from ..container import Data, DataOptions, GroupOptions, data_inputs, data_outputs
from . import processes
from .processes import Identity, installed, interpreter

GRACE_S = 60.0
"""Time a run gets to save and upload after it was asked to stop [s]."""

LOG_FILE = "log.txt"
PROCESS_FILE = "process.json"
CANCEL_FILE = "cancel.json"

_RUNNING = StatusReport(RunStatus.RUNNING)

POLL_S = 0.2
"""Pause between two looks at a log [s]."""


GPUS = Path("/proc/driver/nvidia/gpus")
"""Has an entry for each GPU of this machine; Linux with NVIDIA's driver."""


@dataclass(frozen=True, kw_only=True)
class LocalOptions(GroupOptions, DataOptions):
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
        from gaitway_runtime.simulators.base import load  # they look without importing anything

        mujoco, warp = load("mujoco").availability(), load("mujoco-warp").availability()
        said = f"MuJoCo {mujoco.version}" if mujoco.present else mujoco.reason or "MuJoCo is not installed"
        if mujoco.present:
            said += f", MuJoCo-Warp {warp.version}" if warp.present else "; --simulator mujoco-warp is not installed"
        return [Finding("simulator", mujoco.present, said, install_command("local"))]

    def simulator(self, settings: Mapping[str, Setting]) -> str:
        """See :meth:`..base.ChoosesSimulator.simulator`."""
        named: str = settings["simulator"].value
        if named != "auto":
            return named
        return "isaaclab" if installed(settings["python"].value, ["isaaclab"]) else "mujoco"

    def render(self, submission: Submission) -> Request:
        """Return the process that will be started, as a shell would write it, and its ``job.json``."""
        count, python = _processes(submission), interpreter(submission.option("python"))
        document = to_document(submission.job, submission.context)
        body = "\n".join(
            (
                f"cd $GAITWAY_HOME/runs/{submission.run}/payload",
                *(f"export {name}={shlex.quote(path)}" for name, path in _data(submission).items()),
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
        if submission.job.kind == "ship":
            environ["NUM_GPUS"] = str(submission.option("num_gpus"))  # for the stage that trains
        environ |= _data(submission)
        for data in _outputs(submission):
            _make_output(data.place, data.source)
        environ |= {name: secret.reveal() for name, secret in submission.secrets().items()}
        held = locks.descriptors(*submission.locks)
        environ[LOCKS_VARIABLE] = ",".join(map(str, held))
        command = _command(python, count, str(run_dir / "job.json"))
        try:
            identity = processes.start(command, cwd=folder, env=environ, log=run_dir / LOG_FILE, keep_open=held)
        except OSError as error:
            raise PlatformError(f"the job cannot be started: {error.strerror}", source=python) from None
        try:
            write_json(dataclasses.asdict(identity), run_dir / PROCESS_FILE)
        except OSError:
            processes.end_group(identity, 0)
            raise
        return RunRef(submission.run, self.name, str(identity.pid))

    def status(self, ref: RunRef, run_dir: Path) -> StatusReport:
        """Tell how a run is doing.

        A run is over when its result says so, or when no process has its lock any more on the machine that it was
        started on. From any other machine nothing is said for good.
        """
        identity = _read_identity(run_dir)
        # First the lock, then the result: the other way round a run that ends in between would seem to have failed.
        running = bool(locks.is_taken(locks.of_run(run_dir))) or (identity is not None and processes.alive(identity))
        result = results.read(run_dir / "outputs")
        if result is not None:
            detail = str(result.error["message"]) if result.error else ""
            return StatusReport(RunStatus(result.status), detail=detail, exit_code=result.exit_code, result=result)
        if running:
            launching = identity is None and not (run_dir / LOG_FILE).exists()
            return StatusReport(RunStatus.QUEUED, detail="it is being launched") if launching else _RUNNING
        machine = _read_machine(run_dir)
        if machine.is_elsewhere:
            return StatusReport(RunStatus.UNKNOWN, detail=f"it was started on {machine.host}; ask there")
        if (run_dir / CANCEL_FILE).exists():
            return StatusReport(RunStatus.CANCELLED, detail="it was ended before it could save", exit_code=130)
        return StatusReport(RunStatus.FAILED, detail=_why_without_result(identity, machine), exit_code=1)

    def logs(self, ref: RunRef, run_dir: Path, follow: bool) -> Iterator[str]:
        """Yield the lines of the log."""
        path = run_dir / LOG_FILE
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
        """Ask all processes of a run to stop, and kill those that do not.

        Raises:
            PlatformError: The run is where its processes cannot be reached from here.
        """
        identity = _read_identity(run_dir)
        if identity is not None and processes.members(identity):
            if not self.status(ref, run_dir).status.ended:
                write_json({"time": time.time()}, run_dir / CANCEL_FILE)
            processes.end_group(identity, GRACE_S)
        report = self.status(ref, run_dir)
        if not report.status.ended:
            machine = _read_machine(run_dir)
            raise PlatformError(
                f"run '{ref.name}' runs where its processes cannot be reached from here",
                source=str(run_dir),
                hint=f"cancel it on {machine.host or 'the machine'} that it was started on, outside of any container",
            )
        return report

    def execute(self, ref: RunRef, run_dir: Path, command: Sequence[str]) -> int:
        """Run a command in the folder that the run's code runs in; a shell when it is empty.

        Raises:
            UsageError: The run has ended.
            PlatformError: The command cannot be started.
        """
        report = self.status(ref, run_dir)
        if report.status.ended:
            raise UsageError(
                f"run '{ref.name}' has ended: {report.status.value}", source="RUN", hint=f"gaitway status {ref.name}"
            )
        words = list(command) or [os.environ.get("SHELL") or "/bin/sh"]
        environ = {**os.environ, "PYTHONPATH": str(run_dir / "payload"), "RUN_DIR": str(run_dir)}
        try:
            return subprocess.run(words, cwd=run_dir / "payload", env=environ, check=False).returncode
        except OSError as error:
            raise PlatformError(f"{words[0]} cannot be started: {error.strerror}", source="exec") from None

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
    """Check that each process of a training gets a GPU, or a core where there is no GPU.

    Raises:
        UsageError: There are too few.
    """
    from gaitway_runtime.distributed.group import available_cpus

    gpus = len(list(GPUS.iterdir())) if GPUS.is_dir() else 0
    room, what = (gpus, "GPUs") if gpus else (available_cpus(), "cores, and no GPU")
    if count > max(room, 1):
        raise UsageError(
            f"{count} processes cannot train together here: this machine has {room} {what}",
            source="--num-gpus",
            allowed=f"1 to {room}",
        )


def _data(submission: Submission) -> dict[str, str]:
    """Return the paths of inputs and outputs by flag, by the variables that hold them.

    Raises:
        UsageError: An input is not a file or folder of this machine.
    """
    found = {}
    named = submission.option("data_inputs")
    for data in data_inputs(named) if named else ():
        path = Path(data.place).expanduser().absolute()
        if not path.exists():
            raise UsageError(
                f"there is no file or folder {data.place}",
                source=data.source,
                allowed="a path on this machine"
                + ("; azureml: is for --on azureml" * data.place.startswith("azureml:")),
            )
        found[data.variable] = str(path)
    for data in _outputs(submission):
        found[data.variable] = str(Path(data.place).expanduser().absolute())
    return found


def _outputs(submission: Submission) -> tuple[Data, ...]:
    """Return the outputs that ``--output`` names, if it names any."""
    named = submission.option("data_outputs")
    return data_outputs(named) if named else ()


def _make_output(place: str, source: str) -> None:
    try:
        Path(place).expanduser().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the output folder cannot be made: {error.strerror}", source=source) from None


def _command(python: str, count: int, job: str) -> list[str]:
    """Return how the runtime is started."""
    if count == 1:
        return [python, "-m", "gaitway_runtime", "--job", job]
    return [python, "-m", "gaitway_runtime.distributed.launcher", "--processes", str(count), "--job", job]


def _check_parts(submission: Submission) -> None:
    """Check that the Python which will run the job has what no job can do without.

    Raises:
        ConfigError: It lacks PyTorch or the simulator.
    """
    named, simulator = submission.option("python"), submission.job.simulator
    if named is None:
        if importlib.util.find_spec("torch") is None:
            raise missing_package("a job on this machine", "torch", "local")
        from gaitway_runtime.simulators.base import choose

        choose(simulator)
        return
    wanted = AUTOMATIC if simulator == "auto" else (simulator,)
    needs = [SIMULATORS[name] for name in wanted]
    found = installed(named, ["torch", *needs])
    for what, parts in (("PyTorch", ["torch"]), (f"simulator {' or '.join(wanted)}", needs)):
        if not found.intersection(parts):
            raise ConfigError(f"the Python that runs the job lacks {what}", source=f"--python {named}")


def _simulators_of(named: str) -> Finding:
    """Look which simulators another Python has."""
    try:
        found = installed(named, ["torch", *SIMULATORS.values()])
    except ConfigError as error:
        return Finding("simulator", False, error.message, error.hint or "")
    has = [name for name, package in SIMULATORS.items() if package in found]
    usable = bool(has) and "torch" in found
    said = f"{named} has {', '.join(has) or 'no simulator'}{'' if 'torch' in found else ', but no PyTorch'}"
    return Finding("simulator", usable, said, "name a Python with PyTorch and Isaac Lab: --python PATH")


def _read_identity(run_dir: Path) -> Identity | None:
    """Return the leader of a run's processes, also where the command was killed before it could note it."""
    found = read_document(run_dir, PROCESS_FILE) or {}
    pid, started, boot = found.get("pid"), found.get("started"), found.get("boot")
    if isinstance(pid, int) and pid > 0 and isinstance(started, (int, float)) and isinstance(boot, str):
        return Identity(pid, float(started), boot)
    return processes.recorded(run_dir)


def _read_machine(run_dir: Path) -> Machine:
    """Return the machine that a run was started on."""
    found = read_document(run_dir, MACHINE_FILE) or {}
    return Machine(str(found.get("host", "")), str(found.get("boot", "")))


def _why_without_result(identity: Identity | None, machine: Machine) -> str:
    if identity is None:
        return "the command that launched it was ended before the process was started"
    if machine.boot not in ("", boot_id()):
        return "the machine was restarted while it ran; the process ended without a result"
    return "the process ended without a result"
