"""A deployment as a Terraform state file, and stand-ins for every program that a step calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fakes import cluster_tools
from fakes.cluster_tools import ClusterTools, write_state

OUTPUTS = Path(__file__).parents[1] / "goldens" / "deploy" / "outputs.json"


@pytest.fixture
def outputs() -> dict[str, Any]:
    """Return the outputs of the stand-in deployment (deploy/001-iac/tests/stand_in)."""
    found: dict[str, Any] = json.loads(OUTPUTS.read_text())
    return found


@pytest.fixture
def deployment(tmp_path: Path, outputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let Terraform's outputs be those of the stand-in deployment."""
    folder = write_state(tmp_path / "iac", outputs)
    monkeypatch.setenv("GAITWAY_TERRAFORM_DIR", str(folder))
    return folder


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ClusterTools:
    """Let nothing be on PATH but the stand-ins."""
    found = cluster_tools.install(tmp_path / "tools")
    monkeypatch.setenv("PATH", f"{found.path}:/usr/bin:/bin")
    return found
