"""Detection of the installed Isaac Lab from its files, because importing it may start a simulator or fail."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..base import Availability

_LAYOUTS: tuple[tuple[str, int], ...] = (
    ("app/sim_launcher.py", 3),
    ("source/isaaclab/isaaclab/app/sim_launcher.py", 3),
    ("app/app_launcher.py", 2),
    ("source/isaaclab/isaaclab/app/app_launcher.py", 2),
)
"""A file that tells the generation, below the package's folder: of a source tree, or of a wheel that holds one."""

_EXTENSION_RELEASES: Mapping[str, str] = {"0.54.2": "2.3.2", "28.0.0": "3.0.0"}
"""Releases by the version of the ``isaaclab`` extension, which is what a source tree's package says of itself."""


_MISSING = (
    "--python PYTHON, or GAITWAY_JOB_PYTHON, names the one that has Isaac Lab; its containers run with --on osmo and "
    "--on azureml; gaitway tasks lists what --simulator mujoco has"
)
"""What to do where it is not installed."""


@dataclass(frozen=True, kw_only=True)
class Installation:
    """An Isaac Lab that is installed here."""

    root: Path
    """Folder of the package ``isaaclab``."""
    generation: int
    """2: started by AppLauncher, on Isaac Sim. 3: started by ``launch_simulation``, with or without it."""
    release: str
    """For example ``2.3.2``; empty where nothing tells."""
    kit: bool
    """Whether Isaac Sim is here."""


def find() -> Installation | None:
    """Return the Isaac Lab of this Python, or None, without importing anything of it."""
    root = _folder("isaaclab")
    if root is None:
        return None
    generation = next((number for name, number in _LAYOUTS if (root / name).is_file()), None)
    if generation is None:
        return None
    return Installation(root=root, generation=generation, release=_release(root), kit=_folder("isaacsim") is not None)


def availability() -> Availability:
    """Tell whether Isaac Lab is installed here, without importing it."""
    found = find()
    if found is None:
        return Availability(False, reason=_MISSING)
    return Availability(True, found.release)


def _folder(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None


def _release(root: Path) -> str:
    """Return the release: from the file VERSION of a source tree, else from the package's metadata."""
    for folder in root.parents[:4]:
        path = folder / "VERSION"
        if path.is_file() and (folder / "source" / "isaaclab").is_dir():
            return path.read_text(encoding="utf-8").strip()
    try:
        version = importlib.metadata.version("isaaclab")
    except importlib.metadata.PackageNotFoundError:
        return ""
    if re.match(r"[23]\.", version):
        return version
    return _EXTENSION_RELEASES.get(version, "")
