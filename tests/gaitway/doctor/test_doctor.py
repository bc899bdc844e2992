"""``gaitway doctor``: what is missing is found, named and given a fix, and nothing is changed by looking."""

import json
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from gaitway_runtime.spec.packages import install_command
from gaitway_runtime.spec.registry import Registry
from gaitway_runtime.spec.run_context import AzureContext

from gaitway.doctor import examine, machine, probe, services
from gaitway.doctor.examine import Check, missing, read_context
from gaitway.findings import Finding
from gaitway.platforms.azureml import doctor as azureml
from gaitway.settings.resolve import resolve


def table(**platforms: object) -> Registry[object]:
    """A table of platforms of its own."""
    made = Registry("gaitway.test_platforms", "platform", {})
    for name, platform in platforms.items():
        made.register(name, platform)
    return made


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder and no settings from outside."""
    monkeypatch.chdir(tmp_path)
    for name in ("GAITWAY_HOME", "MLFLOW_TRACKING_URI", "GAITWAY_PLATFORM", "GAITWAY_TERRAFORM_DIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def only(found: Iterator[Finding]) -> Finding:
    (finding,) = found
    return finding


def test_a_whole_look_changes_nothing_and_every_problem_has_a_fix(gaitway: Callable, alone: Path) -> None:
    ran = gaitway("doctor", "--json")
    assert list(alone.iterdir()) == []
    assert ran.json["platform"] == "local"
    assert ran.code == (0 if ran.json["ok"] else 3)
    by_check = {finding["check"]: finding for finding in ran.json["findings"]}
    looked_for = ("python", "packages local", "rendering", "mlflow store", "disk", "git", "terraform")
    assert set(looked_for) <= set(by_check)
    assert all(bool(finding["fix"]) is not finding["ok"] for finding in ran.json["findings"])
    assert by_check["python"]["required"]
    assert not by_check["terraform"]["required"]


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that puts its findings in the place of the real ones."""

    def put(*found: Finding, needed_on: tuple[str, ...]) -> None:
        monkeypatch.setattr(examine, "CHECKS", (Check(lambda at: iter(found), needed_on),))

    monkeypatch.setattr(examine, "PLATFORMS", table())
    return put


def test_what_the_platform_needs_decides_the_exit_code(gaitway: Callable, checks: Callable[..., None]) -> None:
    lack = Finding("package torch", False, "torch>=2.7 is needed, found none", "pip install 'gaitway[local]'")
    checks(lack, needed_on=("local",))
    ran = gaitway("doctor")
    assert ran.code == 3
    assert " ".join(ran.out.splitlines()[0].split()) == "MISSING package torch torch>=2.7 is needed, found none"
    assert "fix: pip install 'gaitway[local]'" in ran.out
    assert "local lacks: package torch" in ran.err
    elsewhere = gaitway("doctor", "--on", "osmo")
    assert elsewhere.code == 0
    assert elsewhere.out.startswith("note ")


class Elsewhere:
    """A platform that lacks its tool."""

    options = AzureContext

    def check(self, settings: object) -> list[Finding]:
        return [Finding("tool", False, "the tool is not installed", "install it")]


def test_another_platforms_needs_are_only_noted(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Elsewhere.options = type("Nothing", (), {"__dataclass_fields__": {}})
    monkeypatch.setattr(examine, "CHECKS", ())
    monkeypatch.setattr(examine, "PLATFORMS", table(elsewhere=Elsewhere()))
    for platform, lacking in (("local", 0), ("elsewhere", 1)):
        found = list(examine.examine(read_context(platform, alone, {}, {}, alone)))
        assert len(found) == 1
        assert len(missing(found)) == lacking


def test_a_package_that_is_missing_or_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = ["httpx>=0.27", 'pytest>=999 ; extra == "x"', 'no-such-package>=2 ; extra == "x"', 'click ; extra == "x"']
    monkeypatch.setattr(machine.metadata, "requires", lambda name: needs)
    whole, old, absent = machine.packages("x")
    assert whole.message.startswith("click ")
    assert (old.ok, absent.ok) == (False, False)
    assert "pytest>=999 is needed, found " in old.message
    assert absent.message == "no-such-package>=2 is needed, found none"
    assert absent.fix == install_command("x")


def test_a_store_is_looked_at_without_being_made(alone: Path) -> None:
    fresh = only(services.local_store(alone / "home"))
    assert fresh.ok
    assert "none yet" in fresh.message
    assert not (alone / "home").exists()


@pytest.mark.parametrize("name", ["walks?", "my%20robot"])
def test_a_folder_in_which_no_run_can_be_tracked_is_found(alone: Path, name: str) -> None:
    found = only(services.local_store(alone / name))
    assert not found.ok
    assert "the address of a database" in found.message
    assert "GAITWAY_HOME" in found.fix


@pytest.mark.parametrize("uri", ["./mlruns", "file:///srv/mlruns", "sqlite://mlflow.db"])
def test_a_store_that_every_run_here_refuses_is_missing_here(alone: Path, uri: str) -> None:
    told = list(examine.examine(read_context("local", alone, {}, {"MLFLOW_TRACKING_URI": uri}, alone)))
    assert [finding.check for finding in missing(told) if "tracking" in finding.check] == ["tracking server"]
    assert sum(finding.check == "tracking server" for finding in told) == 1


def test_a_broken_store_is_found(alone: Path) -> None:
    (alone / "mlflow.db").write_bytes(b"not a database" * 100)
    broken = only(services.local_store(alone))
    assert not broken.ok
    assert "mv " in broken.fix


def test_a_store_of_another_schema_is_found(alone: Path) -> None:
    with sqlite3.connect(alone / "mlflow.db") as database:
        for table in ("experiments", "runs", "model_versions"):
            database.execute(f"CREATE TABLE {table} (x)")
        database.execute("CREATE TABLE alembic_version (version_num)")
        database.execute("INSERT INTO alembic_version VALUES ('0123old')")
    database.close()
    old = only(services.local_store(alone))
    assert not old.ok
    assert "mlflow db upgrade" in old.fix


@pytest.fixture
def server() -> Iterator[Callable[..., str]]:
    """Return a function that gives the address of a server which answers everything with a status and a body."""
    started: list[HTTPServer] = []

    def start(status: int, body: str = "") -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *args: Any) -> None:
                pass

        started.append(HTTPServer(("127.0.0.1", 0), Answer))
        threading.Thread(target=started[-1].serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return f"127.0.0.1:{started[-1].server_port}"

    yield start
    for one in started:
        one.shutdown()
        one.server_close()


def test_a_server_whose_artifacts_need_a_package_that_is_missing_is_named(server: Callable[..., str]) -> None:
    experiment = {"experiment": {"experiment_id": "0", "artifact_location": "s3://ours/mlflow"}}
    uri = f"http://{server(200, json.dumps(experiment))}"
    answers, artifacts = services.tracking_server({"MLFLOW_TRACKING_URI": uri})
    assert answers.ok
    assert (artifacts.ok, artifacts.fix) == (False, "pip install boto3")
    assert artifacts.message == "its artifacts lie in s3://ours/mlflow, which needs boto3"


def test_a_tracking_server_is_asked_and_its_password_not_shown(server: Callable[..., str]) -> None:
    def look(uri: str) -> Finding:
        return only(services.tracking_server({"MLFLOW_TRACKING_URI": uri}))

    good = look(f"http://user:planted@{server(200)}")
    assert good.ok
    bad = look(f"http://user:planted@{server(503)}")
    assert not bad.ok
    assert "503" in bad.message
    gone = look("http://user:planted@127.0.0.1:9")
    assert "cannot be reached" in gone.message
    assert not [finding for finding in (good, bad, gone) if "planted" in repr(finding)]
    assert list(services.tracking_server({})) == []


def tool(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_terraform_is_looked_for_with_its_version(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(alone))
    absent = only(services.terraform())
    assert (absent.ok, "not installed" in absent.message) == (False, True)
    tool(alone, "terraform", 'echo \'{"terraform_version": "1.2.3"}\'')
    assert only(services.terraform()).message.startswith("terraform 1.2.3 ")
    tool(alone, "terraform", "echo 'no such flag' >&2; exit 2")
    assert "no such flag" in only(services.terraform()).message


def test_unreadable_outputs_do_not_stop_the_look(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    (alone / "terraform.tfstate").write_text("{")
    at = read_context("local", alone, {}, {}, alone)
    finding = only(services.terraform_outputs(at.outputs, at.problem))
    assert (finding.ok, "not readable JSON" in finding.message) == (False, True)
    assert at.settings(AzureContext)["azure_resource_group"].value is None


def test_a_sensitive_output_where_a_name_is_needed_is_a_finding(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    state = {"outputs": {"resource_group": {"value": {"name": "planted"}, "sensitive": True}}}
    (alone / "terraform.tfstate").write_text(json.dumps(state))
    at = read_context("local", alone, {}, {}, alone)
    finding = only(at.unusable(AzureContext))
    assert finding.check == "setting azure_resource_group"
    assert "planted" not in repr(finding)


def test_a_back_end_that_cannot_render_is_a_note_and_rays_take_its_place() -> None:
    finding = only(machine.first_that_draws({"PATH": ""}, ("no-such-back-end", "rays")))
    assert not finding.ok
    assert finding.message.startswith("films are drawn with rays, on the processor; no-such-back-end does not work: ")
    assert finding.fix
    assert only(machine.first_that_draws({}, ("rays",))).ok


def test_looking_needs_no_part_of_the_local_platform() -> None:
    code = "import sys; import gaitway.cli.machine; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "mujoco", "mlflow", "torch", "azure"} & set(done.stdout.split())


def test_a_program_that_hangs_is_given_up_on() -> None:
    assert probe.run(["sleep", "30"], timeout=0.1).failure == "no answer within 0.1 s"
    assert probe.run(["no-such-program"]).failure == "No such file or directory"


def test_what_is_installed_is_not_to_be_installed() -> None:
    """Azure's packages are there: names are all that its compute is not examined for."""
    (found,) = azureml.findings({})
    assert "azure_subscription_id" in found.message and found.fix == "gaitway config"


def test_the_workspace_needs_names_first() -> None:
    unset = resolve([AzureContext], {"azure_resource_group": "rg"}, environ={}, terraform_dir=None)
    finding = only(services.azure_workspace(unset, {}))
    assert finding.message == "not set: azure_subscription_id, azure_workspace_name"
    assert "--azure-workspace-name or GAITWAY_AZURE_WORKSPACE_NAME" in finding.fix


def test_the_workspace_is_asked_for_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def ask(module: str, environ: object, *words: str, timeout: float) -> tuple[bool, str]:
        asked.append((module, *words))
        return False, "no Azure identity works here"

    monkeypatch.setattr(services.probe, "ask", ask)
    monkeypatch.setattr(services, "find_spec", lambda name: name)
    names = {"azure_subscription_id": "s", "azure_resource_group": "rg", "azure_workspace_name": "w"}
    finding = only(services.azure_workspace(resolve([AzureContext], names, environ={}, terraform_dir=None), {}))
    assert asked == [("workspace", "s", "rg", "w")]
    assert (finding.ok, finding.message) == (False, "no Azure identity works here")
    assert finding.fix.startswith("az login")
