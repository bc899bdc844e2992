"""The real ``terraform`` on a real folder, and what happens without it."""

import json
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from gaitway_runtime.spec.run_context import AzureContext

from gaitway.all_settings import entries
from gaitway.errors import ConfigError
from gaitway.settings import terraform
from gaitway.settings.resolve import resolve
from gaitway.settings.terraform import read_outputs
from gaitway.settings.values import Secret

ID = "/subscriptions/1111-2222/resourceGroups/rg-real/providers/Microsoft.MachineLearningServices/workspaces/mlw-real"
CONFIGURATION = f"""
resource "terraform_data" "workspace" {{ input = "mlw-real" }}
output "resource_group" {{ value = {{ name = "rg-real", id = "x" }} }}
output "azureml_workspace" {{ value = {{ name = terraform_data.workspace.output, id = "{ID}" }} }}
output "osmo_admin_password" {{
  value     = "hunter2hunter2"
  sensitive = true
}}
"""

real = pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("iac")
    (folder / "main.tf").write_text(CONFIGURATION)
    for words in (["init", "-input=false"], ["apply", "-auto-approve", "-input=false"]):
        subprocess.run(["terraform", *words], cwd=folder, check=True, capture_output=True)
    return folder


@real
def test_outputs_of_a_real_configuration_fill_what_is_left_open(applied: Path) -> None:
    found = resolve([AzureContext], {}, environ={"AZURE_RESOURCE_GROUP": "rg-env"}, terraform_dir=applied)
    assert found["azure_workspace_name"].value == "mlw-real"
    assert found["azure_subscription_id"].value == "1111-2222"
    assert found["azure_resource_group"].value == "rg-env"
    assert found["azure_resource_group"].shadowed[0][0] == "rg-real"
    assert found["azure_storage_account"].value is None
    assert found.findings == ()
    password = read_outputs(applied).lookup("osmo_admin_password.value")
    assert isinstance(password, Secret)


@real
def test_without_the_tool_the_state_file_says_the_same(applied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_tool = resolve([AzureContext], {}, environ={}, terraform_dir=applied)
    monkeypatch.setattr(terraform.shutil, "which", lambda name: None)
    assert resolve([AzureContext], {}, environ={}, terraform_dir=applied) == with_tool


@real
def test_the_state_of_the_selected_workspace_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "main.tf").write_text('output "resource_group" { value = { name = "rg-${terraform.workspace}" } }')
    for words in (["init"], ["apply", "-auto-approve"], ["workspace", "new", "blue"], ["apply", "-auto-approve"]):
        subprocess.run(["terraform", *words], cwd=tmp_path, check=True, capture_output=True)
    assert read_outputs(tmp_path).lookup("resource_group.value.name") == "rg-blue"
    monkeypatch.setattr(terraform.shutil, "which", lambda name: None)
    assert read_outputs(tmp_path).lookup("resource_group.value.name") == "rg-blue"
    monkeypatch.setenv("TF_WORKSPACE", "default")
    assert read_outputs(tmp_path).lookup("resource_group.value.name") == "rg-default"


@real
def test_a_folder_that_was_never_applied_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(CONFIGURATION)
    finding = read_outputs(tmp_path).finding
    assert finding is not None
    assert "no outputs" in finding.message
    assert "apply" in finding.fix


@real
def test_a_back_end_that_is_not_initialised_is_a_finding_with_terraforms_own_reason(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text('terraform {\n  backend "azurerm" {}\n}\n')
    finding = read_outputs(tmp_path).finding
    assert finding is not None
    assert "initialization required" in finding.message


def tool(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for ``terraform`` that behaves as badly as the script says."""
    path = folder / "terraform"
    path.write_text(f"#!/bin/sh\necho x >> {folder}/calls\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(terraform.shutil, "which", lambda name: str(path))
    return folder


def test_only_stdout_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = json.dumps({"resource_group": {"value": {"name": "rg"}}})
    folder = tool(tmp_path, f"echo 'Warning: {{' >&2; echo '{answer}'", monkeypatch)
    found = resolve([AzureContext], {}, environ={}, terraform_dir=folder)
    assert found["azure_resource_group"].value == "rg"
    assert (tmp_path / "calls").read_text().count("x") == 1


def test_a_tool_that_hangs_is_given_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terraform, "TIMEOUT_S", 0.2)
    finding = read_outputs(tool(tmp_path, "exec sleep 30", monkeypatch)).finding
    assert finding is not None
    assert "no answer" in finding.message


@pytest.mark.parametrize("answer", ["{", "[]", '{"a": 1}', '"text"'])
def test_an_answer_of_another_form_is_a_configuration_error(
    answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError):
        read_outputs(tool(tmp_path, f"echo '{answer}'", monkeypatch))


def test_the_outputs_that_settings_read_are_declared_in_the_projects_own_configuration() -> None:
    text = (Path(__file__).resolve().parents[3] / "deploy" / "001-iac" / "outputs.tf").read_text(encoding="utf-8")
    offered = set(re.findall(r'^output "(\w+)"', text, re.MULTILINE))
    wanted = {path.partition(".")[0] for entry in entries() for path in entry.item.info.terraform}
    assert wanted
    assert wanted <= offered
