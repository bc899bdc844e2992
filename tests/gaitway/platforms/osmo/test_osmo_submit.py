"""Submission: the seeds' examples, every release, payloads that are not sent twice, and what may go wrong."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes.osmo import OsmoService, Pod, log_in

from gaitway.errors import UsageError
from gaitway.platforms.osmo import client

TASK = "Isaac-Velocity-Rough-Anymal-C-v0"
AZURE = (
    "azure_client_id=11111111-2222-3333-4444-555555555555",
    "azure_tenant_id=tenant",
    "azure_subscription_id=subscription",
    "azure_resource_group=rg-example",
    "azure_workspace_name=mlw-example",
)
RELEASES = ("6.2.10", "6.3.1", "6.4.0")


def submitted(service: OsmoService) -> Any:
    """Return the only workflow that was accepted."""
    (found,) = (found for found in service.workflows.values() if found.spec)
    return found


def job_of(workflow: Any) -> dict[str, Any]:
    files = {file.path: file for file in workflow.tasks[0].spec.files}
    document: dict[str, Any] = json.loads(files["/tmp/gaitway/job.json"].contents)
    return document


# The older document's examples.


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        (("--task", TASK, "--max-iterations", "600"), "max_iterations", 600),
        (("--run-smoke-test",), "run_smoke_test", True),
        (("--sleep-after-unpack", "7200"), "sleep_after_unpack", 7200),
        (
            ("--checkpoint-uri", "runs:/0123abc/checkpoints/final", "--checkpoint-mode", "resume", "-m", "1200"),
            "checkpoint_mode",
            "resume",
        ),
    ],
)
def test_the_examples_with_azure_values_after_the_dashes(
    service: OsmoService, gaitway: Any, words: tuple[str, ...], field: str, value: Any
) -> None:
    ran = gaitway("train", "--on", "osmo", *words, "--", *AZURE)
    assert ran.code == 0, ran.err
    found = submitted(service)
    document = job_of(found)
    assert document["job"][field] == value
    azure = {"subscription_id": "subscription", "resource_group": "rg-example", "workspace_name": "mlw-example"}
    assert document["context"]["azure"] == azure | {"storage_account": None}
    environment = found.tasks[0].spec.environment
    assert (environment["AZURE_CLIENT_ID"], environment["AZURE_TENANT_ID"]) == (AZURE[0].partition("=")[2], "tenant")


@pytest.mark.parametrize("order", [(*AZURE, "--dry-run"), ("--dry-run", *AZURE)])
def test_a_dry_run_after_the_dashes_submits_nothing(service: OsmoService, gaitway: Any, order: tuple[str, ...]) -> None:
    ran = gaitway("train", "--on", "osmo", "--task", TASK, "--", *order)
    assert ran.code == 0, ran.err
    assert '"resource_group": "rg-example"' in ran.out
    assert service.requests == []


def test_flags_of_osmo_after_the_dashes_are_merged_not_dropped(service: OsmoService, gaitway: Any) -> None:
    words = ("--set", "num_envs=64", "--priority", "LOW", *AZURE, "--set-string", "seed=7", "--set-env", "A=b=c")
    assert gaitway("train", "--on", "osmo", "--", *words).code == 0
    found = submitted(service)
    job = job_of(found)
    assert (job["job"]["num_envs"], job["job"]["seed"]) == (64, 7)
    assert job["context"]["azure"]["resource_group"] == "rg-example"
    assert (found.priority, found.tasks[0].spec.environment["A"]) == ("LOW", "b=c")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--pol", "x"), "unknown option '--pol' for osmo workflow submit"),
        (("num_env=4",), "'num_env' is no variable of gaitway's workflow"),
        (("num_envs",), "'num_envs' is not of the form key=value"),
        (("azure_client_secret=hush",), "azure_client_secret holds a credential"),
    ],
)
def test_what_cannot_be_meant_after_the_dashes_is_refused(gaitway: Any, words: tuple[str, ...], message: str) -> None:
    ran = gaitway("train", "--on", "osmo", "--dry-run", "--", *words)
    assert ran.code in (2, 3)
    assert message in ran.err
    assert "hush" not in ran.err + ran.out


def test_the_kept_copies_unzip_to_the_payload(service: OsmoService, gaitway: Any, project: Path) -> None:
    ran = gaitway("train", "--on", "osmo", "--json")
    archive = (project / ".tmp/osmo-training.zip").read_bytes()
    assert base64.b64decode((project / ".tmp/osmo-training.b64").read_bytes()) == archive
    names = zipfile.ZipFile(io.BytesIO(archive)).namelist()
    assert names == ["gaitway_runtime/__init__.py", ".gaitway-payload.json"]
    mounted = {file.path: file for file in submitted(service).tasks[0].spec.files}["/tmp/gaitway/payload.zip"]
    assert base64.b64decode(mounted.contents) == archive
    assert ran.json["status"] in ("queued", "running", "succeeded")


# The newer document's examples.


@pytest.mark.parametrize("release", RELEASES, indirect=True)
def test_the_same_workflow_is_accepted_by_every_release(service: OsmoService, gaitway: Any) -> None:
    ran = gaitway("train", "--on", "osmo", "--task", TASK, "--platform", "gpu-node", "--pool", "default")
    assert ran.code == 0, ran.err
    assert submitted(service).id == "isaaclab-inline-training-1"


@pytest.mark.parametrize(
    "words",
    [
        ("--checkpoint-uri", "runs:/abc123/checkpoints/final/model_999.pt", "--task", "Isaac-Ant-v0"),
        (
            *("--checkpoint-uri", "models:/my-model/1", "--task", TASK, "--format", "onnx", "--num-envs", "8"),
            *("--max-steps", "1000", "--video-length", "300"),
        ),
        ("--checkpoint-uri", "runs:/abc123/checkpoints/final/model_99.pt", "--task", "Isaac-Ant-v0", "--format", "jit"),
        (
            *("--checkpoint-uri", "runs:/abc123/checkpoints/model_999.pt", "--azure-subscription-id", "0000"),
            *("--azure-resource-group", "rg-robotics", "--azure-workspace-name", "aml-robotics"),
        ),
    ],
)
def test_the_inference_examples(service: OsmoService, gaitway: Any, words: tuple[str, ...]) -> None:
    ran = gaitway("infer", "--on", "osmo", *words)
    assert ran.code == 0, ran.err
    job = job_of(submitted(service))
    assert (job["kind"], job["job"]["checkpoint_uri"]) == ("infer", words[1])
    assert submitted(service).id == "isaaclab-inference-1"


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (("infer", "-c", "runs:/abc123/checkpoints/final/model_999.pt"), "runs:/abc123/checkpoints/final/model_999.pt"),
        (("train", "-c", "models:/my-model/1", "-M", "warm-start"), "models:/my-model/1"),
        (("validate", "--task", TASK), "the registered model"),
    ],
)
def test_a_checkpoint_of_a_server_that_nobody_names_is_warned_of(
    service: OsmoService, gaitway: Any, words: tuple[str, ...], kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    verb, *more = words
    warning = f"nothing here names the MLflow server that keeps {kept}: unless the image or"
    planned = gaitway(verb, "--on", "osmo", *more, "--dry-run")
    assert planned.code == 0 and warning in planned.err + planned.out
    sent = gaitway(verb, "--on", "osmo", *more)
    assert sent.code == 0 and warning in sent.err + sent.out
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mine.db")  # of this machine: a task cannot ask it either
    local = gaitway(verb, "--on", "osmo", *more, "--dry-run")
    assert warning in local.err + local.out


@pytest.mark.parametrize(
    "named",
    [
        ("--tracking-uri", "https://mlflow.example.com"),
        ("--azure-subscription-id", "0000", "--azure-resource-group", "rg", "--azure-workspace-name", "mlw"),
        ("--", "azure_subscription_id=0000", "azure_resource_group=rg", "azure_workspace_name=mlw"),
        ("--", "--set-env", "MLFLOW_TRACKING_URI=https://mlflow.example.com"),
        ("--credential", "mlflow:MLFLOW_TRACKING_URI=uri"),
    ],
)
def test_any_way_of_naming_the_server_will_do(service: OsmoService, gaitway: Any, named: tuple[str, ...]) -> None:
    service.credentials.add("mlflow")
    ran = gaitway("infer", "--on", "osmo", "-c", "runs:/abc123/checkpoints/final", *named)
    assert ran.code == 0, ran.err
    assert "nothing here names the MLflow server" not in ran.err + ran.out


@pytest.mark.parametrize("release", RELEASES[:2], indirect=True)
def test_a_dataset_is_uploaded_once_per_content(
    service: OsmoService, gaitway: Any, project: Path, release: str
) -> None:
    service.cluster.runner = Pod.run
    training = project / "code"
    package = training / "gaitway_runtime"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    listing = "import os; print(sorted(os.listdir(os.environ['PAYLOAD_LINK'])), os.environ['PYTHONPATH'])"
    (package / "container.py").write_text(listing)
    (training / ".env").write_text("SECRET=1")
    words = ("--payload", "dataset", "--dataset-name", "my-training-v1", "--training-path", "code")
    for _ in range(2):
        ran = gaitway("train", "--on", "osmo", *words)
        assert ran.code == 0, ran.err
    info = service.datasets.info("training", "my-training-v1")
    assert [version["version"] for version in info["versions"]] == ["1"]
    first, second = service.workflows.values()
    for workflow in (first, second):
        service.wait(workflow.id, "COMPLETED")
        files = "['.gaitway-payload.json', 'gaitway_runtime']"
        assert any(f"{files} /data/my-training-v1/training" in line for line in workflow.lines)
    record = json.loads(next(project.parent.glob("gaitway-home/runs/*-2/osmo/submitted.json")).read_text())
    expected = {"kind": "dataset", "reused": True, "dataset": "training/my-training-v1", "version": "1", "uri": ""}
    assert record["payload"] == expected

    (package / "more.py").write_text("")
    assert gaitway("train", "--on", "osmo", *words).code == 0
    info = service.datasets.info("training", "my-training-v1")
    assert [version["version"] for version in info["versions"]] == ["1", "2"]


def test_a_bucket_that_there_is_not_is_one_sentence(service: OsmoService, gaitway: Any) -> None:
    ran = gaitway("train", "--on", "osmo", "--payload", "dataset", "--dataset-bucket", "trainings")
    assert ran.code == 3
    error = ran.err[ran.err.index("error:") :]
    assert error.splitlines()[:2] == ["error: Bucket trainings does not exist", "  from: --dataset-bucket"]
    assert "{" not in error
    assert service.workflows == {}


@pytest.mark.parametrize("release", ["6.4.0"], indirect=True)
def test_a_release_without_datasets_takes_an_upload(service: OsmoService, gaitway: Any) -> None:
    ran = gaitway("train", "--on", "osmo", "--payload", "dataset")
    assert (ran.code, "this OSMO has no datasets" in ran.err) == (3, True)
    assert service.workflows == {}
    for _ in range(2):
        words = ("--payload", "dataset", "--storage-uri", "s3://bucket/robots")
        assert gaitway("train", "--on", "osmo", *words).code == 0
    (uri,) = (uri for uri in service.storage.uploads if "/payloads/" in uri)
    assert uri.startswith("s3://bucket/robots/payloads/")
    inputs = next(iter(service.workflows.values())).tasks[0].spec.inputs
    assert inputs[0].url == uri


def test_an_upload_runs_from_where_it_is_unpacked(service: OsmoService, gaitway: Any, project: Path) -> None:
    service.cluster.runner = Pod.run
    package = project / "code/gaitway_runtime"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "container.py").write_text("import os; print('in', os.path.realpath('.'), os.environ['RUN_DIR'])")
    words = ("--payload", "upload", "--storage-uri", "s3://bucket/x", "--payload-root", "/workspace/elsewhere")
    assert gaitway("train", "--on", "osmo", "--training-path", "code", *words).code == 0
    found = service.wait(submitted(service).id)
    assert any(line.endswith("in /workspace/elsewhere /osmo/data/output") for line in found.lines), found.lines


# A template of the user's own.

OWN = """\
workflow:
  name: "{{ workflow_name }}"
  resources:
    default: {cpu: 1, gpu: 0}
  tasks:
  - name: main
    image: "{{ image }}"
    command: [echo]
    args: ["{{ task }}", "{{ extra }}", "{{output}}"]
    environment:
      ENCODED_ARCHIVE: "{{ encoded_archive }}"
      NUM_ENVS: "{{ num_envs }}"
default-values:
  workflow_name: my-own
  num_envs: 4096
"""


def own_template(project: Path, text: str = OWN) -> str:
    (project / "own.yaml").write_text(text)
    package = project / "code/gaitway_runtime"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    return "own.yaml"


def test_an_own_template_gets_the_values_and_keeps_its_defaults(
    service: OsmoService, gaitway: Any, project: Path
) -> None:
    words = ("--workflow", own_template(project), "--training-path", "code", "--task", "Isaac-Ant-v0")
    ran = gaitway("train", "--on", "osmo", *words, "--", "extra=more", "--set-env", "A=1")
    assert ran.code == 0, ran.err
    found = submitted(service)
    spec = found.tasks[0].spec
    assert (found.id, spec.args[:2]) == ("my-own-1", ["Isaac-Ant-v0", "more"])
    assert (spec.environment["NUM_ENVS"], spec.environment["A"]) == ("4096", "1")
    assert zipfile.ZipFile(io.BytesIO(base64.b64decode(spec.environment["ENCODED_ARCHIVE"]))).namelist()
    assert "{{ task }}" in found.template


def test_a_number_stays_a_number(service: OsmoService, gaitway: Any, project: Path) -> None:
    text = OWN.replace('"{{ extra }}"', '"{% for i in range(extra) %}{{ i }}{% endfor %}"')
    words = ("--workflow", own_template(project, text), "--training-path", "code")
    ran = gaitway("train", "--on", "osmo", *words, "--", "--set", "extra=3")
    assert ran.code == 0, ran.err
    assert submitted(service).tasks[0].spec.args[1] == "012"


def test_a_template_that_takes_no_payload_is_sent_none(service: OsmoService, gaitway: Any, project: Path) -> None:
    text = OWN.replace('      ENCODED_ARCHIVE: "{{ encoded_archive }}"\n', "")
    words = ("--workflow", own_template(project, text), "--training-path", "code")
    ran = gaitway("train", "--on", "osmo", *words, "--", "extra=x")
    assert ran.code == 0, ran.err
    assert "has no variable for one" in ran.err
    ran = gaitway("train", "--on", "osmo", *words, "--payload", "upload", "--dry-run", "--", "extra=x")
    assert ran.code == 0, ran.err


@pytest.mark.parametrize("release", ["6.3.1", "6.4.0"], indirect=True)
def test_a_folder_template_is_filled_on_every_release(service: OsmoService, gaitway: Any, project: Path) -> None:
    template = Path(__file__).parents[4] / "workflows/osmo/train-dataset.yaml"
    own_template(project)
    words = ("--workflow", str(template), "--training-path", "code", "--storage-uri", "s3://bucket/robots")
    ran = gaitway("train", "--on", "osmo", *words)
    assert ran.code == 0, ran.err
    first = submitted(service).tasks[0].spec.inputs[0]
    if service.has_datasets:
        assert first.dataset.name == "training/training-code"
        folder = service.datasets.folder("training", "training-code", "1")
        assert (folder / "training/gaitway_runtime/__init__.py").exists()
    else:
        assert first.url.startswith("s3://bucket/robots/payloads/")


def test_a_dry_run_handed_to_the_python_interface_is_never_submitted(service: OsmoService, project: Path) -> None:
    import gaitway

    with pytest.raises(UsageError, match="dry run"):
        gaitway.train(platform="osmo", forwarded=("--dry-run",))
    assert service.workflows == {}


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        (OWN, (), "'extra' is undefined"),
        (OWN, ("extra={{ 7 * 7 }}",), "OSMO would render '{{'"),
        (OWN, ("extra=x", "tsk=y"), "the workflow template has no variable 'tsk'"),
        (OWN + "more:\n  x: 1\n", ("extra=x",), "has a section 'more'"),
        (OWN.replace("[echo]", "[echo"), ("extra=x",), "the workflow is not YAML"),
        (OWN.replace("args", "argz"), ("extra=x",), "OSMO knows no 'argz' in a task"),
        (OWN.replace("{{ extra }}", "{{ extra "), ("extra=x",), "OSMO would refuse the template"),
    ],
)
def test_an_own_template_is_rendered_and_checked_here(
    gaitway: Any, project: Path, text: str, words: tuple[str, ...], message: str
) -> None:
    flags = ("--workflow", own_template(project, text), "--training-path", "code")
    ran = gaitway("train", "--on", "osmo", *flags, "--dry-run", "--", *words)
    assert (ran.code, message in ran.err) == (2, True), ran.err


@pytest.mark.parametrize("place", ["environment", "file"])
def test_a_payload_in_a_variable_is_refused_before_the_container_would(gaitway: Any, project: Path, place: str) -> None:
    files = "files: [{path: /tmp/a, contents: '{{ encoded_archive }}'}]\n    environment:"
    text = OWN if place == "environment" else OWN.replace("environment:", files)
    text = text if place == "environment" else text.replace('ENCODED_ARCHIVE: "{{ encoded_archive }}"', "A: b")
    path = own_template(project, text)
    noise = "".join(hashlib.sha256(str(index).encode()).hexdigest() for index in range(4000))
    (project / "code/noise.txt").write_text(noise)
    words = ("--workflow", path, "--training-path", "code", "--dry-run", "--", "extra=x")
    ran = gaitway("train", "--on", "osmo", *words)
    told = "variable ENCODED_ARCHIVE has" if place == "environment" else "the value of encoded_archive has"
    assert (ran.code, told in ran.err) == (2, True), ran.err


# What may go wrong.


def test_more_gpus_than_the_pool_has_would_wait_for_ever(service: OsmoService, gaitway: Any) -> None:
    ran = gaitway("train", "--on", "osmo", "--num-gpus", "64")
    assert (ran.code, "64 GPUs are asked for and no pool has as many" in ran.err) == (2, True)
    assert service.workflows == {}


def test_a_pool_that_may_not_be_looked_at_may_be_submitted_to(service: OsmoService, gaitway: Any) -> None:
    service.fail_next("pool_quota", 403)
    ran = gaitway("train", "--on", "osmo")
    assert ran.code == 0, ran.err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--pool", "nopool"), 2, "there is no pool 'nopool'"),
        (("--platform", "dgx"), 2, "Platform dgx does not exist in pool default"),
        (("--memory", "9000Gi"), 2, "9000Gi of memory are asked for, and the nodes of pool default have at most 512Gi"),
        (("--credential", "azcred:A=b"), 3, "Could not find the credential: azcred"),
    ],
)
def test_what_only_the_server_knows(
    service: OsmoService, gaitway: Any, words: tuple[str, ...], code: int, message: str
) -> None:
    ran = gaitway("train", "--on", "osmo", *words)
    assert (ran.code, message in ran.err) == (code, True), ran.err
    assert gaitway("runs", "--json").json == []
    assert service.workflows == {}, "no id is burnt"


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        ("down", 4, "OSMO cannot be reached"),
        ("expired", 3, "the OSMO login is missing or has expired"),
        ("logged out", 3, "the OSMO login is missing or has expired"),
        ("429", 4, "OSMO asks to slow down"),
        ("503", 4, "OSMO does not answer as it should"),
        ("not installed", 3, "the osmo command is not installed"),
    ],
)
def test_a_service_that_is_not_well_leaves_no_run_behind(
    service: OsmoService, gaitway: Any, tmp_path: Path, monkeypatch: Any, fault: str, code: int, message: str
) -> None:
    match fault:
        case "down":
            service.stop()
        case "expired":
            log_in(tmp_path / "login", service.url, token=True)
            service.login_expired = True
        case "logged out":
            (tmp_path / "login/login.yaml").unlink()
        case "not installed":
            monkeypatch.setenv("PATH", "/usr/bin:/bin")
        case _:
            service.fail_next("pool/default/workflow", int(fault))
    ran = gaitway("train", "--on", "osmo")
    assert (ran.code, message in ran.err) == (code, True), ran.err
    assert gaitway("runs", "--json").json == []


def test_a_service_that_does_not_answer_is_not_waited_for_without_end(
    service: OsmoService, gaitway: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(client, "TIMEOUT_S", 1.0)
    service.fall_silent("pool_quota")
    ran = gaitway("train", "--on", "osmo")
    assert (ran.code, "osmo pool list gave no answer in 1 s" in ran.err) == (4, True), ran.err


@pytest.mark.parametrize("release", ["6.3.1", "6.4.0"], indirect=True)
def test_labels(service: OsmoService, gaitway: Any, release: str) -> None:
    wrong = gaitway("train", "--on", "osmo", "--label", "team=Robots & co", "--dry-run")
    assert (wrong.code, "cannot be a label" in wrong.err) == (2, True), wrong.err
    ran = gaitway("train", "--on", "osmo", "--label", "team=legs", "--label", "example.com/site=b1", "--validate")
    if release == "6.3.1":
        assert (ran.code, "they came with release 6.4" in ran.err) == (2, True), ran.err
        assert service.workflows == {}
    else:
        assert ran.code == 0, ran.err
        assert submitted(service).labels == {"team": "legs", "example.com/site": "b1"}


def test_the_name_is_the_one_that_osmo_gave(service: OsmoService, gaitway: Any) -> None:
    service.fail_next("api/resources", 403)
    refused = gaitway("train", "--on", "osmo", "--memory", "9000Gi")
    assert (refused.code, "Resource validation failed for task" in refused.err) == (2, True), refused.err
    ran = gaitway("train", "--on", "osmo", "--json")
    assert ran.json["url"].endswith("/isaaclab-inline-training-2")
    assert service.workflows["isaaclab-inline-training-1"].status == "FAILED_SUBMISSION"


def test_one_flag_of_each_kind_and_the_file_first(
    service: OsmoService, gaitway: Any, project: Path, tmp_path: Path
) -> None:
    spy = tmp_path / "spy.txt"
    command = tmp_path / "bin/osmo"
    command.write_text(command.read_text().replace("exec", f'printf "%s\\n" "$*" >> {spy}\nexec'))
    flags = ("--workflow", own_template(project), "--training-path", "code", "--pool", "default")
    assert gaitway("train", "--on", "osmo", *flags, "--", "extra=x", "--set", "num_envs=4").code == 0
    (line,) = (line for line in spy.read_text().splitlines() if line.startswith("workflow submit"))
    words = line.split(" ")
    assert words[2] == "own.yaml"
    assert [words.count(flag) for flag in ("--set", "--set-string", "--pool")] == [1, 1, 1]
    assert (
        yaml.safe_load(submitted(service).text)["workflow"]["groups"][0]["tasks"][0]["environment"]["NUM_ENVS"] == "4"
    )
