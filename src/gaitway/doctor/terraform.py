"""Terraform: the tool, and the outputs that fill settings."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator

from ..errors import GaitwayError
from ..findings import Finding
from ..settings.terraform import Outputs
from . import probe

INSTALL = "https://developer.hashicorp.com/terraform/install"


def tool() -> Iterator[Finding]:
    """Look for the binary and its version."""
    binary = shutil.which("terraform")
    if binary is None:
        message = "terraform is not installed; a state file is read instead, where there is one"
        yield Finding("terraform", False, message, f"install it ({INSTALL}), or name the settings by flag or variable")
        return
    answer = probe.run([binary, "version", "-json"], {**os.environ, "CHECKPOINT_DISABLE": "1"})
    try:
        version = json.loads(answer.output)["terraform_version"]
        yield Finding("terraform", True, f"terraform {version} ({binary})")
    except (ValueError, LookupError, TypeError):
        message = f"terraform does not tell its version: {answer.failure or 'no answer'}"
        yield Finding("terraform", False, message, f"install it anew ({INSTALL})")


def outputs(found: Outputs, problem: GaitwayError | None) -> Iterator[Finding]:
    """Tell what the folder's outputs offer."""
    if problem:
        yield Finding("terraform outputs", False, problem.message, problem.hint or f"look at {problem.source}")
        return
    yield found.finding or Finding("terraform outputs", True, f"{found.folder}: {', '.join(sorted(found.values))}")
