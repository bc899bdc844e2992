"""Settings: who wins, what is shadowed, and what is said when a source is wrong."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from gaitway_runtime.spec.job import InferJob, TrainJob, ValidateJob
from gaitway_runtime.spec.run_context import AzureContext
from gaitway_runtime.spec.settings import setting

import gaitway
from gaitway.all_settings import entries
from gaitway.errors import ConfigError, UsageError
from gaitway.settings import terraform
from gaitway.settings.resolve import from_environment, resolve, terraform_folder
from gaitway.settings.values import Origin, document, require

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"


def outputs(**values: Any) -> dict[str, Any]:
    return {name: {"value": value, "type": "dynamic", "sensitive": False} for name, value in values.items()}


@pytest.fixture
def no_binary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terraform.shutil, "which", lambda name: None)


def state(folder: Path, values: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "terraform.tfstate").write_text(json.dumps({"version": 4, "outputs": values}))
    return folder


def test_command_line_then_environment_then_terraform_then_default(tmp_path: Path, no_binary: None) -> None:
    folder = state(tmp_path, outputs(resource_group={"name": "rg-tf"}))
    environ = {"AZURE_RESOURCE_GROUP": "rg-env"}
    found = resolve([AzureContext], {"azure_resource_group": "rg-cli"}, environ=environ, terraform_dir=folder)
    group = found["azure_resource_group"]
    assert (group.value, str(group.origin)) == ("rg-cli", "cli --azure-resource-group")
    assert [value for value, _ in group.shadowed] == ["rg-env", "rg-tf", None]
    assert [origin.layer for _, origin in group.shadowed] == ["env", "terraform", "default"]
    assert resolve([AzureContext], {}, environ=environ, terraform_dir=folder)["azure_resource_group"].value == "rg-env"
    third = resolve([AzureContext], {}, environ={}, terraform_dir=folder)["azure_resource_group"]
    assert str(third.origin) == f"terraform {folder}, output resource_group.value.name"


def test_terraform_is_not_asked_when_nothing_is_left_open(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Path] = []
    monkeypatch.setattr("gaitway.settings.resolve.read_outputs", lambda folder: asked.append(folder))
    every = {f"azure_{name}": "x" for name in ("subscription_id", "resource_group", "workspace_name")}
    resolve([AzureContext], {**every, "azure_storage_account": "x"}, environ={}, terraform_dir=tmp_path)
    resolve([TrainJob], {}, environ={}, terraform_dir=tmp_path)
    assert asked == []


def test_the_subscription_is_read_out_of_a_resource_id(tmp_path: Path, no_binary: None) -> None:
    cluster = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/a"
    folder = state(tmp_path, outputs(aks_cluster={"id": cluster, "name": "aks-a"}))
    found = resolve([AzureContext], {}, environ={}, terraform_dir=folder)
    assert found["azure_subscription_id"].value == SUBSCRIPTION


def test_a_bad_variable_is_named_when_it_wins_and_noted_when_it_does_not() -> None:
    environ = {"NUM_ENVS": "many"}
    with pytest.raises(UsageError) as caught:
        resolve([TrainJob], {}, environ=environ, terraform_dir=None)
    assert caught.value.source == "env NUM_ENVS"
    num_envs = resolve([TrainJob], {"num_envs": "8"}, environ=environ, terraform_dir=None)["num_envs"]
    assert num_envs.value == 8
    value, origin = num_envs.shadowed[0]
    assert value == "many"
    assert "not usable" in str(origin)


def test_a_variable_left_over_from_training_shows_in_an_inference_plan() -> None:
    task = resolve([InferJob], {}, environ={"TASK": "Isaac-Cartpole-v0"}, terraform_dir=None)["task"]
    assert (task.shown, str(task.origin)) == ("Isaac-Cartpole-v0", "env TASK")
    assert task.shadowed == (("Isaac-Ant-v0", Origin("default")),)


def test_an_empty_variable_says_nothing_and_none_says_none() -> None:
    environ = {"CHECKPOINT_URI": "  ", "MAX_ITERATIONS": "none"}
    found = resolve([TrainJob], {}, environ=environ, terraform_dir=None)
    assert found["checkpoint_uri"].origin == Origin("default")
    assert (found["max_iterations"].value, found["max_iterations"].origin.layer) == (None, "env")


@dataclass(frozen=True, kw_only=True)
class Access:
    token: str | None = setting(None, "A token.", env=("MY_TOKEN", "OLD_TOKEN"), terraform="token.value", secret=True)


def test_several_variables_are_read_in_order() -> None:
    found = resolve([Access], {}, environ={"OLD_TOKEN": "old", "MY_TOKEN": "new"}, terraform_dir=None)["token"]
    assert found.value.reveal() == "new"
    assert [str(origin) for _, origin in found.shadowed] == ["env OLD_TOKEN", "default"]


def test_a_sensitive_output_fills_secrets_only(tmp_path: Path, no_binary: None) -> None:
    hidden = {name: {**item, "sensitive": True} for name, item in outputs(token="s3cret").items()}
    folder = state(tmp_path, hidden)
    token = resolve([Access], {}, environ={}, terraform_dir=folder)["token"]
    assert token.value.reveal() == "s3cret"
    assert token.shown == "(set)"
    assert "s3cret" not in json.dumps(document({"token": token}))
    hidden = {name: {**item, "sensitive": True} for name, item in outputs(resource_group={"name": "s3cret"}).items()}
    with pytest.raises(ConfigError, match="sensitive") as caught:
        resolve([AzureContext], {}, environ={}, terraform_dir=state(tmp_path, hidden))
    assert "s3cret" not in "\n".join(caught.value.lines())


def test_a_folder_without_outputs_is_a_finding_that_names_what_is_not_set(tmp_path: Path, no_binary: None) -> None:
    for folder in (tmp_path / "missing", state(tmp_path / "empty", {})):
        found = resolve([AzureContext], {"azure_resource_group": "rg"}, environ={}, terraform_dir=folder)
        (finding,) = found.findings
        assert not finding.ok
        assert "azure_workspace_name" in finding.message
        assert "azure_resource_group" not in finding.message
        with pytest.raises(ConfigError) as caught:
            require(found, "azure_resource_group", "azure_workspace_name")
        ways = caught.value.allowed or ""
        assert "--azure-workspace-name" in ways
        assert "AZUREML_WORKSPACE_NAME" in ways
        assert str(folder) in ways


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"outputs": []}', '{"outputs": {"a": 1}}', '{"outputs": {"a": {}}}', "[" * 100_000, "\x00", "7"],
)
def test_a_hostile_state_file_is_a_configuration_error(text: str, tmp_path: Path, no_binary: None) -> None:
    (tmp_path / "terraform.tfstate").write_text(text)
    with pytest.raises(ConfigError):
        resolve([AzureContext], {}, environ={}, terraform_dir=tmp_path)


def test_an_output_of_the_wrong_shape_is_named(tmp_path: Path, no_binary: None) -> None:
    folder = state(tmp_path, outputs(resource_group={"name": {"nested": "x"}}))
    with pytest.raises(ConfigError) as caught:
        resolve([AzureContext], {}, environ={}, terraform_dir=folder)
    assert "resource_group.value.name" in (caught.value.source or "")
    found = resolve([AzureContext], {"azure_resource_group": "rg"}, environ={}, terraform_dir=folder)
    assert found["azure_resource_group"].value == "rg"


def test_the_folder_can_be_named() -> None:
    assert terraform_folder({}, {}) == Path("deploy/001-iac")
    assert terraform_folder({}, {"GAITWAY_TERRAFORM_DIR": "a"}) == Path("a")
    assert terraform_folder({"terraform_dir": "b"}, {"GAITWAY_TERRAFORM_DIR": "a"}) == Path("b")


def test_a_better_default_never_beats_the_user() -> None:
    named = resolve([TrainJob], {"num_envs": 2048}, environ={}, terraform_dir=None)["num_envs"]
    assert named.with_default(512, "2 cores").value == 2048
    open_ = resolve([TrainJob], {}, environ={}, terraform_dir=None)["num_envs"].with_default(512, "2 cores")
    assert (open_.value, str(open_.origin)) == (512, "local 2 cores")
    assert open_.shadowed[0] == (2048, Origin("default"))


def test_an_address_keeps_its_credential_apart() -> None:
    url = "https://acct.blob.core.windows.net/c/model.pt"
    signed = f"{url}?sv=2026-10-06&sig=abc%2Bdef"
    found = resolve([TrainJob], {}, environ={"CHECKPOINT_URI": signed}, terraform_dir=None)["checkpoint_uri"]
    assert found.value == url
    assert found.whole is not None
    assert found.whole.reveal() == signed
    assert "sig" not in repr(found) + json.dumps(document({"checkpoint_uri": found}))
    plain = resolve([TrainJob], {"checkpoint_uri": url}, environ={"CHECKPOINT_URI": signed}, terraform_dir=None)
    assert plain["checkpoint_uri"].whole is None
    assert "sig" not in repr(plain)


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity"])
def test_a_number_is_finite(text: str) -> None:
    with pytest.raises(UsageError, match="finite"):
        resolve([ValidateJob], {"success_threshold": text}, environ={}, terraform_dir=None)


@pytest.mark.parametrize("name", ["SEED", "ACTIVATION", "GATE", "SIMULATOR", "SWEEP", "MODEL_NAME", "SET_OVERRIDES"])
def test_variables_that_happen_to_exist_steer_nothing(name: str) -> None:
    items = [entry.item for entry in entries() if name in entry.item.info.env]
    assert items
    for item in items:
        assert name not in item.variables
        assert list(from_environment(item, {name: "7"})) == []
        own = f"GAITWAY_{item.key.upper()}"
        assert next(iter(from_environment(item, {own: "7"}))).origin.detail == own


def test_the_plan_names_variables_of_older_names_and_those_that_are_not_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in (("TASK", "Isaac-Ant-v0"), ("SEED", "7"), ("GAITWAY_NUM_ENVS", "5")):
        monkeypatch.setenv(name, value)
    plan = gaitway.plan("train").plan
    assert (plan.task, plan.settings["seed"].value, plan.settings["num_envs"].value) == ("Isaac-Ant-v0", 42, 5)
    assert "taken from the environment: TASK" in plan.notes
    assert "set in the environment and not read: SEED (GAITWAY_SEED is)" in plan.notes


@pytest.mark.parametrize(
    "value",
    ["<YOUR_SUBSCRIPTION_ID>", "your-subscription-id", "<id>", "changeme"],
)
def test_a_placeholder_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="is still the placeholder of an example") as refused:
        resolve([AzureContext], {}, environ={"AZURE_SUBSCRIPTION_ID": value}, terraform_dir=None)
    assert refused.value.source == "env AZURE_SUBSCRIPTION_ID"
    resolve([AzureContext], {"azure_subscription_id": SUBSCRIPTION}, environ={}, terraform_dir=None)
