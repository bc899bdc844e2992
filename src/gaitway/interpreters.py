"""The Python that runs jobs on this machine: gaitway's own, or another one that has what they need."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from .errors import ConfigError

SOURCE = "--python"
_PATIENCE_S = 20.0
_QUESTION = "import importlib.util as i, sys; print(*[name for name in sys.argv[1:] if i.find_spec(name)])"


def interpreter(named: str | None) -> str:
    """Return the absolute path of the Python that runs jobs.

    A link is not followed: that of a virtual environment stands for the environment.

    Args:
        named: What the user named, a path or a command; gaitway's own Python when None.

    Raises:
        ConfigError: There is no such program.
    """
    if named is None:
        return sys.executable
    found = shutil.which(os.path.expanduser(named))
    if found is None:
        raise ConfigError(f"there is no Python at {named}", source=SOURCE, hint="name its executable: .../bin/python")
    return os.path.abspath(found)


def installed(named: str | None, packages: Sequence[str]) -> set[str]:
    """Return which of some packages a Python has, without importing any.

    Args:
        named: As for :func:`interpreter`.
        packages: Top-level names.

    Raises:
        ConfigError: It is no Python that can be asked.
    """
    program = interpreter(named)
    command = [program, "-c", _QUESTION, *packages]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=_PATIENCE_S, check=True, cwd=os.path.dirname(program)
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        reason = said.strip().splitlines()[-1] if said.strip() else "it does not answer"
        raise ConfigError(f"{program} is no Python that can run jobs: {reason}", source=SOURCE) from None
    return set(answer.stdout.split())
