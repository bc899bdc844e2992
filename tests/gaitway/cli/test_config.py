"""``gaitway config``: every setting with its origin, and the chain of one of them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gaitway.settings import terraform


@pytest.fixture(autouse=True)
def terraform_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a state file, and no Terraform to read it with."""
    monkeypatch.setattr(terraform.shutil, "which", lambda name: None)
    for name in ("AZURE_RESOURCE_GROUP", "NUM_ENVS", "TASK", "CHECKPOINT_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GAITWAY_TERRAFORM_DIR", "iac")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "iac").mkdir()
    state = {"outputs": {"resource_group": {"value": {"name": "rg-terraform"}}}}
    (tmp_path / "iac" / "terraform.tfstate").write_text(json.dumps(state))
    return tmp_path / "iac"


def test_explain_shows_every_layer_and_the_winner(gaitway: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_RESOURCE_GROUP", "rg-environment")
    ran = gaitway("config", "explain", "azure_resource_group", "--azure-resource-group", "rg-typed")
    assert ran.code == 0
    assert ran.out.splitlines() == [
        "azure_resource_group = rg-typed      from cli --azure-resource-group",
        "  Azure resource group.  (azure)",
        "  cli        rg-typed        ← used     --azure-resource-group",
        "  env        rg-environment  shadowed   AZURE_RESOURCE_GROUP",
        "  terraform  rg-terraform    shadowed   iac, output resource_group.value.name",
        "  default    —",
    ]
    without_flag = gaitway("config", "explain", "azure_resource_group").out
    assert "env        rg-environment  ← used" in without_flag
    monkeypatch.delenv("AZURE_RESOURCE_GROUP")
    assert "terraform  rg-terraform  ← used" in gaitway("config", "explain", "azure_resource_group").out


@pytest.mark.parametrize("word", ["azure_resource_group", "azure-resource-group", "AZURE_RESOURCE_GROUP"])
def test_a_setting_is_found_by_key_flag_or_variable(gaitway: Callable, word: str) -> None:
    (found,) = gaitway("config", "explain", word, "--json").json
    assert (found["key"], found["value"]) == ("azure_resource_group", "rg-terraform")
    assert [link["layer"] for link in found["chain"]] == ["terraform", "default"]


def test_an_unknown_setting_names_the_nearest(gaitway: Callable) -> None:
    ran = gaitway("config", "explain", "resorce_group")
    assert ran.code == 2
    assert "resource" in ran.err.splitlines()[1]


def test_a_setting_that_differs_between_jobs_is_explained_for_each(gaitway: Callable) -> None:
    found = gaitway("config", "explain", "num_envs", "--json").json
    assert {entry["of"]: entry["value"] for entry in found} == {
        "train, dump-contract, ship, register": 2048,
        "validate": 64,
        "infer": 4,
    }


def test_the_list_has_every_setting_with_its_origin(gaitway: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUM_ENVS", "16")
    found = {(entry["key"], entry["of"]): entry for entry in gaitway("config", "--json").json}
    assert found["num_envs", "infer"]["origin"] == "env NUM_ENVS"
    assert found["azure_resource_group", "azure"]["origin"] == "terraform iac, output resource_group.value.name"
    assert found["seed", "every job"]["origin"] == "default"
    line = next(line for line in gaitway("config").out.splitlines() if line.startswith("azure_resource_group"))
    assert line.split() == [
        "azure_resource_group",
        "azure",
        "rg-terraform",
        "terraform",
        "iac,",
        "output",
        "resource_group.value.name",
    ]


def test_a_value_that_does_not_fit_is_shown_and_is_the_exit_code(
    gaitway: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUM_ENVS", "many")
    ran = gaitway("config")
    assert ran.code == 2
    assert "not a whole number" in ran.out


def test_missing_outputs_are_told(gaitway: Callable, terraform_folder: Path) -> None:
    (terraform_folder / "terraform.tfstate").unlink()
    assert "iac: terraform is not installed" in gaitway("config").err
    assert "iac: terraform is not installed" in gaitway("config", "explain", "azure_resource_group").out


def test_a_signature_is_not_shown(gaitway: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHECKPOINT_URI", "https://a.blob.core.windows.net/c/model.pt?sig=planted")
    for words in ([], ["explain", "checkpoint_uri"], ["explain", "checkpoint_uri", "--json"], ["--json"]):
        ran = gaitway("config", *words)
        assert "planted" not in ran.out + ran.err
        assert "https://a.blob.core.windows.net/c/model.pt" in ran.out
