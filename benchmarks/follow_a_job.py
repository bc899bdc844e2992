"""Count of the modules that a local training passes between argv and the first simulation step.

Runs ``gaitway train`` once, with a profiler in both of its processes: the client until it starts the job's process, and
the job's process until an environment is stepped. A module counts when at
least one of its functions has run, other than to build tables while modules are imported.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path

TARGET = 60
"""Most modules that a reader should have to open."""
TRAINING = ("--num-envs", "8", "--max-iterations", "1", "--skip-register-checkpoint")
HOOK = Path(__file__).with_name("follow_hook.py")


@dataclass(frozen=True)
class Passed:
    """Modules of ours that one process went through."""

    ran: frozenset[str]
    """Modules of which a function ran."""
    imported: frozenset[str]


def main() -> int:
    """Print the modules and their number; return 1 where there are more than :data:`TARGET`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--task", default="Isaac-Cartpole-v0")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        client, job = follow(options.task, Path(folder))
    for name in sorted(client.ran | job.ran):
        print(f"{'client' if name in client.ran else '':<8}{'job' if name in job.ran else '':<5}{name}")
    ran, imported = client.ran | job.ran, client.imported | job.imported
    print(f"client: {len(client.ran)} run, {len(client.imported)} imported")
    print(f"job: {len(job.ran)} run, {len(job.imported)} imported")
    print(f"together: {len(ran)} run (at most {TARGET}), {len(imported)} imported")
    return 1 if len(ran) > TARGET else 0


def follow(task: str, folder: Path) -> tuple[Passed, Passed]:
    """Train for one iteration in a folder and return what the client and the job went through.

    Raises:
        subprocess.CalledProcessError: The training failed.
        FileNotFoundError: A process ended before the place up to which it is followed.
    """
    python = _profiling_python(folder / "environment")
    (folder / "here").mkdir()
    environ = {**os.environ, "GAITWAY_HOME": str(folder / "home"), "GAITWAY_FOLLOW": str(folder)}
    subprocess.run(
        [python, "-m", "gaitway", "train", "--task", task, *TRAINING],
        cwd=folder / "here",
        env=environ,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return _read(folder / "client.json"), _read(folder / "job.json")


def _profiling_python(folder: Path) -> Path:
    """Return a Python that has what this one has, and starts the profiler in whatever it runs."""
    venv.create(folder, with_pip=False, symlinks=True)
    site = next(folder.glob("lib/python*/site-packages"))
    (site / "follow_hook.py").write_text(HOOK.read_text())
    everything = sysconfig.get_paths()["purelib"]
    (site / "follow.pth").write_text(f"import site; site.addsitedir({everything!r})\nimport follow_hook\n")
    return folder / "bin" / "python"


def _read(path: Path) -> Passed:
    found = json.loads(path.read_text())
    return Passed(frozenset(found["ran"]), frozenset(found["imported"]))


if __name__ == "__main__":
    sys.exit(main())
