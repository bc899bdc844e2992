"""``gaitway version``."""

from __future__ import annotations

import platform
from importlib import metadata

from .. import __version__
from . import render
from .command import VerbCommand, json_option

PARTS = ("torch", "mujoco", "rsl-rl-lib", "skrl", "mlflow", "onnx", "onnxruntime", "azure-ai-ml", "isaaclab")
"""Installed parts whose version changes what gaitway does."""


def run(as_json: bool) -> None:
    """Show the versions."""
    found = {"gaitway": __version__, "python": platform.python_version()}
    installed = {dist.name: dist.version for dist in metadata.distributions()}
    found |= {part: installed[part] for part in PARTS if part in installed}
    if as_json:
        render.document(found)
    else:
        render.table(("part", "version"), found.items())


command = VerbCommand("version", callback=run, params=[json_option()])
