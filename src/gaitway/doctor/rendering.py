"""How films are drawn: with OpenGL where a GPU or the user asks for it, else with rays that need no library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec

from ..findings import Finding
from . import probe

FIX = "apt-get install libegl1 libgl1-mesa-dri (or libosmesa6), or unset MUJOCO_GL"


def drawing(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look how films are drawn here."""
    if find_spec("mujoco") is None:
        yield Finding(
            "rendering", False, "MuJoCo is not installed; nothing is drawn here", "pip install 'gaitway[local]'"
        )
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
            yield Finding("rendering", not failures, message, FIX if failures else "")
            return
        failures.append(f"{name} does not work: {said}")
