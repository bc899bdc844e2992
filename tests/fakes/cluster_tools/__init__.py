"""Stand-ins for ``az``, ``kubelogin``, ``kubectl``, ``helm`` and ``osmo`` as the cluster's set-up calls them."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAMS = ("az", "kubelogin", "kubectl", "helm", "osmo")
_COMMAND = Path(__file__).with_name("command.py")


@dataclass(frozen=True)
class ClusterTools:
    """The stand-ins of one test: a folder for PATH, and what was asked of them."""

    folder: Path

    @property
    def path(self) -> str:
        """What to put on PATH."""
        return str(self.folder / "bin")

    def calls(self, *words: str) -> list[dict[str, Any]]:
        """Return the calls whose command line holds some words in this order, oldest first."""
        log = self.folder / "calls.jsonl"
        found = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return [call for call in found if " ".join(words) in " ".join(call["argv"])]

    def fail_at(self, words: str) -> None:
        """Let commands whose line holds some words fail, until told otherwise."""
        (self.folder / "fail").write_text(words)


def write_state(folder: Path, outputs: dict[str, Any]) -> Path:
    """Write outputs as Terraform keeps them."""
    folder.mkdir(exist_ok=True)
    (folder / "terraform.tfstate").write_text(json.dumps({"version": 4, "outputs": outputs}))
    return folder


def install(folder: Path) -> ClusterTools:
    """Make the stand-ins in a folder."""
    binaries = folder / "bin"
    binaries.mkdir(parents=True)
    for program in PROGRAMS:
        door = binaries / program
        door.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{_COMMAND}" "{folder}" {program} "$@"\n')
        door.chmod(0o755)
    os.symlink(sys.executable, binaries / "python3")
    return ClusterTools(folder)
