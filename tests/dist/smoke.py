"""Use of a built wheel outside the checkout: a bare install plans for every platform, one with ``[local]`` trains.

    python tests/dist/smoke.py dist

The folder holds one wheel, which was built from the source distribution beside it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = ROOT / "constraints.txt"
UV = Path(sys.executable).with_name("uv")
TASK = "Isaac-Cartpole-v0"
PLATFORMS: dict[str, tuple[str, ...]] = {
    "local": (),
    "osmo": ("--storage-uri", "azure://account/container/robots"),
    "azureml": ("--azure-subscription-id", "s", "--azure-resource-group", "rg", "--azure-workspace-name", "w"),
}
"""Flags without which a plan for a platform is refused."""


class Installed:
    """A virtual environment and an empty folder, both outside the checkout."""

    def __init__(self, folder: Path, name: str) -> None:
        self._venv = folder / f"venv-{name}"
        self._here = folder / f"folder-{name}"
        self._here.mkdir()
        venv.create(self._venv, with_pip=True)

    def install(self, *what: str) -> None:
        """Install packages at the versions of constraints.txt, with uv or, where it cannot, with pip."""
        words = ("install", "--quiet", "-c", str(CONSTRAINTS), *what)
        python = self._venv / "bin" / "python"
        done = subprocess.run([UV, "pip", words[0], "--python", python, *words[1:]], stderr=subprocess.DEVNULL)
        if done.returncode != 0:
            subprocess.run([python, "-m", "pip", "--disable-pip-version-check", *words], check=True)

    def gaitway(self, *words: str) -> str:
        """Run the installed command in the empty folder and return its standard output.

        Raises:
            subprocess.CalledProcessError: It failed.
        """
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return subprocess.run(
            [self._venv / "bin" / "gaitway", *words],
            cwd=self._here,
            env={**kept, "HOME": str(self._here)},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout


def main(dist: Path) -> None:
    """Install the wheel twice, bare and with ``[local]``, and use it.

    Raises:
        AssertionError: An answer is not what it should be.
        subprocess.CalledProcessError: An installation or a command failed.
    """
    began = time.monotonic()
    (wheel,) = dist.glob("*.whl")
    (_sdist,) = dist.glob("*.tar.gz")
    with tempfile.TemporaryDirectory() as folder:
        plan_everywhere(Installed(Path(folder), "bare"), wheel)
        train(Installed(Path(folder), "local"), wheel)
    print(f"{wheel.name} works outside the checkout ({time.monotonic() - began:.0f} s)")


def plan_everywhere(bare: Installed, wheel: Path) -> None:
    """Render a training for every platform with a bare install."""
    bare.install(str(wheel))
    print(f"bare install: {bare.gaitway('--version').strip()}")
    for platform, flags in PLATFORMS.items():
        words = ("train", "--task", TASK, "--on", platform, *flags, "--dry-run", "--json")
        plan = json.loads(bare.gaitway(*words))
        assert plan["request"]["platform"] == platform
        assert plan["plan"]["task"] == TASK
        print(f"  planned on {platform}: {plan['plan']['payload']['files']} files travel")


def train(local: Installed, wheel: Path) -> None:
    """Train Cartpole for two iterations with the extra ``local``."""
    pin = next(line for line in CONSTRAINTS.read_text().splitlines() if line.startswith("torch=="))
    local.install(pin)
    local.install(f"gaitway[local] @ {wheel.resolve().as_uri()}")
    words = ("train", "--task", TASK, "--num-envs", "16", "--max-iterations", "2", "--json")
    run = json.loads(local.gaitway(*words))
    assert run["status"] == "succeeded", run
    assert run["iterations"] == 2, run
    assert Path(run["final_checkpoint"]["path"]).is_file(), run
    print(f"  trained {TASK}: {run['final_checkpoint']['uri']}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
