"""Set-up steps of the cluster: commands, repetition, order, failures."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes.cluster_tools import ClusterTools, write_state
from gaitway_setup.__main__ import main
from gaitway_setup.steps import STEPS

from gaitway.platforms.azureml.options import AzuremlOptions, attached_name
from gaitway.platforms.osmo.options import DEFAULTS

pytestmark = pytest.mark.usefixtures("deployment", "tools")
TERRAFORM = shutil.which("terraform") or ""
ROOT = Path(__file__).resolve().parents[2]
SECRETS = ("database-word", "redis-word", "osmo-token-of-the-agent")


def set_up(*words: str) -> None:
    for name in STEPS:
        assert main([name, *words]) == 0


def say_done(home: Path, *names: str) -> None:
    """Write into the record that steps have been done."""
    steps = {name: {"plan": "", "done": [], "finished": "2026-01-01T00:00:00Z"} for name in names}
    document = {"cluster": "rg-gaitway-dev-001", "steps": steps}
    (home / "setup").mkdir(parents=True, exist_ok=True)
    (home / "setup" / "aks-gaitway-dev-001.json").write_text(json.dumps(document))


def test_every_step_in_order_on_a_new_cluster(
    tools: ClusterTools, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up()
    releases = [call["argv"][5] for call in tools.calls("upgrade --install")]
    assert releases == ["gpu-operator", "kai-scheduler", "osmo", "osmo-operator"]
    [attached] = tools.calls("az ml compute attach")
    assert attached_name("aks-gaitway-dev-001") in attached["argv"]
    record = json.loads((home / "setup" / "aks-gaitway-dev-001.json").read_text())
    assert list(record["steps"]) == list(STEPS)
    assert all(step["finished"] for step in record["steps"].values())
    reaches_nothing_else(tools, home)
    tells_no_secret(tools, home, "".join(capsys.readouterr()))


def reaches_nothing_else(tools: ClusterTools, home: Path) -> None:
    """No command can reach another cluster or subscription, or the user's own login."""
    file = str(home / "setup" / "aks-gaitway-dev-001.kubeconfig")
    for call in tools.calls():
        match call["argv"][0]:
            case "kubectl" | "helm" | "kubelogin":
                assert file in call["argv"]
            case "az" if call["argv"][1] != "extension":
                assert "00000000-0000-0000-0000-000000000000" in call["argv"]
            case "osmo":
                assert call["environ"]["OSMO_CONFIG_FILE_DIR"].startswith(str(home))


def tells_no_secret(tools: ClusterTools, home: Path, printed: str) -> None:
    """Passwords travel on standard input alone."""
    key = (tools.folder / "made" / "secret.osmo-encryption-key").read_text()
    fed = "".join(call["fed"] for call in tools.calls())
    told = printed + "".join(" ".join(call["argv"]) for call in tools.calls())
    kept = "".join(path.read_text() for path in (home / "setup").rglob("*") if path.is_file())
    for secret in (*SECRETS, key):
        assert secret in fed
        assert secret not in told + kept
    assert "late://" not in fed + told


def test_a_second_time_there_is_nothing_to_do(tools: ClusterTools, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gpu-operator"]) == 0
    asked = len(tools.calls())
    assert main(["gpu-operator"]) == 0
    assert "nothing to do: the GPU operator was set up at" in capsys.readouterr().err
    assert len(tools.calls()) == asked
    assert main(["gpu-operator", "--again"]) == 0
    assert len(tools.calls()) > asked


def test_a_changed_ground_is_something_to_do(
    tools: ClusterTools, deployment: Path, outputs: dict[str, Any], home: Path
) -> None:
    say_done(home, "gpu-operator", "scheduler")
    assert main(["azureml"]) == 0
    outputs["gpu_pools"]["value"]["h100"] = {"labels": {"gaitway/pool": "h100"}, "taints": []}
    write_state(deployment, outputs)
    asked = len(tools.calls("kubectl", "apply"))
    assert main(["azureml"]) == 0
    assert "name: h100" in "".join(call["fed"] for call in tools.calls("apply")[asked:])


def test_a_step_out_of_order_says_what_comes_first(tools: ClusterTools, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["azureml"]) == 3
    error = capsys.readouterr().err
    assert "the cluster as a compute of Azure ML needs the GPU operator first" in error
    assert "hint: deploy/002-setup/01-gpu-operator.sh, then this again" in error
    assert not tools.calls("az")


def test_what_is_missing_is_named_with_a_command_that_knows_it(
    tools: ClusterTools,
    deployment: Path,
    outputs: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    del outputs["aks_cluster"]
    write_state(deployment, outputs)
    assert main(["gpu-operator"]) == 3
    error = capsys.readouterr().err
    assert "cluster_name" in error and "aks_cluster" in error
    assert f"hint: terraform -chdir={deployment} apply" in error
    assert "gaitway config explain" not in error, "it knows nothing of the set-up's own settings"


def test_what_somebody_else_has_set_up_is_found_on_the_cluster(tools: ClusterTools, home: Path) -> None:
    assert main(["gpu-operator"]) == 0
    shutil.rmtree(home)
    assert main(["scheduler"]) == 0
    assert tools.calls("status gpu-operator")


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("azureml", "k8s-extension create"),
        ("azureml", "compute attach"),
        ("osmo-control-plane", "secret set"),
        ("osmo-control-plane", "upgrade --install osmo"),
        ("osmo-backend", "token set"),
        ("osmo-backend", "port-forward"),
        ("osmo-backend", "upgrade --install osmo-operator"),
    ],
)
def test_after_a_failure_the_same_command_goes_on(
    step: str, words: str, tools: ClusterTools, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    say_done(home, *STEPS[step].after)
    tools.fail_at(words)
    assert main([step]) == 4
    error = capsys.readouterr().err
    assert "ended with 1: ERROR: (Throttled) come back later" in error
    assert "run the same command again: it continues from here" in error
    made = len(tools.calls("create"))
    tools.fail_at("")
    assert main([step]) == 0
    assert "done before: " in capsys.readouterr().err or made == 0
    assert "late://" not in "".join(call["fed"] for call in tools.calls())


def test_the_encryption_key_is_made_once(tools: ClusterTools, home: Path) -> None:
    for _ in range(2):
        say_done(home, "gpu-operator", "scheduler")
        assert main(["osmo-control-plane"]) == 0
    assert len(tools.calls("secret set")) == 2


def test_removing_goes_from_the_last_to_the_first(
    tools: ClusterTools, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    say_done(home, *STEPS)
    assert main(["gpu-operator", "--remove"]) == 3
    assert "hint: first: deploy/002-setup/cleanup/04-osmo-control-plane.sh" in capsys.readouterr().err
    for name in reversed(STEPS):
        assert main([name, "--remove"]) == 0
    removed = [call["argv"][4] for call in tools.calls("uninstall")]
    assert removed == ["osmo-operator", "osmo", "kai-scheduler", "gpu-operator"]
    assert main(["azureml"]) == 3


def test_missing_outputs_are_named_with_what_they_would_have_filled(
    deployment: Path, outputs: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    del outputs["key_vault"], outputs["managed_redis_connection_info"]
    write_state(deployment, outputs)
    assert main(["osmo-control-plane", "--dry-run"]) == 3
    error = capsys.readouterr().err
    assert "key_vault and redis_host and redis_port and redis_secret are not set" in error
    assert "terraform output managed_redis_connection_info.value.hostname" in error


def test_no_outputs_at_all_say_which_folder_was_looked_at(deployment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (deployment / "terraform.tfstate").unlink()
    assert main(["gpu-operator"]) == 3
    error = capsys.readouterr().err
    assert "cluster_name" in error
    assert str(deployment) in error


def test_pools_of_another_form_are_refused(
    deployment: Path, outputs: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    outputs["gpu_pools"]["value"] = {"gpuspot": {"vm_size": "Standard_NV36ads_A10_v5"}}
    write_state(deployment, outputs)
    assert main(["azureml", "--dry-run"]) == 3
    assert "the Terraform output gpu_pools has another format" in capsys.readouterr().err


def test_a_missing_program_is_named_before_anything_runs(
    tools: ClusterTools, capsys: pytest.CaptureFixture[str]
) -> None:
    (Path(tools.path) / "helm").unlink()
    assert main(["gpu-operator"]) == 3
    assert "helm is not installed" in capsys.readouterr().err
    assert not tools.calls()


def test_osmo_refuses_a_scheduler_that_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["osmo-control-plane", "--scheduler", "volcano"]) == 2
    assert "OSMO needs the scheduler KAI" in capsys.readouterr().err


def test_with_volcano_the_extension_brings_none_of_its_own(tools: ClusterTools) -> None:
    for name in ("gpu-operator", "scheduler", "azureml"):
        assert main([name, "--scheduler", "volcano"]) == 0
    [extension] = tools.calls("k8s-extension create")
    assert "installVolcano=False" in extension["argv"]
    assert not [word for word in extension["argv"] if word.startswith("volcanoScheduler")]


def test_a_step_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["osmo-backnd"]) == 2
    assert "did you mean osmo-backend?" in capsys.readouterr().err


def test_an_instance_type_has_room_for_the_default_job_of_either_platform(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["azureml", "--dry-run"]) == 0
    text = capsys.readouterr().out
    objects = [yaml.safe_load(found) for found in re.findall(r"<<'END'\n(.*?)\nEND", text, re.DOTALL)]
    types = [found for found in objects if found["kind"] == "InstanceType"]
    size = {found["metadata"]["name"]: found["spec"]["resources"]["limits"] for found in types}
    asked = DEFAULTS["train"]
    assert AzuremlOptions.__dataclass_fields__["instance_type"].default in size
    assert all(limit["memory"] == asked.memory and int(limit["cpu"]) >= asked.cpu for limit in size.values())


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("remove", [False, True])
def test_a_dry_run_prints_every_command_and_does_nothing(
    name: str,
    remove: bool,
    tools: ClusterTools,
    home: Path,
    golden: Callable[[str, str], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([name, "--dry-run", *(["--remove"] if remove else [])]) == 0
    text = capsys.readouterr().out.replace(str(home), "HOME").replace(str(ROOT), "ROOT")
    golden(f"deploy/{STEPS[name].number:02d}-{name}{'-remove' if remove else ''}.txt", text)
    assert not tools.calls()
    assert not home.exists()


@pytest.mark.parametrize("name", STEPS)
def test_each_step_has_a_door_and_a_twin_that_takes_it_away(name: str, deployment: Path) -> None:
    door = ROOT / STEPS[name].script
    for script, title in ((door, ""), (door.parent / "cleanup" / door.name, "remove ")):
        environ = {"GAITWAY_PYTHON": sys.executable, "PATH": "/usr/bin:/bin", "GAITWAY_TERRAFORM_DIR": str(deployment)}
        done = subprocess.run([script, "--dry-run"], env=environ, capture_output=True, text=True, cwd="/", check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"# {STEPS[name].number:02d} {title}{STEPS[name].title}")


@pytest.mark.skipif(not TERRAFORM, reason="terraform is not installed")
def test_the_outputs_are_what_terraform_makes_of_the_projects_own_outputs(
    tmp_path: Path, golden: Callable[[str, str], None]
) -> None:
    folder = Path(shutil.copytree(ROOT / "deploy" / "001-iac", tmp_path / "whole")) / "tests" / "stand_in"
    quiet = ("-auto-approve", "-var", "subscription_id=00000000-0000-0000-0000-000000000000")
    for words in (["init"], ["apply", *quiet]):
        subprocess.run([TERRAFORM, *words], cwd=folder, check=True, capture_output=True)
    done = subprocess.run([TERRAFORM, "output", "-json"], cwd=folder, check=True, capture_output=True, text=True)
    golden("deploy/outputs.json", done.stdout)
