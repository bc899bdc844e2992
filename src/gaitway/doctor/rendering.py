"""MuJoCo's rendering back end: without one a policy is measured all the same, but not filmed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

from ..findings import Finding
from . import probe

BACK_ENDS = ("egl", "osmesa") if sys.platform == "linux" else ("glfw",)
FIX = (
    "apt-get install libegl1 libgl1-mesa-dri (or libosmesa6)" if sys.platform == "linux" else "run in a desktop session"
)


def back_end(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Render one frame with each back end until one works; the one that the user named comes alone."""
    named = environ.get("MUJOCO_GL")
    failures = []
    for name in (named,) if named else BACK_ENDS:
        well, said = probe.ask("rendering", {**environ, "MUJOCO_GL": name})
        if well:
            yield Finding("rendering", True, f"MuJoCo renders with MUJOCO_GL={name}")
            return
        failures.append(f"{name}: {said}")
    yield Finding("rendering", False, "no video can be made; " + "; ".join(failures), FIX)
