"""The project's root is found upwards, once, for runs, Terraform and the training path."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from gaitway_runtime.spec.files import default_home, project_root

import gaitway as interface


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("GAITWAY_HOME")
    root = tmp_path / "project"
    for folder in ("deploy/001-iac", "src/training", "docs/deep", "scripts"):
        (root / folder).mkdir(parents=True)
    (root / "src" / "training" / "mine.py").write_text("")
    outputs = {"resource_group": {"value": {"name": "rg-of-the-project"}, "type": "dynamic", "sensitive": False}}
    (root / "deploy/001-iac/terraform.tfstate").write_text(json.dumps({"version": 4, "outputs": outputs}))
    return root


@pytest.mark.parametrize("folder", [".", "docs", "docs/deep", "scripts"])
def test_a_command_means_the_same_in_every_folder(
    project: Path, folder: str, monkeypatch: pytest.MonkeyPatch, gaitway: Callable
) -> None:
    monkeypatch.chdir(project / folder)
    monkeypatch.setattr("shutil.which", lambda name, *rest: None if name == "terraform" else f"/usr/bin/{name}")
    assert project_root() == project
    assert default_home({}) == project / ".gaitway"
    plan = interface.plan("train", task="Isaac-Cartpole-v0")
    assert "mine.py" in {file.path for file in plan.submission.payload.files}
    [explained] = gaitway("config", "explain", "azure_resource_group", "--json").json
    assert explained["value"] == "rg-of-the-project"


def test_the_nearest_home_wins(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "docs" / ".gaitway").mkdir()
    monkeypatch.chdir(project / "docs" / "deep")
    assert default_home({}) == project / "docs" / ".gaitway"
    assert default_home({"GAITWAY_HOME": "~/runs"}) == Path.home() / "runs"


def test_a_folder_in_no_project_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_home({}) == tmp_path / ".gaitway"


def test_a_folder_that_is_gone_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gaitway: Callable
) -> None:
    monkeypatch.delenv("GAITWAY_HOME")
    gone = tmp_path / "gone"
    gone.mkdir()
    before = os.getcwd()
    os.chdir(gone)
    gone.rmdir()
    try:
        for words in (("runs",), ("train", "--dry-run"), ("config",), ("checkpoints",)):
            ran = gaitway(*words)
            assert (ran.code, "the current folder does not exist any more" in ran.err) == (3, True), ran.err
    finally:
        os.chdir(before)
