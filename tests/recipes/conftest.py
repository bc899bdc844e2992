"""A Python environment of its own, into which a recipe's test installs a package and from which it runs ``gaitway``."""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import sys
import sysconfig
import textwrap
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 300


@dataclass(frozen=True)
class Answer:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as the one JSON document it must be."""
        return json.loads(self.out)


class Environment:
    """A virtual environment with everything this one has, to which packages are added.

    Commands run in processes of their own, so that a package is found as an installed one is, in the client and in
    the job that the client starts.
    """

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        """Where commands run; it is empty."""
        self._venv = folder.parent / "environment"
        self._home = home
        venv.create(self._venv, with_pip=False, symlinks=True)
        tag = f"python{sys.version_info.major}.{sys.version_info.minor}"
        self._site = self._venv / "lib" / tag / "site-packages"
        here = sysconfig.get_paths()["purelib"]
        (self._site / "development.pth").write_text(f"import site; site.addsitedir({here!r})\n")

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self._venv / "bin" / "python"

    def install(
        self, name: str, source: str | Mapping[str, str], entry_points: Mapping[str, Mapping[str, str]] | None = None
    ) -> Path:
        """Install a package, as a wheel's contents would lie in ``site-packages``.

        Args:
            name: Name of the distribution and of its module or package.
            source: Text of the one module, or texts by path inside the package (``__init__.py`` among them).
            entry_points: References by name, by group: ``{"gaitway.learners": {"mine": "my_package:LEARNER"}}``.

        Returns:
            The module's file, or the package's folder.
        """
        module = name.replace("-", "_")
        files = {f"{module}.py": source} if isinstance(source, str) else {f"{module}/{p}": t for p, t in source.items()}
        for path, text in files.items():
            target = self._site / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(textwrap.dedent(text))
        self._describe(name, entry_points or {})
        return self._site / (f"{module}.py" if isinstance(source, str) else module)

    def run(self, *words: str | Path, env: Mapping[str, str] | None = None) -> Answer:
        """Run the environment's Python with some arguments, in :attr:`folder`.

        Args:
            words: Arguments of the interpreter.
            env: Variables to set beside those that every command gets.
        """
        environ = {
            "PATH": os.defpath,
            "HOME": str(self.folder),
            "GAITWAY_HOME": str(self._home),
            "COLUMNS": "200",
            "NO_COLOR": "1",
            "OMP_NUM_THREADS": "1",
            **(env or {}),
        }
        done = subprocess.run(
            [self.python, *words], cwd=self.folder, env=environ, capture_output=True, text=True, timeout=TIMEOUT_S
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def gaitway(self, *words: str | Path, env: Mapping[str, str] | None = None) -> Answer:
        """Run ``gaitway`` with some arguments, in :attr:`folder`."""
        return self.run("-m", "gaitway", *words, env=env)

    def _describe(self, name: str, entry_points: Mapping[str, Mapping[str, str]]) -> None:
        info = self._site / f"{name.replace('-', '_')}-0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0\n")
        table = configparser.ConfigParser(delimiters=("=",), interpolation=None)
        table.optionxform = str  # type: ignore[assignment, method-assign]
        table.read_dict(entry_points)
        with (info / "entry_points.txt").open("w") as stream:
            table.write(stream)


@pytest.fixture
def environment(tmp_path: Path, home: Path) -> Environment:
    """Return an environment to install a plug-in in and to run ``gaitway`` from."""
    folder = tmp_path / "folder"
    folder.mkdir()
    return Environment(folder, home)
