"""Videos of what was played. A video that cannot be made never fails a job: it says why there is none."""

from __future__ import annotations

import ctypes.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..process.lifecycle import bond
from .film import DRAWERS, Film

VIDEO_NAME = "rl-video-step-0.mp4"
"""File name of a video: the name that Isaac Lab's recorder gives the first one."""

STATES_NAME = "states.npz"
"""File name of a film that could not be drawn where it was recorded; ``filming.py`` draws it where that is possible."""

_OPENGL = {"egl": "EGL", "osmesa": "OSMesa"}
"""Library behind each OpenGL backend."""

_GPU_NODES = ("/dev/dri", "/dev/nvidiactl", "/dev/dxg")
"""Device files of a GPU that can draw."""

_CHECK_EVERY_S = 0.5

_SECONDS_PER_FRAME = 3.0
"""Longest a frame may take before drawing is given up [s]; software OpenGL needs a twentieth."""


@dataclass(frozen=True)
class Video:
    """What became of a film."""

    path: Path | None
    poster: Path | None = None
    frames: int = 0
    frames_per_second: float = 0.0
    backend: str = ""
    cpu_s: float = 0.0
    """Processor time that drawing took [s]."""
    reason: str = ""
    """Why there is no video; empty when there is one."""


class Filming:
    """A film that is being drawn in a process of its own.

    Args:
        film: What to show.
        folder: Gets the video and its poster.
        backends: Ways to draw, the one to try first first; found out when omitted.
        check: Called now and then while waiting; may raise to stop.
        name: File name of the video.
        gives_way: Whether to draw only while no other process wants the processor.
    """

    def __init__(
        self,
        film: Film,
        folder: Path,
        backends: tuple[str, ...] | None = None,
        check: Callable[[], None] = lambda: None,
        name: str = VIDEO_NAME,
        gives_way: bool = False,
    ) -> None:
        self.film, self.target, self._gives_way = film, folder / name, gives_way
        self._backends = list(backends or available_backends())
        self._check = check
        self._scratch = tempfile.TemporaryDirectory(prefix="gaitway-film-")
        self._source = Path(self._scratch.name) / "film.npz"
        self._process: subprocess.Popen[str] | None = None
        self._reason = self._begin()

    @property
    def done(self) -> bool:
        """Whether :meth:`result` returns at once, but for backends that cannot draw here."""
        return self._process is None or self._process.poll() is not None

    def result(self) -> Video:
        """Wait for the video; where a backend cannot draw here, let the next one try."""
        try:
            while self._process is not None:
                video = self._collect()
                if video is not None:
                    return video
                self._backends.pop(0)
                self._process = None
                if self._backends:
                    self._start()
            return Video(None, reason=f"{self._reason or 'no way to draw was found'}{self._kept()}")
        finally:
            self.close()

    def close(self) -> None:
        """End the drawing, if it still runs, and remove what it left behind."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._scratch.cleanup()

    def _kept(self) -> str:
        """Keep the states of a film that could not be drawn here, and say where; what was begun is removed."""
        if not self._source.is_file():
            return ""
        try:
            partial_of(self.target).unlink(missing_ok=True)
            shutil.copyfile(self._source, self.target.with_name(STATES_NAME))
        except OSError:
            return ""
        return f"; the recorded states are kept in {STATES_NAME}"

    def _begin(self) -> str:
        """Start drawing, or return why not."""
        if self.film.simulator not in DRAWERS:
            return f"simulator {self.film.simulator} is not drawn from recorded states"
        if not len(self.film.snapshots):
            return "no state was recorded"
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            self.film.save(self._source)
            self._start()
        except OSError as error:
            return f"the recorded states cannot be kept: {error.strerror}"
        return ""

    def _start(self) -> None:
        backend = self._backends[0]
        environment = {**os.environ, **bond(), "OMP_NUM_THREADS": "1", "LP_NUM_THREADS": "1"}
        if backend in _OPENGL:
            environment["MUJOCO_GL"] = backend
        package_root = str(Path(__file__).resolve().parents[2])
        environment["PYTHONPATH"] = os.pathsep.join([package_root, *filter(None, [os.environ.get("PYTHONPATH")])])
        command = (sys.executable, "-m", f"{__package__}.filming")
        self._process = subprocess.Popen(
            [*command, str(self._source), str(self.target), backend, *(["gives-way"] if self._gives_way else [])],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            env=environment,
            text=True,
        )

    def _collect(self) -> Video | None:
        """Return what the process made, or None when it could not draw."""
        backend = self._backends[0]
        ended = self._wait()
        if ended is None:
            self._reason = f"{backend} took too long"
            return None
        code, output, errors = ended
        if code != 0:
            self._reason = f"{backend}: {_last_words(output, errors)}"
            return None
        made = json.loads(output.splitlines()[-1])
        if made["black"] == made["frames"]:
            self._reason = f"{backend} drew black frames only"
            return None
        return Video(
            path=self.target,
            poster=self.target.with_suffix(".png"),
            frames=made["frames"],
            frames_per_second=self.film.frames_per_second,
            backend=backend,
            cpu_s=made["cpu_s"],
        )

    def _wait(self) -> tuple[int, str, str] | None:
        """Return exit code, output and errors of the process; None if it had to be ended."""
        assert self._process is not None
        deadline = time.monotonic() + 60 + _SECONDS_PER_FRAME * len(self.film.snapshots)
        while time.monotonic() < deadline:
            self._check()
            try:
                output, errors = self._process.communicate(timeout=_CHECK_EVERY_S)
            except subprocess.TimeoutExpired:
                continue
            return self._process.returncode, output, errors
        self._process.kill()
        self._process.communicate()
        return None


def partial_of(target: Path) -> Path:
    """Return the file that becomes a video once it is whole."""
    return target.with_suffix(".partial.mp4")


def available_backends() -> tuple[str, ...]:
    """Return the ways to draw that may work here, the best first.

    A GPU is fastest. Without one OpenGL runs in software: measured slower than rays cast by MuJoCo, without their
    smooth outlines, and it needs libraries that a bare machine lacks. ``MUJOCO_GL`` set by the user wins over both.
    """
    found = [backend for backend, library in _OPENGL.items() if ctypes.util.find_library(library)]
    wanted = os.environ.get("MUJOCO_GL", "").lower()
    if wanted in _OPENGL:
        return (wanted, *(backend for backend in ("rays", *found) if backend != wanted))
    has_gpu = any(Path(node).exists() for node in _GPU_NODES)
    return (*found, "rays") if has_gpu else ("rays", *found)


def _last_words(output: str, errors: str) -> str:
    """Return why a drawing process failed: its own account, or the last line of one that was killed or crashed."""
    account = [line for line in output.splitlines() if line.startswith('{"error"')]
    if account:
        return str(json.loads(account[-1])["error"])
    return (errors.strip().splitlines() or ["the process crashed"])[-1]
