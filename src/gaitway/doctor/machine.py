"""Checks of this machine: Python, installed packages, rendering, disk, git."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from gaitway_runtime.spec.packages import install_command
from packaging.requirements import Requirement

from ..findings import Finding
from . import probe

PYTHON_MINIMUM = (3, 10)
DISK_MINIMUM = 2 * 2**30
"""Room for a run's checkpoints, videos and artifacts [bytes]."""

OPENGL_FIX = "apt-get install libegl1 libgl1-mesa-dri (or libosmesa6), or unset MUJOCO_GL"


def python() -> Iterator[Finding]:
    """Look at the interpreter."""
    wanted = ".".join(map(str, PYTHON_MINIMUM))
    yield Finding(
        "python",
        sys.version_info >= PYTHON_MINIMUM,
        f"Python {platform.python_version()} ({sys.executable})",
        f"install Python {wanted} or newer",
    )


def packages(extra: str) -> Iterator[Finding]:
    """Look for what an extra of this distribution asks for, by its own metadata; nothing is imported."""
    fix = install_command(extra)
    try:
        lines = metadata.requires("gaitway") or []
    except metadata.PackageNotFoundError:
        yield Finding("packages", False, "gaitway itself is not installed, so its needs are not known", fix)
        return
    wanted = [need for need in map(Requirement, lines) if need.marker and need.marker.evaluate({"extra": extra})]
    found = {need: _version(need.name) for need in wanted}
    fitting = {need.name: version for need, version in found.items() if version and _fits(need, version)}
    if fitting:
        yield Finding(f"packages {extra}", True, ", ".join(f"{name} {version}" for name, version in fitting.items()))
    for need, version in found.items():
        if need.name not in fitting:
            message = f"{need.name}{need.specifier} is needed, found {version or 'none'}"
            yield Finding(f"package {need.name}", False, message, fix)


def drawing(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look how films are drawn here."""
    if find_spec("mujoco") is None:
        yield Finding("rendering", False, "MuJoCo is not installed; nothing is drawn here", install_command("local"))
        return
    from gaitway_runtime.evaluation.video import available_backends  # needs NumPy, which comes with MuJoCo

    yield from first_that_draws(environ, available_backends())


def first_that_draws(environ: Mapping[str, str], backends: Sequence[str]) -> Iterator[Finding]:
    """Try ways to draw, in the order a job tries them, until one works.

    Args:
        environ: The environment.
        backends: OpenGL back ends of MuJoCo, and ``rays``, which needs none.
    """
    failures: list[str] = []
    for name in backends:
        well, said = (True, "") if name == "rays" else probe.ask("rendering", {**environ, "MUJOCO_GL": name})
        if well:
            how = "with rays, on the processor" if name == "rays" else f"with OpenGL (MUJOCO_GL={name})"
            message = "; ".join((f"films are drawn {how}", *failures))
            yield Finding("rendering", not failures, message, OPENGL_FIX if failures else "")
            return
        failures.append(f"{name} does not work: {said}")


def disk(home: Path) -> Iterator[Finding]:
    """Look at the room left where runs are kept."""
    folder = nearest_folder(home)
    free = shutil.disk_usage(folder).free
    fix = "free some space, or set GAITWAY_HOME to a folder on a larger disk"
    yield Finding("disk", free >= DISK_MINIMUM, f"{free / 2**30:.1f} GiB free in {folder}", fix)


def git() -> Iterator[Finding]:
    """Look for git and a repository: they say which files are shipped and which commit a run came from."""
    if shutil.which("git") is None:
        yield Finding("git", False, "git is not installed; runs will not know their commit", "install git")
        return
    inside = probe.run(["git", "rev-parse", "--short", "HEAD"])
    commit = inside.output.strip()
    message = f"commit {commit}" if not inside.failure else "this folder is in no git repository with a commit"
    yield Finding("git", not inside.failure, message, "git init && git add -A && git commit")


def nearest_folder(path: Path) -> Path:
    """Return a folder that is there, or else the first one above it that is."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())


def _fits(need: Requirement, version: str) -> bool:
    return need.specifier.contains(version, prereleases=True)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
