"""Process that draws a film and encodes it: ``python -m gaitway_runtime.evaluation.filming FILM.npz OUT.mp4 BACKEND``.

With ``gives-way`` behind that it draws only while no other process wants the processor. A process of its own, because
an OpenGL that is half installed can end a process, and because OpenGL has to be chosen before MuJoCo is imported.
Prints one JSON line: how many frames, of which how many are black, and the processor time of it [s]; or the error.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..distributed.group import available_cpus
from ..process.lifecycle import stop_with_parent
from ..spec.registry import ForeignError, call_foreign
from .film import DRAWERS, Film, load_film
from .video import partial_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

GIVES_WAY = "gives-way"
"""Argument that asks to draw only while no other process wants the processor."""

MOST_THREADS = 4
"""More frames at a time wait for each other: a part of the drawing is Python's."""

_BLACK = 8
"""A frame whose brightest channel stays below this on average shows nothing, of 255."""
_SAMPLE = 8
"""Every so many pixels are looked at to tell."""


def main(arguments: list[str]) -> int:
    """Draw, encode, and print what was made or why it was not."""
    stop_with_parent()
    threads = min(available_cpus(), MOST_THREADS)
    if GIVES_WAY in arguments and hasattr(os, "nice"):
        os.nice(19)
        threads = 1
    try:
        made: dict[str, int | float | str] = {
            # OpenGL's bindings raise anything.
            **call_foreign(lambda: _make(Path(arguments[0]), Path(arguments[1]), arguments[2], threads))
        }
        made["cpu_s"] = sum(os.times()[:4])
    except ForeignError as error:
        made = {"error": str(error)}
    print(json.dumps(made))
    return int("error" in made)


def _make(source: Path, target: Path, backend: str, threads: int) -> dict[str, int]:
    film = load_film(source)
    for name in film.imports:
        importlib.import_module(name)
    drawer = importlib.import_module(DRAWERS[film.simulator])
    return encode(film, drawer.pictures(film, backend, threads=threads), target)


def encode(film: Film, pictures: Iterator[NDArray[np.uint8]], target: Path) -> dict[str, int]:
    """Write an mp4 that plays as fast as it happened, and a poster beside it; return what was written.

    Args:
        film: What is shown.
        pictures: Its frames, (height, width, 3).
        target: The mp4; the poster gets the same name and ``.png``.
    """
    import imageio_ffmpeg
    from PIL import Image

    partial = partial_of(target)
    # yuv420p and faststart: what browsers play, also while it is still loading.
    writer = imageio_ffmpeg.write_frames(
        str(partial),
        (film.width, film.height),
        fps=film.frames_per_second,
        codec="libx264",
        quality=None,
        macro_block_size=2,
        output_params=["-crf", "23", "-preset", "veryfast", "-movflags", "+faststart"],
    )
    writer.send(None)
    black = 0
    poster_at = len(film.snapshots) // 3
    for frame, picture in enumerate(pictures):
        writer.send(np.ascontiguousarray(picture))
        black += bool(picture[::_SAMPLE, ::_SAMPLE].mean(axis=(0, 1)).max() < _BLACK)
        if frame == poster_at:
            Image.fromarray(picture).save(target.with_suffix(".png"), optimize=True)
    writer.close()
    partial.replace(target)
    return {"frames": len(film.snapshots), "black": black}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
