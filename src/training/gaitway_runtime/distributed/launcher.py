"""Launcher of one training as several processes: ``python -m gaitway_runtime.distributed.launcher --processes N``.

A container starts the processes of its node with it too. They are plain children in the launcher's own process group,
so that ending the group leaves none behind; a request to stop reaches each of them, and they get all the time that the
platform gives (torchrun kills after 30 s). Nodes have the platform's numbers, so that rank 0 is on the node whose
outputs the platform keeps (torchrun's rendezvous numbers them anew). Under torchrun the runtime works as well.
Standard library only.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from ..process.lifecycle import STOP_SIGNALS, bond, stop_with_parent
from ..spec import result as results
from ..spec.errors import GaitwayError, Interrupted, JobFailed
from ..spec.files import inherited_locks
from ..spec.job_document import load
from ..spec.result import Result
from .group import Rank, available_cpus, rank_from

GRACE_S = 30.0
"""Time the others have to end after one process has failed, before they are killed [s]; longer than they need to
notice it by themselves (``failures.GRACE_S``)."""

LOG_FILE = "log.txt"
"""Output of every process of a node but its first, in the rank's folder below the outputs."""

_POLL_S = 0.1


@dataclass(frozen=True)
class ProcessExit:
    """End of a process."""

    rank: Rank
    code: int
    """Exit code; negative for a signal."""
    killed: bool
    """Whether the launcher killed it because it did not end by itself."""


def rank_environments(processes: int, *, nodes: int = 1, node: int = 0, rendezvous: str = "") -> list[dict[str, str]]:
    """Return the variables that each process of this node gets.

    Args:
        processes: Processes on each node.
        nodes: Nodes.
        node: Which of them this is.
        rendezvous: ``host:port`` of the first node; a free port of this machine when empty.
    """
    world = processes * nodes
    if world == 1:
        return [{}]
    host, _, port = rendezvous.partition(":")
    common = {
        "WORLD_SIZE": str(world),
        "LOCAL_WORLD_SIZE": str(processes),
        "NODE_RANK": str(node),
        "MASTER_ADDR": host if node else "127.0.0.1",
        "MASTER_PORT": port or str(_free_port()),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(max(1, available_cpus() // processes)),
    }
    # A lost process is reported in a sentence; the stacks that PyTorch prints too do not help a user.
    common["TORCH_CPP_LOG_LEVEL"] = os.environ.get("TORCH_CPP_LOG_LEVEL") or "ERROR"
    return [{**common, "RANK": str(node * processes + local), "LOCAL_RANK": str(local)} for local in range(processes)]


def run(command: Sequence[str], environments: Sequence[Mapping[str, str]], output_dir: Path) -> list[ProcessExit]:
    """Run a command once for each environment, forward requests to stop, and return the exits in order of time.

    Args:
        command: The command.
        environments: Environments, from :func:`rank_environments`.
        output_dir: The job's output folder.
    """
    with _started(command, environments, output_dir) as running:

        def forward(number: int, frame: FrameType | None) -> None:
            for process in list(running.values()):
                # A terminal's Ctrl-C has reached them already, and a second SIGINT would end them before they save.
                process.terminate()

        for number in STOP_SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, forward)
        return _wait(running)


def exit_code(ended: Sequence[ProcessExit], output_dir: Path) -> int:
    """Return the exit code of the job: that of ``result.json`` on the node of rank 0.

    A result is written here where rank 0 could not write one: it, or the process that ended the others, was killed. A
    killed process gives a shell's exit code (128 + signal), for platforms that start such a job again.
    """
    broken = next((found for found in ended if found.code and not found.killed), None)
    if not any(found.rank.first for found in ended):
        return _shell_code(broken.code) if broken else 0
    result = results.read(output_dir)
    if broken and (result is None or (broken.code < 0 and result.status == "failed")):
        result = _result_of(broken, result, output_dir)
        results.write(result, output_dir)
        return result.exit_code if broken.code > 0 else _shell_code(broken.code)
    return result.exit_code if result else JobFailed.exit_code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a job as several processes and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m gaitway_runtime.distributed.launcher", description=__doc__)
    parser.add_argument("--processes", type=int, required=True, help="how many")
    parser.add_argument("--job", type=Path, required=True, help="job.json; its folder gets the outputs")
    options = parser.parse_args(arguments)
    stop_with_parent()
    try:
        job, context = load(options.job)
    except GaitwayError as error:
        print("\n".join(error.lines()), file=sys.stderr, flush=True)
        return error.exit_code
    output_dir = options.job.resolve().parent / context.output_dir
    command = [sys.executable, "-m", "gaitway_runtime", "--job", str(options.job)]
    environments = rank_environments(options.processes if job.kind == "train" else 1)
    return exit_code(run(command, environments, output_dir), output_dir)


@contextlib.contextmanager
def _started(
    command: Sequence[str], environments: Sequence[Mapping[str, str]], output_dir: Path
) -> Iterator[dict[Rank, subprocess.Popen[bytes]]]:
    """Start a process for each environment; those still running at the end are killed."""
    running: dict[Rank, subprocess.Popen[bytes]] = {}
    try:
        for extra in environments:
            environ = {**os.environ, **extra, **bond()}
            rank = rank_from(environ)  # a platform that starts a process per GPU itself sets the variables
            with _output_of(rank, output_dir) if extra else contextlib.nullcontext() as output:
                running[rank] = subprocess.Popen(
                    command,
                    env=environ,
                    stdout=output,
                    stderr=subprocess.STDOUT if output else None,
                    pass_fds=inherited_locks(),
                )
        yield running
    finally:
        for process in running.values():
            process.kill()
            process.wait()


@contextlib.contextmanager
def _output_of(rank: Rank, output_dir: Path) -> Iterator[int | None]:
    """Yield the output of a process: this process's own, or a file for all but the first of a node."""
    if rank.local == 0:
        yield None
        return
    folder = rank.folder(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOG_FILE).open("wb") as stream:
        yield stream.fileno()


def _wait(running: dict[Rank, subprocess.Popen[bytes]]) -> list[ProcessExit]:
    ended: list[ProcessExit] = []
    deadline: float | None = None
    while running:
        time.sleep(_POLL_S)
        late = deadline is not None and time.monotonic() > deadline
        # A killed process comes first: it is the reason why the others fail.
        for rank, process in sorted(running.items(), key=lambda item: item[1].poll() or 0):
            killed = late and process.poll() is None
            if killed:
                process.kill()
                process.wait()
            code = process.returncode
            if code is not None:
                del running[rank]
                ended.append(ProcessExit(rank, code, killed))
                if code not in (0, Interrupted.exit_code) and deadline is None:
                    deadline = time.monotonic() + GRACE_S
    return ended


def _result_of(broken: ProcessExit, known: Result | None, output_dir: Path) -> Result:
    """Return the result of a job whose rank 0 could not write what ended it."""
    written = results.read(broken.rank.folder(output_dir))
    if written is not None and not broken.rank.first:
        return written
    which = str(broken.rank) if broken.rank.several else "the job's process"
    if broken.code < 0:
        error = JobFailed(
            f"{which} was ended by {signal.Signals(-broken.code).name}",
            hint="SIGKILL is how a machine that runs out of memory ends a process: fewer --num-envs",
        )
    else:
        error = JobFailed(f"{which} ended with exit code {broken.code} and without a result", hint="see its log")
    base = known or Result(kind="train", task="", status="failed")
    return dataclasses.replace(base, status="failed", exit_code=error.exit_code, error=error.as_dict())


def _shell_code(code: int) -> int:
    return code if code >= 0 else 128 - code


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
