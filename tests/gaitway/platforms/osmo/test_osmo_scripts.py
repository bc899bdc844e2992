"""The scripts of the instructions: thin doors to the command line, from wherever they are called."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from fakes.osmo import OsmoService
from fakes.osmo.service import LONGEST_S

ROOT = Path(__file__).parents[4]
TASK = ("--task", "Isaac-Velocity-Rough-Anymal-C-v0")


@pytest.fixture
def script(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a script in an empty folder, with the ``gaitway`` of these sources on PATH and a small payload."""
    command = tmp_path / "bin" / "gaitway"
    command.parent.mkdir(exist_ok=True)
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m gaitway "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'src'}:{ROOT / 'src/training'}")
    package = tmp_path / "code" / "gaitway_runtime"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.setenv("TRAINING_PATH", str(package.parent))
    monkeypatch.setenv("GAITWAY_TMP_DIR", str(project / ".tmp"))

    def run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(ROOT / name), *words], capture_output=True, text=True, timeout=LONGEST_S)

    return run


@pytest.mark.parametrize(
    ("name", "words", "workflow"),
    [
        ("scripts/submit-osmo-training.sh", TASK, "isaaclab-inline-training-1"),
        (
            "scripts/submit-osmo-dataset-training.sh",
            ("--dataset-bucket", "custom-bucket", "--dataset-name", "my-training-v1", *TASK),
            "isaaclab-dataset-training-1",
        ),
        (
            "scripts/submit-osmo-inference.sh",
            ("--checkpoint-uri", "runs:/abc123/checkpoints/final/model_999.pt", "--task", "Isaac-Ant-v0"),
            "isaaclab-inference-1",
        ),
        ("workflows/osmo/submit-training.sh", (*TASK, "-m", "600", "--", "azure_resource_group=rg"), None),
        ("workflows/osmo/example-submit.sh", (), None),
    ],
)
def test_a_script_submits(
    service: OsmoService, script: Any, project: Path, name: str, words: tuple[str, ...], workflow: str | None
) -> None:
    service.datasets.buckets.add("custom-bucket")
    done = script(name, *words)
    assert done.returncode == 0, done.stderr
    assert list(service.workflows) == [workflow or "isaaclab-inline-training-1"]
    archive = zipfile.ZipFile(io.BytesIO((project / ".tmp/osmo-training.zip").read_bytes()))
    assert archive.namelist() == ["gaitway_runtime/__init__.py", ".gaitway-payload.json"]


def test_a_dry_run_of_the_example_submits_nothing(service: OsmoService, script: Any) -> None:
    done = script("workflows/osmo/example-submit.sh", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert '"register_checkpoint": "isaaclab-anymal-latest"' in done.stdout
    assert service.requests == []


def test_a_command_is_typed_where_its_instructions_stand(
    service: OsmoService, script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT / "workflows/osmo")
    words = ("--workflow", "templates/isaaclab-inline.yaml", "--sleep-after-unpack", "7200", "--run-smoke-test")
    done = script("workflows/osmo/submit-training.sh", *words, "--", "azure_resource_group=rg-example", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "rg-example" in done.stdout
    assert "7200" in done.stdout
    assert service.requests == []


def test_help_is_the_commands_own(script: Any) -> None:
    done = script("workflows/osmo/submit-training.sh", "--help-all")
    assert done.returncode == 0
    for flag in ("--task", "--num-envs", "--max-iterations", "--image", "--payload-root", "--sleep-after-unpack"):
        assert flag in done.stdout
