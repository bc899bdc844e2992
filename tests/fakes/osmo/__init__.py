"""A stand-in for NVIDIA OSMO: the service, its cluster and its ``osmo`` command.

It behaves as the real releases were measured to behave, traps included: two rounds of rendering, a strict schema,
limits that bite only after submission, greedy flags, exit codes that lie. A submitted workflow is really run.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .pod import Pod
from .service import OsmoService
from .workflow import Workflow

__all__ = ["OsmoService", "Pod", "Workflow", "install_command", "log_in"]


def install_command(folder: Path, release: str) -> Path:
    """Put an ``osmo`` of a release into a folder, for ``PATH``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "osmo"
    script = Path(__file__).with_name("cli")
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {script} {release} "$@"\n')
    path.chmod(0o755)
    return path


def log_in(folder: Path, url: str, *, token: bool = False) -> None:
    """Write the ``login.yaml`` that a login leaves behind."""
    folder.mkdir(parents=True, exist_ok=True)
    kind = "token_login: {id_token: x, refresh_token: x}" if token else "dev_login: {username: tester}"
    (folder / "login.yaml").write_text(f"url: {url}\n{kind}\n", encoding="utf-8")
    os.chmod(folder / "login.yaml", 0o600)
