"""A simulator that can only draw: what the making of videos is tested with. Importing it registers it."""

import time
from collections.abc import Iterator

import numpy as np
from gaitway_runtime.evaluation.film import DRAWERS, Film

DRAWERS["fake"] = __name__


def pictures(film: Film, backend: str, *, threads: int = 1) -> Iterator[np.ndarray]:
    if backend == "broken":
        raise RuntimeError("no display")
    if backend == "stuck":
        time.sleep(3600)
    shade = 0 if backend == "dark" else 200
    for index in range(len(film.snapshots)):
        picture = np.full((film.height, film.width, 3), shade, dtype=np.uint8)
        picture[:, : index + 1] = 0
        yield picture
