"""Set up the real Isaac Lab 3.0 on a CPU: ``python make.py FOLDER``.

Makes ``FOLDER/venv`` (Python 3.12, about 6 GB) from pinned packages and ``FOLDER/assets``, a stand-in for the asset
server with what the tests' tasks load. Runs with any Python 3.10 or newer and its standard library. Run again after
a change of this folder; what is there already is left alone.
"""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
READY = "ready.txt"
"""Holds the hash of what the environment was made from."""

ASSETS = {
    "cartpole.py": "Isaac/IsaacLab/Robots/Classic/Cartpole/cartpole.usd",
    "ground.py": "Isaac/IsaacLab/Environments/Grid/default_ground_plane_checker_v1/default_ground_plane.usda",
}
"""Programs that make an asset, run by the new environment, and where Isaac Lab looks for it."""


def main(arguments: list[str]) -> int:
    """Make the environment, or say what is missing for it."""
    if len(arguments) != 1:
        print("usage: make.py FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[0]).expanduser()
    wanted = fingerprint()
    if is_ready(folder, wanted):
        print(f"Isaac Lab 3.0 is ready in {folder}")
        return 0
    python = find_python()
    if python is None:
        print("Isaac Lab 3.0 needs Python 3.12: install it, or name one with PYTHON312=PATH", file=sys.stderr)
        return 3
    print(f"setting up Isaac Lab 3.0 in {folder}: about 6 GB, once", flush=True)
    make_environment(python, folder / "venv")
    for program, target in ASSETS.items():
        path = folder / "assets" / target
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([folder / "venv/bin/python", HERE / program, path], check=True)
    (folder / READY).write_text(wanted, encoding="utf-8")
    print(f"Isaac Lab 3.0 is ready in {folder}")
    return 0


def fingerprint() -> str:
    """Return the hash of everything that an environment is made from."""
    digest = hashlib.sha256()
    for path in sorted(HERE.iterdir()):
        if path.suffix in (".py", ".txt"):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def is_ready(folder: Path, wanted: str) -> bool:
    """Whether a folder holds an environment that was made from these files."""
    ready = folder / READY
    return ready.is_file() and ready.read_text(encoding="utf-8") == wanted


def find_python() -> str | None:
    """Return a Python 3.12: the one that was named, one on the path, or one of pyenv's."""
    places = [os.environ.get("PYTHON312"), sys.executable, shutil.which("python3.12")]
    places += sorted(glob.glob(str(Path.home() / ".pyenv/versions/3.12.*/bin/python")))
    return next((place for place in places if place and _is_312(place)), None)


def _is_312(python: str) -> bool:
    test = "import sys; sys.exit(sys.version_info[:2] != (3, 12))"
    try:
        return subprocess.run([python, "-c", test], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def make_environment(python: str, venv: Path) -> None:
    """Install the pinned packages as they are listed: each names its version, and none brings others."""
    if not (venv / "bin/python").exists():
        subprocess.run([python, "-m", "venv", venv], check=True)
    pip = [venv / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--requirement", HERE / "requirements.txt"], check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
