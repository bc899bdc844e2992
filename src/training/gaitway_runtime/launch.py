"""``python -m gaitway_runtime.launch --processes N --job job.json``: one training as several processes of this machine.

Also what a container uses to start the processes of its node. They are plain children in the launcher's own process
group, so that whoever ends the group leaves none behind; a request to stop reaches each of them, and they get all the
time that the platform gives (torchrun kills after 30 s). Nodes are counted as the platform counts them, so that the
first process is on the node whose outputs the platform keeps (torchrun's rendezvous counts them as it likes). Under
torchrun the runtime works as well. Standard library only.
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

from . import result as results
from .cpus import available_cpus
from .errors import GaitwayError, Interrupted, JobFailed
from .job import load
from .ranks import Rank, of
from .result import Result

GRACE_S = 30.0
"""Time the others have to end after one process has failed, before they are killed [s]; longer than they need to
find out by themselves (``team.GRACE_S``)."""

LOG_FILE = "log.txt"
"""What a process beside the first of its node prints, in its folder below the outputs."""

_POLL_S = 0.1


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    rank: Rank
    code: int
    """Exit code; negative for a signal."""
    killed: bool
    """Whether the launcher killed it because it did not end by itself."""


def places(processes: int, *, nodes: int = 1, node: int = 0, meeting: str = "") -> list[dict[str, str]]:
    """Return the environment of each process of this node, beside what all have.

    Args:
        processes: Processes on each node.
        nodes: Nodes.
        node: Which of them this is.
        meeting: ``host:port`` of the first node; a free port of this machine when empty.
    """
    world = processes * nodes
    if world == 1:
        return [{}]
    host, _, port = meeting.partition(":")
    common = {
        "WORLD_SIZE": str(world),
        "LOCAL_WORLD_SIZE": str(processes),
        "NODE_RANK": str(node),
        "MASTER_ADDR": host if node else "127.0.0.1",
        "MASTER_PORT": port or str(_free_port()),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(max(1, available_cpus() // processes)),
    }
    # A process that is gone is told of in a sentence; the stacks that PyTorch prints besides say nothing to a user.
    common["TORCH_CPP_LOG_LEVEL"] = os.environ.get("TORCH_CPP_LOG_LEVEL") or "ERROR"
    return [{**common, "RANK": str(node * processes + local), "LOCAL_RANK": str(local)} for local in range(processes)]


def run(command: Sequence[str], wanted: Sequence[Mapping[str, str]], output_dir: Path) -> list[Ended]:
    """Run a command once for each place, hand on requests to stop, and return how each ended, in order of time.

    Args:
        command: The command.
        wanted: Environments, from :func:`places`.
        output_dir: The job's output folder.
    """
    with _started(command, wanted, output_dir) as running:

        def hand_on(number: int, frame: FrameType | None) -> None:
            for process in list(running.values()):
                # A terminal's Ctrl-C has reached them already, and a second SIGINT would end them before they save.
                process.terminate()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, hand_on)
        return _wait(running)


def exit_code(ended: Sequence[Ended], output_dir: Path) -> int:
    """Return what the processes came to: what ``result.json`` says, where the first of all is one of them.

    A result is written here where the first process could not: it, or the one that ended the others, was killed. The
    exit code of a process that was killed stays what a shell makes of it, for platforms that start such a job again.
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
    parser = argparse.ArgumentParser(prog="python -m gaitway_runtime.launch", description=__doc__)
    parser.add_argument("--processes", type=int, required=True, help="how many")
    parser.add_argument("--job", type=Path, required=True, help="job.json; its folder gets the outputs")
    options = parser.parse_args(arguments)
    try:
        job, context = load(options.job)
    except GaitwayError as error:
        print("\n".join(error.lines()), file=sys.stderr, flush=True)
        return error.exit_code
    output_dir = options.job.resolve().parent / context.output_dir
    command = [sys.executable, "-m", "gaitway_runtime", "--job", str(options.job)]
    wanted = places(options.processes if job.kind == "train" else 1)
    return exit_code(run(command, wanted, output_dir), output_dir)


@contextlib.contextmanager
def _started(
    command: Sequence[str], wanted: Sequence[Mapping[str, str]], output_dir: Path
) -> Iterator[dict[Rank, subprocess.Popen[bytes]]]:
    """Start a process for each place; what is left of them at the end is killed."""
    running: dict[Rank, subprocess.Popen[bytes]] = {}
    try:
        for extra in wanted:
            environ = {**os.environ, **extra}
            rank = of(environ)  # told by the platform where it starts a process per GPU itself
            with _output_of(rank, output_dir) if extra else contextlib.nullcontext() as output:
                running[rank] = subprocess.Popen(
                    command, env=environ, stdout=output, stderr=subprocess.STDOUT if output else None
                )
        yield running
    finally:
        for process in running.values():
            process.kill()
            process.wait()


@contextlib.contextmanager
def _output_of(rank: Rank, output_dir: Path) -> Iterator[int | None]:
    """Yield where a process prints: here, or for all but the first of a node a file."""
    if rank.local == 0:
        yield None
        return
    folder = rank.folder(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOG_FILE).open("wb") as stream:
        yield stream.fileno()


def _wait(running: dict[Rank, subprocess.Popen[bytes]]) -> list[Ended]:
    ended: list[Ended] = []
    deadline: float | None = None
    while running:
        time.sleep(_POLL_S)
        late = deadline is not None and time.monotonic() > deadline
        # A process that was killed comes first: it is the reason why the others fail.
        for rank, process in sorted(running.items(), key=lambda item: item[1].poll() or 0):
            killed = late and process.poll() is None
            if killed:
                process.kill()
                process.wait()
            code = process.returncode
            if code is not None:
                del running[rank]
                ended.append(Ended(rank, code, killed))
                if code not in (0, Interrupted.exit_code) and deadline is None:
                    deadline = time.monotonic() + GRACE_S
    return ended


def _result_of(broken: Ended, told: Result | None, output_dir: Path) -> Result:
    """Return the result of a job whose first process could not tell what ended it."""
    own = results.read(broken.rank.folder(output_dir))
    if own is not None and not broken.rank.first:
        return own
    which = str(broken.rank) if broken.rank.several else "the job's process"
    if broken.code < 0:
        error = JobFailed(
            f"{which} was ended by {signal.Signals(-broken.code).name}",
            hint="SIGKILL is how a machine that runs out of memory ends a process: fewer --num-envs",
        )
    else:
        error = JobFailed(f"{which} ended with exit code {broken.code} and without a result", hint="see its log")
    known = told or Result(kind="train", task="", status="failed")
    return dataclasses.replace(known, status="failed", exit_code=error.exit_code, error=error.as_dict())


def _shell_code(code: int) -> int:
    return code if code >= 0 else 128 - code


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
