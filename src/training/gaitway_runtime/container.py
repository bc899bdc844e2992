"""Entry point of a platform's container: ``python -m gaitway_runtime.container``.

It installs missing requirements, writes the job's document, finds the newest checkpoint of an earlier attempt, starts
one process per GPU, and prints a line of log from which the user's side reads the result. Standard library only;
everything is read from the environment:

- ``RUN_DIR``: folder for ``job.json`` and ``outputs/``;
- ``JOB_FILE``: the job's document; without it the job is built from variables (``TASK``, ``NUM_ENVS``, ...);
- ``GAITWAY_CONTEXT``: with such variables, the run's context as a JSON document;
- ``ATTEMPT_OF``: the platform's id of the job, the same for every attempt;
- ``RESUME_DIR``: folder with checkpoints that an earlier attempt has saved;
- ``RUN_ID``: the run's id that is unique in the world, or ``workflow:<id>`` for OSMO to tell it;
- ``KEEP_AT``: its place in object storage, where it has one;
- ``TRACKING_PORT``: port at which an MLflow server shows the files of a job that reports to none;
- ``CHECKPOINT_OUTPUT``: folder that gets a copy of every checkpoint as it is made;
- ``OUTPUT_COPY``: folder that gets a copy of all outputs at the end;
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
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from .distributed import launcher
from .distributed.group import count
from .process import earlier_attempts, memory, memory_record, uploads, vulkan
from .process.attempt_mark import AttemptMark
from .process.copies import CheckpointCopier, copy_outputs, copying
from .spec import result as results
from .spec.checkpoint_files import CHECKPOINT_OUTPUT, iteration_of, newest_whole
from .spec.errors import GaitwayError, PlatformError, UsageError
from .spec.files import PAYLOAD_LIST, check_payload
from .spec.job import Job, TrainJob
from .spec.job_document import from_document, from_environment, load, to_document
from .spec.result import RESULT_FILE, RESULT_MARK, Result, write_json
from .spec.run_context import AzureContext, RunContext
from .spec.settings import values_from_environment
from .tracking.attempts import ATTEMPT_TAG

REQUIREMENTS = "requirements.txt"
"""File of packages that a container may lack: one in this package, and one of the user's at the payload's root."""

PROTECTED = ("torch", "torchvision", "torchaudio", "numpy", "rsl-rl-lib", "skrl", "isaaclab", "isaacsim", "warp-lang")
"""Distributions of the container that an installation must not change."""

_RENDEZVOUS_PORT = 5555


def main() -> int:
    """Run the job of this container and return its exit code."""
    environ = uploads.identified(os.environ)
    try:
        job, context = read_job(environ)
        # The list lies in the payload, whose folder may hold files of the platform's own.
        check_payload(Path.cwd(), Path(PAYLOAD_LIST), context.tags.get("gaitway.payload_sha256"))
        with install_lock():
            for path in (Path(__file__).parent / REQUIREMENTS, Path(REQUIREMENTS)):
                install_requirements(path, environ)
        run_dir = run_folder(environ)
        path = prepare_job(run_dir, environ)
        driver = vulkan.driver_variables(environ)
        environments = [{**driver, **each} for each in environments_for(job, environ)]
    except GaitwayError as error:
        print("\n".join(error.lines()), file=sys.stderr, flush=True)
        report_failure(error, environ)
        return error.exit_code
    command = [sys.executable, "-m", "gaitway_runtime", "--job", str(path)]
    output_dir = run_dir / RunContext().output_dir
    with memory.recorded(output_dir / uploads.CHECKPOINTS), uploads.uploading(uploader_for(run_dir, environ)):
        with copying(copier_for(run_dir, environ)), tracking_shown(output_dir, environ):
            ended = launcher.run(command, environments, output_dir)
        code = launcher.exit_code(ended, output_dir)
    try:
        keep_outputs(output_dir, environ)
    except PlatformError as error:
        print("\n".join(error.lines()), file=sys.stderr, flush=True)
        report_failure(error, environ)
        return code or error.exit_code
    report(run_dir, environ)
    return code


def keep_outputs(output_dir: Path, environ: Mapping[str, str]) -> None:
    """Copy all outputs to where the platform keeps them, if it does.

    Raises:
        PlatformError: They are not there whole.
    """
    if not environ.get("OUTPUT_COPY") or not is_first(environ):
        return
    try:
        copy_outputs(output_dir, Path(environ["OUTPUT_COPY"]))
    except OSError as error:
        raise PlatformError(f"the outputs could not be kept: {error.strerror}", source=environ["OUTPUT_COPY"]) from None


def run_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder for ``job.json`` and ``outputs/``."""
    return Path(environ.get("RUN_DIR") or "/tmp/gaitway_run")


@contextlib.contextmanager
def install_lock() -> Iterator[None]:
    """Let one process of a node install at a time: where each GPU has its own process, all start at once."""
    with open("/tmp/gaitway-install.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install_requirements(path: Path, environ: Mapping[str, str]) -> list[str]:
    """Install what ``requirements.txt`` names and the container lacks; return what was installed.

    What is installed stays as it is, in whatever version: torch, numpy and Isaac Lab's own parts above all.

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
    if is_first(environ):
        (run_dir / "outputs" / RESULT_FILE).unlink(missing_ok=True)  # of an attempt before, in the same folder
    write_json(to_document(continued(job, run_dir, environ), context), path)
    return path


def continued(job: Job, run_dir: Path, environ: Mapping[str, str]) -> Job:
    """Return a training that continues where an earlier attempt at the same run has got to, if there was one."""
    run = environ.get("RUN_ID", "")
    if not run:
        return resumed_from(job, environ.get("RESUME_DIR", ""))
    if not isinstance(job, TrainJob):
        return job
    outputs = run_dir / "outputs"
    folder = earlier_attempts.earlier_files(uploads.find_store(environ), environ, run_dir / "restored")
    newest = earlier_attempts.restore(folder, environ, outputs)
    AttemptMark(run).write(outputs / uploads.CHECKPOINTS)
    iteration = iteration_of(newest.name) if newest else None
    record = memory_record.next_record(folder, run, -1 if iteration is None else iteration)
    record.write(outputs / uploads.CHECKPOINTS)
    return job.resuming(newest) if newest else job


def uploader_for(run_dir: Path, environ: Mapping[str, str]) -> uploads.Uploader | None:
    """Return what uploads the checkpoints of a training; None where another process or the platform does."""
    if not environ.get("RUN_ID") or not is_first(environ) or read_job(environ)[0].kind != TrainJob.kind:
        return None
    return uploads.Uploader(
        run_dir / "outputs",
        uploads.find_store(environ),
        whole=not environ.get("KEEP_AT") or bool(environ.get("KEEP_ALL")),
    )


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


def resumed_from(job: Job, folder: str) -> Job:
    """Return a training that resumes from the newest checkpoint that an earlier attempt left in a folder."""
    if not isinstance(job, TrainJob) or not folder:
        return job
    newest = newest_whole(Path(folder))
    if newest is None:
        return job
    print(f"container: an earlier attempt got to {newest.name}; continuing from there", flush=True)
    return job.resuming(newest)


def environments_for(job: Job, environ: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the environment of each process of this node: one per GPU for a training, else one.

    Raises:
        UsageError: A count is not a number, or a node has no address of the first node.
    """
    processes = max(1, count(environ, "NUM_GPUS", 1)) if job.kind == "train" else 1
    nodes, node, rendezvous = (
        count(environ, "NUM_NODES", 1),
        count(environ, "NODE_RANK", 0),
        environ.get("RENDEZVOUS", ""),
    )
    if nodes > 1 and not rendezvous:
        raise UsageError("several nodes train together and none has the address of the first", source="env RENDEZVOUS")
    if nodes > 1 and ":" not in rendezvous:
        rendezvous = f"{rendezvous}:{_RENDEZVOUS_PORT}"
    return launcher.rank_environments(processes, nodes=nodes, node=node, rendezvous=rendezvous)


def copier_for(run_dir: Path, environ: Mapping[str, str]) -> CheckpointCopier | None:
    """Return the copier to the platform's output folder; None where there is none, or another process copies."""
    folder = environ.get(CHECKPOINT_OUTPUT) or environ.get("AZURE_ML_OUTPUT_CHECKPOINTS") or ""
    source = run_dir / "outputs" / "checkpoints"
    if not folder or not is_first(environ) or Path(folder).resolve() == source.resolve():
        return None
    return CheckpointCopier(
        source, Path(folder), AttemptMark.read(source) or AttemptMark(environ.get("ATTEMPT_OF", ""))
    )


@contextlib.contextmanager
def tracking_shown(output_dir: Path, environ: Mapping[str, str]) -> Iterator[None]:
    """Run an MLflow server that shows the job's files, where one is asked for and the job reports to no other."""
    port = environ.get("TRACKING_PORT", "")
    if not port or not is_first(environ) or environ.get("MLFLOW_TRACKING_URI"):
        yield
        return
    module = "gaitway_runtime.tracking.file_server"
    command = [sys.executable, "-m", module, "--outputs", str(output_dir), "--port", port]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def is_first(environ: Mapping[str, str]) -> bool:
    """Whether this is rank 0 of the processes that do the job together."""
    return all(environ.get(name, "0") in ("", "0") for name in ("NODE_RANK", "RANK"))


def report(run_dir: Path, environ: Mapping[str, str]) -> None:
    """Print ``result.json`` as one line of the log; a platform keeps logs where it keeps nothing else."""
    if not is_first(environ):
        return
    try:
        result = json.loads((run_dir / "outputs" / RESULT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    print(f"{RESULT_MARK} {json.dumps(result, separators=(',', ':'))}", flush=True)


def report_failure(error: GaitwayError, environ: Mapping[str, str]) -> None:
    """Write and print the result of a job that could not begin; nothing where it is not known which job it is."""
    try:
        job, context = read_job(environ)
    except GaitwayError:
        return
    failed = Result(kind=job.kind, task=job.task, status="failed", exit_code=error.exit_code, error=error.as_dict())
    run_dir = run_folder(environ)
    with contextlib.suppress(OSError):
        results.write(failed, run_dir / context.output_dir)
    report(run_dir, environ)


def _requirements(path: Path) -> Iterator[str]:
    """Yield the requirements in a file, and in those that it includes."""
    for text in path.read_text(encoding="utf-8").splitlines():
        line = text.partition("#")[0].strip()
        if line.startswith("-r "):
            yield from _requirements(path.parent / line[3:].strip())
        elif line:
            yield line


def _parsed(text: str) -> dict[str, object]:
    try:
        found: dict[str, object] = json.loads(text)
    except ValueError:
        raise UsageError("the run's context is not JSON", source="env GAITWAY_CONTEXT") from None
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
