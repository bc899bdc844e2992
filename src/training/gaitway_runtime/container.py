"""``python -m gaitway_runtime.container``: run a job inside somebody else's container.

What a platform's container needs before and after the job itself: the missing requirements, the job's document, the
newest checkpoint of an earlier attempt, one process per GPU, and a line of log that tells the user's side how it
ended. Standard library only; everything is read from the environment:

- ``RUN_DIR``: folder for ``job.json`` and ``outputs/``;
- ``JOB_FILE``: the job's document; without it the job is built from variables (``TASK``, ``NUM_ENVS``, ...);
- ``GAITWAY_CONTEXT``: beside such variables, what is to be known of the run, as a JSON document;
- ``ATTEMPT_OF``: what all attempts at this job have in common (the platform's id of it);
- ``RESUME_DIR``: folder with checkpoints that an earlier attempt has saved;
- ``CHECKPOINT_OUTPUT``: folder that gets a copy of every checkpoint as it is made;
- ``NUM_NODES``, ``NUM_GPUS``, ``NODE_RANK``, ``RENDEZVOUS``: for training on several GPUs or nodes;
- ``RANK``, ``LOCAL_RANK``: set where the platform itself starts one process per GPU (Azure ML);
- ``GAITWAY_REQUIREMENTS=skip``: the image has everything (set it in an image of your own).
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from . import launch
from .errors import GaitwayError, UsageError
from .fields import values_from_environment
from .job import AzureContext, Job, RunContext, TrainJob, from_document, from_environment, load, to_document
from .keeping import Keeper
from .ranks import count
from .result import RESULT_FILE, write_json
from .tracking.attempts import ATTEMPT_TAG

RESULT_MARK = "::gaitway-result::"
"""Begins the log line that carries ``result.json`` to the user's side, as one line of JSON."""

REQUIREMENTS = "requirements.txt"
"""What a container may lack: one such file in this package, and one of the user's at the payload's root."""

PROTECTED = ("torch", "torchvision", "torchaudio", "numpy", "rsl-rl-lib", "skrl", "isaaclab", "isaacsim", "warp-lang")
"""Distributions of the container that an installation must leave as they are."""

KEEP_EVERY_S = 10.0
"""Pause between two looks for checkpoints to copy [s]."""

_CHECKPOINT = re.compile(r"model_(\d+)\.pt")
_RENDEZVOUS_PORT = 5555


def main() -> int:
    """Run the job of this container and return its exit code."""
    try:
        with alone_on_node():
            for path in (Path(__file__).parent / REQUIREMENTS, Path(REQUIREMENTS)):
                install_requirements(path, os.environ)
        run_dir = Path(os.environ.get("RUN_DIR") or "/tmp/gaitway_run")
        path = prepare_job(run_dir, os.environ)
        places = places_of(read_job(os.environ)[0], os.environ)
    except GaitwayError as error:
        print("\n".join(error.lines()), file=sys.stderr, flush=True)
        return error.exit_code
    command = [sys.executable, "-m", "gaitway_runtime", "--job", str(path)]
    output_dir = run_dir / RunContext().output_dir
    with keeping(keeper_for(run_dir, os.environ)):
        ended = launch.run(command, places, output_dir)
    code = launch.exit_code(ended, output_dir)
    report(run_dir, os.environ)
    return code


@contextlib.contextmanager
def alone_on_node() -> Iterator[None]:
    """Let one process of a node at a time do something: where each GPU has its own, all install at once."""
    with open("/tmp/gaitway-install.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install_requirements(path: Path, environ: Mapping[str, str]) -> list[str]:
    """Install what ``requirements.txt`` names and the container lacks; return what was installed.

    What is there stays as it is, in whatever version: torch, numpy and Isaac Lab's own parts above all.

    Raises:
        UsageError: pip did not succeed.
    """
    if environ.get("GAITWAY_REQUIREMENTS") == "skip" or not path.is_file():
        return []
    missing = [line for line in _requirements(path) if not _installed(line)]
    if not missing:
        return []
    print(f"container: installing {', '.join(missing)}", flush=True)
    constraints = path.resolve().parent / ".constraints.txt"
    if not os.access(constraints.parent, os.W_OK):
        constraints = Path("/tmp/gaitway-constraints.txt")
    before = _protected()
    constraints.write_text("".join(f"{line}\n" for line in before), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    done = subprocess.run([*pip, "--constraint", str(constraints), *missing], check=False)
    if done.returncode != 0:
        raise UsageError(
            "the payload's requirements cannot be installed in this container",
            source=str(path),
            hint="use an image that has them, and set GAITWAY_REQUIREMENTS=skip in it",
        )
    changed = sorted(set(before) - set(_protected()))
    if changed:
        # pip keeps to its constraints; a package that runs an installer of its own does not.
        raise UsageError(
            f"the payload's requirements have changed the container's own packages: {', '.join(changed)} before",
            source=str(path),
            hint="use an image that has what is missing, and set GAITWAY_REQUIREMENTS=skip in it",
        )
    return missing


def prepare_job(run_dir: Path, environ: Mapping[str, str]) -> Path:
    """Write the run's ``job.json`` and return its path.

    Raises:
        UsageError: Neither the document nor the environment is a job.
    """
    job, context = read_job(environ)
    attempt = environ.get("ATTEMPT_OF", "")
    if attempt:
        context = dataclasses.replace(context, tags={**context.tags, ATTEMPT_TAG: attempt})
    path = run_dir / "job.json"
    (run_dir / "outputs" / "checkpoints").mkdir(parents=True, exist_ok=True)
    write_json(to_document(restored(job, environ.get("RESUME_DIR", "")), context), path)
    return path


def read_job(environ: Mapping[str, str]) -> tuple[Job, RunContext]:
    """Return the job of ``JOB_FILE``, or the one that the environment's variables describe.

    Raises:
        UsageError: It is not a job.
    """
    name = environ.get("JOB_FILE", "")
    if name:
        return load(Path(name))
    described = environ.get("GAITWAY_CONTEXT", "")
    if described:
        document = {**to_document(from_environment(environ), RunContext()), "context": _parsed(described)}
        return from_document(document, "env GAITWAY_CONTEXT")
    azure = AzureContext(**values_from_environment(AzureContext, environ))
    run, platform = environ.get("ATTEMPT_OF"), environ.get("GAITWAY_PLATFORM")
    context = RunContext(run=run or RunContext.run, platform=platform or "container", azure=azure)
    return from_environment(environ), context


def restored(job: Job, folder: str) -> Job:
    """Return a training that goes on from the newest checkpoint that an earlier attempt has left in a folder."""
    if not isinstance(job, TrainJob) or not folder or not Path(folder).is_dir():
        return job
    found = {int(match[1]): path for path in Path(folder).rglob("*.pt") if (match := _CHECKPOINT.fullmatch(path.name))}
    if not found:
        return job
    newest = found[max(found)]
    print(f"container: an earlier attempt got to {newest.name}; going on from there", flush=True)
    return dataclasses.replace(job, checkpoint_uri=str(newest), checkpoint_sha256=None, checkpoint_mode="resume")


def places_of(job: Job, environ: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the environment of each process of this node: one per GPU for a training, else one.

    Raises:
        UsageError: A count is no number, or a node does not know where to meet the others.
    """
    processes = max(1, count(environ, "NUM_GPUS", 1)) if job.kind == "train" else 1
    nodes, node, meeting = count(environ, "NUM_NODES", 1), count(environ, "NODE_RANK", 0), environ.get("RENDEZVOUS", "")
    if nodes > 1 and not meeting:
        raise UsageError("several nodes train together and none knows where to meet", source="env RENDEZVOUS")
    if nodes > 1 and ":" not in meeting:
        meeting = f"{meeting}:{_RENDEZVOUS_PORT}"
    return launch.places(processes, nodes=nodes, node=node, meeting=meeting)


def keeper_for(run_dir: Path, environ: Mapping[str, str]) -> Keeper | None:
    """Return what copies checkpoints to the platform's output folder; None where there is none, or another does it."""
    folder = environ.get("CHECKPOINT_OUTPUT") or environ.get("AZURE_ML_OUTPUT_CHECKPOINTS") or ""
    if not folder or not is_first(environ):
        return None
    return Keeper(run_dir / "outputs" / "checkpoints", Path(folder))


def is_first(environ: Mapping[str, str]) -> bool:
    """Whether this is the process that speaks for all that do the job together."""
    return all(environ.get(name, "0") in ("", "0") for name in ("NODE_RANK", "RANK"))


@contextlib.contextmanager
def keeping(keeper: Keeper | None) -> Iterator[None]:
    """Copy checkpoints now and then while the job runs, and what is left at its end."""
    if keeper is None:
        yield
        return
    over = threading.Event()

    def keep() -> None:
        while not over.wait(KEEP_EVERY_S):
            keeper.copy()

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        keeper.copy()


def report(run_dir: Path, environ: Mapping[str, str]) -> None:
    """Print ``result.json`` as one line of the log; a platform keeps logs where it keeps nothing else."""
    if not is_first(environ):
        return
    try:
        result = json.loads((run_dir / "outputs" / RESULT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    print(f"{RESULT_MARK} {json.dumps(result, separators=(',', ':'))}", flush=True)


def _requirements(path: Path) -> Iterator[str]:
    """Yield the lines of a requirements file that name something, those of files it refers to included."""
    for text in path.read_text(encoding="utf-8").splitlines():
        line = text.partition("#")[0].strip()
        if line.startswith("-r "):
            yield from _requirements(path.parent / line[3:].strip())
        elif line:
            yield line


def _parsed(text: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError:
        raise UsageError("what is to be known of the run is not JSON", source="env GAITWAY_CONTEXT") from None
    return found


def _installed(requirement: str) -> bool:
    name = re.split(r"[\s<>=!~;\[]", requirement, maxsplit=1)[0]
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _protected() -> list[str]:
    found = {dist.name.lower().replace("_", "-"): dist.version for dist in importlib.metadata.distributions()}
    return [f"{name}=={found[name]}" for name in PROTECTED if name in found]


if __name__ == "__main__":
    sys.exit(main())
