"""Status, logs, cancellation, downloads and checks of a job, and the errors that a user sees."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes.azureml import GROUP, SUBSCRIPTION, WORKSPACE, AzureCloud, colleagues
from fakes.azureml.computes import aml_compute, kubernetes
from fakes.azureml.server import Fault
from gaitway_runtime import container
from gaitway_runtime.process.attempt_mark import AttemptMark
from gaitway_runtime.process.copies import CheckpointCopier
from gaitway_runtime.spec.result import RESULT_MARK

from gaitway.errors import PlatformError
from gaitway.platforms.azureml import client, doctor, status
from gaitway.platforms.azureml.status import AzuremlJob
from gaitway.platforms.base import RunRef
from gaitway.settings.values import Origin, Setting

RUNTIME = Path(__file__).parents[3] / "fakes" / "runtime"
WORDS = ("--on", "azureml", "--task", "Isaac-Cartpole-v0", "--yes", "--json")
RATE = "agent.algorithm.learning_rate"
TRAIN = ("train", *WORDS, "--training-path", str(RUNTIME))


def job_of(cloud: AzureCloud, url: str) -> Any:
    return next(job for job in cloud.cluster.jobs.values() if f"/{job.name}?" in url)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_run_from_queued_to_done(cloud: AzureCloud, gaitway: Callable[..., Any], submitted: Any) -> None:
    cloud.cluster.held = True
    begun = submitted()
    job = job_of(cloud, begun["url"])
    queued = gaitway("status", begun["run"], "--json").json
    assert (queued["status"], queued["detail"].partition(",")[0]) == (
        "queued",
        "Azure ML says Queued: waiting for room on k8s-robots: gaitway doctor --on azureml",
    )
    job.warnings.append("The node pool gpuspot has no capacity.")
    reason = gaitway("status", begun["run"], "--json").json["detail"]
    assert reason == "Azure ML says Queued: The node pool gpuspot has no capacity"
    logs = gaitway("logs", begun["run"])
    assert (logs.out, f"is queued: {reason}" in logs.err) == ("", True)
    threading.Timer(0.3, setattr, (cloud.cluster, "held", False)).start()
    logs = gaitway("logs", begun["run"], "--follow")
    assert ("train 3/3 | reward 1.50" in logs.out.splitlines(), f"is queued: {reason}" in logs.err) == (True, True)
    cloud.cluster.wait(job.name)
    done = gaitway("status", begun["run"], "--json").json
    assert (done["status"], done["iterations"]) == ("succeeded", 3)
    assert done["url"].startswith(f"https://ml.azure.com/runs/{job.name}?wsid=/subscriptions/")
    assert [run["status"] for run in gaitway("runs", "--json").json] == ["succeeded"]
    log = gaitway("logs", begun["run"]).out.splitlines()
    assert "train 3/3 | reward 1.50" in log
    assert not [line for line in log if "gaitway-result" in line]


@pytest.mark.parametrize(
    ("do", "code", "said"),
    [("fail", 1, "it broke"), ("gate", 5, "the gate was not met"), ("crash", 1, "| about to crash")],
)
def test_how_it_failed_is_said(gaitway: Callable[..., Any], cloud: AzureCloud, do: str, code: int, said: str) -> None:
    ran = gaitway(*TRAIN, "--set", f"do={do}", "--follow")
    assert ran.code == code
    assert said in ran.json["detail"]


@pytest.mark.parametrize("bar", ["99%", "98%^99%", "99%^"])
def test_a_progress_bar_without_an_end_hides_no_result(
    gaitway: Callable[..., Any], cloud: AzureCloud, bar: str
) -> None:
    ran = gaitway(*TRAIN, "--set", f"bar={bar}", "--follow")
    assert (ran.code, ran.json["status"], ran.json["iterations"]) == (0, "succeeded", 3), ran.json["detail"]
    said = [ran.err, gaitway("logs", ran.json["run"]).out]
    assert all("99%" in text and "gaitway-result" not in text for text in said), said


@pytest.mark.parametrize("block", [16, 1 << 20])
def test_a_log_is_followed_without_gaps_or_repetitions(
    gaitway: Callable[..., Any], cloud: AzureCloud, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(client, "BLOCK", block)
    monkeypatch.setattr(status, "TAIL_BYTES", 10_000)
    ran = gaitway(*TRAIN, "--set", "report=yes", "--follow")
    job = job_of(cloud, ran.json["url"])
    lines = [line.rstrip("\n") for line in job.lines if "gaitway-result" not in line]
    assert [line for line in ran.err.splitlines() if line in lines] == lines


def test_a_log_is_followed_through_an_outage(
    gaitway: Callable[..., Any], cloud: AzureCloud, submitted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = submitted()
    job = job_of(cloud, begun["url"])
    cloud.cluster.wait(job.name)
    pauses: list[float] = []
    ref = RunRef(begun["run"], "azureml", job.name)

    def follow(attempts: int) -> list[str]:
        fault = Fault("GET .*/jobs/", 502, "BadGateway", "later", times=attempts * client.ATTEMPTS)
        cloud.endpoints.faults.append(fault)
        return list(status._job_logs(AzuremlJob(ref, Path(begun["run_dir"])), True, pauses.append))

    assert "train 3/3 | reward 1.50" in follow(3)
    assert pauses == [0.2, 0.4, 0.8]
    with pytest.raises(PlatformError, match="answers 502"):
        follow(status.PATIENCE)


@pytest.mark.parametrize("how", [403, 405])
def test_a_log_whose_size_is_not_told_is_no_log_without_a_result(
    gaitway: Callable[..., Any], cloud: AzureCloud, submitted: Any, monkeypatch: pytest.MonkeyPatch, how: int
) -> None:
    """Its beginning was read in place of its end."""
    begun = submitted()
    cloud.cluster.wait(job_of(cloud, begun["url"]).name)
    monkeypatch.setattr(client, "BLOCK", 4000)
    monkeypatch.setattr(status, "TAIL_BYTES", 4000)
    job_of(cloud, begun["url"]).lines.insert(0, "x" * 5000 + "\n")
    whole = httpx.Client.request

    def refuse(http: httpx.Client, method: str, url: str, **given: Any) -> httpx.Response:
        return httpx.Response(how) if method == "HEAD" else whole(http, method, url, **given)

    with monkeypatch.context() as patch:
        patch.setattr(httpx.Client, "request", refuse)
        asked = gaitway("status", begun["run"])
    assert (asked.code, f"the log cannot be read: HTTP {how}" in asked.err) == (4, True), asked.out
    ended = gaitway("status", begun["run"], "--json").json
    assert (ended["status"], ended["iterations"]) == ("succeeded", 3), ended["detail"]


def test_cancel_waits_until_azure_has(gaitway: Callable[..., Any], cloud: AzureCloud, submitted: Any) -> None:
    begun = submitted("do=wait")
    job = job_of(cloud, begun["url"])
    until(lambda: "ready\n" in job.lines)
    assert gaitway("status", begun["run"], "--json").json["status"] == "running"
    ended = gaitway("cancel", begun["run"], "--json")
    assert ended.json["status"] == "cancelled"
    assert job.status == "Canceled"
    assert sum("mfeOperationResults" in call for call in cloud.endpoints.seen) >= 1


def test_a_job_that_waits_is_cancelled(gaitway: Callable[..., Any], cloud: AzureCloud, submitted: Any) -> None:
    cloud.cluster.held = True
    begun = submitted()
    ended = gaitway("cancel", begun["run"], "--json")
    assert (ended.code, ended.json["status"], ended.json["detail"]) == (0, "cancelled", "it was cancelled"), ended.err
    assert job_of(cloud, begun["url"]).attempts == 0


def test_a_job_is_named_for_ever_and_never_the_beginning_of_another(cloud: AzureCloud, submitted: Any) -> None:
    names = [job_of(cloud, submitted()["url"]).name for _ in range(2)]
    assert len(set(names)) == 2
    assert len({len(name) for name in names}) == 1


def test_files_come_from_the_runs_own_list(
    gaitway: Callable[..., Any],
    cloud: AzureCloud,
    submitted: Any,
    project: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun = submitted()
    job = job_of(cloud, begun["url"])
    cloud.cluster.wait(job.name)
    for number in range(7):  # more than one page
        cloud.tracking.artifacts.put(job.name, f"metrics/{number}.json", b"%d" % number)
    cloud.tracking.artifacts.put(f"{job.name}b", "metrics/other.json", b"no")
    # The node that wrote it was taken away after the record was made and before the content was.
    cloud.tracking.artifacts.create(job.name, ["metrics/0-torn.json"])
    ran = gaitway("download", begun["run"], "--pattern", "metrics/*", "--into", "got", "--json")
    assert (ran.code, "metrics/0-torn.json was not written whole" in caplog.text) == (0, True), ran.err
    assert sorted(path.name for path in (project / "got" / "metrics").iterdir()) == [f"{n}.json" for n in range(7)]
    assert (project / "got" / "metrics" / "3.json").read_bytes() == b"3"
    ran = gaitway("download", begun["run"], "--pattern", "user_logs/*", "--into", "got")
    assert ran.code == 2, "Azure ML's own logs are no outputs"


def wrong_subscription(cloud: AzureCloud) -> tuple[str, ...]:
    return ("--subscription-id", "s-404")


def zeros(cloud: AzureCloud) -> tuple[str, ...]:
    return ("--subscription-id", "00000000-0000-0000-0000-000000000000")


def wrong_group(cloud: AzureCloud) -> tuple[str, ...]:
    return ("--resource-group", "rg-404")


def wrong_workspace(cloud: AzureCloud) -> tuple[str, ...]:
    return ("--workspace-name", "mlw-404")


def wrong_compute(cloud: AzureCloud) -> tuple[str, ...]:
    return ("--compute", "k8s-robot")


def wrong_instance(cloud: AzureCloud) -> tuple[str, ...]:
    return ("--instance-type", "h100")


def broken_compute(cloud: AzureCloud) -> tuple[str, ...]:
    cloud.workspace.computes["k8s-broken"] = {**kubernetes("gpuspot"), "provisioningState": "Failed"}
    return ("--compute", "k8s-broken")


def machines(cloud: AzureCloud) -> tuple[str, ...]:
    cloud.workspace.computes["cpu"] = aml_compute()
    return ("--compute", "cpu", "--instance-type", "h100")


def too_small(cloud: AzureCloud) -> tuple[str, ...]:
    cloud.workspace.computes["k8s-large"] = kubernetes("gpuspot", gpus=2)
    return ("--compute", "k8s-large", "--num-gpus", "4")


def too_many_nodes(cloud: AzureCloud) -> tuple[str, ...]:
    cloud.workspace.computes["low"] = aml_compute(most=2)
    return ("--compute", "low", "--num-nodes", "3")


def small_nodes(cloud: AzureCloud) -> tuple[str, ...]:
    cloud.workspace.computes["low"] = aml_compute()
    return ("--compute", "low", "--num-gpus", "2")


def default_size_elsewhere(cloud: AzureCloud) -> list[str]:
    return ["--compute", "serverless"]


def no_such_size(cloud: AzureCloud) -> tuple[str, ...]:
    return ("--compute", "serverless", "--instance-type", "Standard_NC24ads_A100_v5")


def no_gpu(cloud: AzureCloud) -> tuple[str, ...]:
    return ("--compute", "serverless", "--instance-type", "Standard_DS3_v2")


def never_spot(cloud: AzureCloud) -> tuple[str, ...]:
    size = "Standard_ND96isr_H100_v5"
    return ("--compute", "serverless", "--instance-type", size, "--job-tier", "Spot")


def little_quota(cloud: AzureCloud) -> tuple[str, ...]:
    cloud.workspace.cores["standardNCADSA100v4Family"] = 24
    return ("--compute", "serverless", "--instance-type", "Standard_NC96ads_A100_v4", "--num-gpus", "4")


def expired_login(cloud: AzureCloud) -> tuple[str, ...]:
    cloud.endpoints.login = False
    return ()


def no_quota(cloud: AzureCloud) -> tuple[str, ...]:
    cloud.cluster.quota = False
    return ()


def forbidden(cloud: AzureCloud) -> tuple[str, ...]:
    cloud.endpoints.faults.append(Fault("PUT .*/jobs/", 403, "AuthorizationFailed", "no action jobs/write", times=9))
    return ()


def unauthorized(cloud: AzureCloud) -> tuple[str, ...]:
    cloud.endpoints.faults.append(Fault("GET .*/workspaces/mlw-robots$", 401, "InvalidToken", "expired", times=9))
    return ()


def away(cloud: AzureCloud) -> tuple[str, ...]:
    cloud.endpoints.faults.append(Fault("GET .*/computes/", 503, "ServiceUnavailable", "later", times=9))
    return ()


def no_model(cloud: AzureCloud) -> tuple[str, ...]:
    return ("--task", "Isaac-Ant-v0")


def no_version(cloud: AzureCloud) -> tuple[str, ...]:
    cloud.tracking.register("walker")
    return ("--model-name", "walker", "--model-version", "7")


@pytest.mark.parametrize(
    ("verb", "arrange", "code", "parts"),
    [
        (
            "train",
            wrong_subscription,
            3,
            ["subscription s-404 does not exist", "azure_subscription_id = s-404 (cli --azure-sub"],
        ),
        ("train", zeros, 3, ["the subscription 00000000-0000-0000-0000-000000000000 is an example's", "(cli --azure-"]),
        (
            "train",
            wrong_group,
            3,
            ["resource group rg-404 does not exist", "azure_resource_group = rg-404 (cli --azure-resource-group)"],
        ),
        (
            "train",
            wrong_workspace,
            3,
            ["workspace mlw-404 does not exist", "azure_workspace_name = mlw-404 (cli --azure-work"],
        ),
        ("train", expired_login, 3, ["no Azure identity works here", "AADSTS7000222", "az login"]),
        ("train", unauthorized, 3, ["does not accept the login", "az login"]),
        (
            "train",
            forbidden,
            3,
            [
                "not allowed to do that in workspace mlw-robots",
                "(env AZUREML_WORKSPACE_NAME)",
                "Data Scientist on /sub",
            ],
        ),
        (
            "train",
            no_quota,
            4,
            ["quota is not enough", "azure_subscription_id = 00000000", "(env AZURE_SUBSCRIPTION_ID)"],
        ),
        ("train", wrong_compute, 2, ["no compute 'k8s-robot'", "(cli --compute)", "did you mean k8s-robots?"]),
        ("train", broken_compute, 4, ["k8s-broken is not usable: Failed"]),
        ("train", wrong_instance, 2, ["no instance type 'h100'", "(cli --instance-type)", "gpuspot, gpu"]),
        ("train", machines, 2, ["kind AmlCompute", "--instance-type none"]),
        ("train", too_small, 2, ["gpuspot has 2 GPUs, the job asks for 4", "num_gpus = 4 (cli --num-gpus)"]),
        ("train", too_many_nodes, 2, ["low has at most 2 nodes, the job asks for 3", "--num-nodes 2"]),
        ("train", small_nodes, 2, ["low has 1 GPU a node, the job asks for 2"]),
        ("train", no_such_size, 2, ["no VM size", "did you mean Standard_NC24ads_A100_v4?"]),
        (
            "train",
            default_size_elsewhere,
            2,
            [
                "no VM size 'Standard_NV36ads_A10_v5' in the workspace's region",
                "from: instance_type = Standard_NV36ads_A10_v5 (default on serverless compute)",
                "allowed: Standard_NC24ads_A100_v4, Standard_NC96ads_A100_v4, Standard_ND96isr_H100_v5",
                "hint: name one of them with --instance-type",
            ],
        ),
        ("train", no_gpu, 2, ["Standard_DS3_v2 has no GPU a node", "az ml compute list-sizes"]),
        ("train", never_spot, 2, ["Standard_ND96isr_H100_v5 is not offered as spot", "--job-tier Standard"]),
        ("train", little_quota, 4, ["standardNCADSA100v4Family has 24 cores left of 24, the job needs 96"]),
        ("train", away, 4, ["management.azure.com answers 503: later"]),
        ("validate", no_model, 2, ["no registered model 'isaac-ant-v0'", "task = Isaac-Ant-v0 (cli --task)"]),
        (
            "validate",
            no_version,
            2,
            ["walker has no version 7", "(cli --model-version)", "allowed: 1"],
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_value_and_origin(
    gaitway: Callable[..., Any], cloud: AzureCloud, home: Path, verb: str, arrange: Any, code: int, parts: list[str]
) -> None:
    jobs = len(cloud.cluster.jobs)
    extra = arrange(cloud)
    ran = gaitway(verb, *TRAIN[1:], *extra)
    assert ran.code == code, ran.err
    assert all(part in ran.err for part in parts), ran.err
    assert len(cloud.cluster.jobs) == jobs, "nothing was submitted"
    assert not list((home / "runs").glob("*")), "nothing is left behind"


def test_without_a_workspace_every_way_to_set_one_is_named(
    gaitway: Callable[..., Any], cloud: AzureCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_RESOURCE_GROUP")
    monkeypatch.delenv("AZUREML_COMPUTE")
    ran = gaitway(*TRAIN)
    assert ran.code == 3
    assert "azure_resource_group is not set" in ran.err
    allowed = next(line for line in ran.err.splitlines() if "allowed:" in line)
    assert "--azure-resource-group" in allowed
    assert " AZURE_RESOURCE_GROUP" in allowed


def test_a_token_goes_to_no_other_host(cloud: AzureCloud) -> None:
    at = client.Azure(client.AzureWorkspace(dict.fromkeys(client._KEYS.values(), "x"), {}))
    for elsewhere in ("https://evil.example/jc:1", "http://management.azure.com/jc:1"):
        with pytest.raises(PlatformError, match="another host"):
            at._further(elsewhere, client.MANAGEMENT)


def test_a_job_whose_making_got_no_answer_is_not_lost(gaitway: Callable[..., Any], cloud: AzureCloud) -> None:
    """The client asks again, and hears that the name is taken."""
    before = len(cloud.cluster.jobs)
    lost = Fault("PUT .*/jobs/", 500, "InternalServerError", "lost on its way", done=True)
    cloud.endpoints.faults.append(lost)
    cloud.cluster.held = True  # a job that has failed by the time of the second question is told of at once
    ran = gaitway(*TRAIN, "--set", "do=fail")
    assert (ran.code, len(cloud.cluster.jobs)) == (0, before + 1), ran.err
    cloud.cluster.held = False
    job = job_of(cloud, ran.json["url"])
    cloud.cluster.wait(job.name)
    assert gaitway("status", ran.json["run"], "--json").json["status"] == "failed"
    lost.times, cloud.cluster.held = 1, True
    again = gaitway("restart", ran.json["run"])
    assert (again.code, len(cloud.cluster.jobs)) == (0, before + 2), again.err
    cloud.cluster.held = False
    cloud.cluster.wait(list(cloud.cluster.jobs)[-1])


def test_a_job_that_cannot_be_looked_for_is_found_later(
    gaitway: Callable[..., Any], cloud: AzureCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.endpoints.faults += [
        Fault("PUT .*/jobs/", 500, "InternalServerError", "lost on its way", done=True),
        Fault("GET .*/jobs/", 503, "ServiceUnavailable", "later", times=client.ATTEMPTS),
    ]
    ran = gaitway(*TRAIN, "--name", "late")
    assert (ran.code, "did not say whether it took the job" in ran.err) == (4, True), ran.err
    for name in ("AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "AZUREML_WORKSPACE_NAME"):
        monkeypatch.delenv(name)  # the record of the submission knows the workspace
    found = gaitway("status", "late", "--json").json
    assert found["status"] in ("queued", "running", "succeeded"), found
    job = job_of(cloud, found["url"])
    cloud.cluster.wait(job.name)
    assert gaitway("status", "late", "--json").json["iterations"] == 3


def test_an_environment_with_another_image_is_not_used(gaitway: Callable[..., Any], cloud: AzureCloud) -> None:
    words = ("--environment-name", "shared", "--environment-version", "1")
    assert gaitway(*TRAIN, *words).code == 0
    ran = gaitway(*TRAIN, *words, "--image", "mine/isaac:1")
    assert ran.code == 2
    assert "environment shared:1 holds another image: nvcr.io/nvidia/isaac-lab:2.2.0" in ran.err


def test_a_busy_service_is_asked_again(gaitway: Callable[..., Any], cloud: AzureCloud) -> None:
    cloud.endpoints.faults += [
        Fault("GET .*/computes/", 429, "TooManyRequests", "slow down", times=2, headers={"Retry-After": "0"}),
        Fault("GET .*/environments/", 500, "InternalServerError", "once", times=1),
        Fault("GET .*/codes/", after=0.2),
    ]
    assert gaitway(*TRAIN).code == 0


def test_a_busy_service_is_asked_when_it_wants_to_be(cloud: AzureCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LONGEST_PAUSE_S", 600.0)
    then = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=300), usegmt=True)
    for header in ("7", then, "soon"):
        cloud.endpoints.faults.append(
            Fault("GET .*/workspaces/", 429, "TooManyRequests", "slow", headers={"Retry-After": header})
        )
    names = {"azure_subscription_id": SUBSCRIPTION, "azure_resource_group": GROUP, "azure_workspace_name": WORKSPACE}
    pauses: list[float] = []
    client.Azure(client.AzureWorkspace(names, names), pauses.append).get("")
    first, second, third = pauses
    assert (first, 200 < second <= 300, third) == (7.0, True, 4.0)


def test_the_doctor_looks_at_the_compute(gaitway: Callable[..., Any], cloud: AzureCloud) -> None:
    found = {item["check"]: item for item in gaitway("doctor", "--on", "azureml", "--json").json["findings"]}
    assert (found["azureml compute"]["ok"], "Kubernetes" in found["azureml compute"]["message"]) == (True, True)


def test_a_sandbox_of_files_that_git_would_ignore_is_shipped_whole(
    cloud: AzureCloud, gaitway: Callable[..., Any], project: Path
) -> None:
    """The client would leave out what a .gitignore among the files names; the payload was chosen before."""
    own = project / "own"
    own.mkdir()
    (own / ".gitignore").write_text("*.dat\n")
    (own / "table.dat").write_text("1")
    ran = gaitway(*TRAIN, "--with", str(own / "table.dat"), "--with", str(own / ".gitignore"))
    assert ran.code == 0, ran.err
    job = job_of(cloud, ran.json["url"])
    cloud.cluster.wait(job.name)
    assert (job.pod.root / "workspace/wd/table.dat").read_text() == "1"


def test_checkpoints_are_kept_as_they_are_made_and_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "made", tmp_path / "kept"
    (source / "final").mkdir(parents=True)
    (source / "model_0.pt").write_bytes(b"0")
    copier = CheckpointCopier(source, target, AttemptMark("mine"))
    copier.copy()
    first = (target / "model_0.pt").stat().st_ino
    (source / "final" / "model_9.pt").write_bytes(b"9")
    copier.copy()
    assert (target / "final" / "model_9.pt").read_bytes() == b"9"
    assert (target / "model_0.pt").stat().st_ino == first
    CheckpointCopier(source, source / "model_0.pt", AttemptMark("mine")).copy()
    assert "nothing could be copied to" in capsys.readouterr().err


def test_only_the_first_of_several_processes_keeps_and_tells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "result.json").write_text("{}")
    environ = {"CHECKPOINT_OUTPUT": str(tmp_path / "kept")}
    assert container.copier_for(tmp_path, {**environ, "RANK": "0"}) is not None
    assert container.copier_for(tmp_path, {**environ, "RANK": "3"}) is None
    container.report(tmp_path, {"RANK": "3"})
    assert capsys.readouterr().out == ""
    container.report(tmp_path, {"RANK": "0"})
    assert capsys.readouterr().out.startswith(RESULT_MARK)


def test_a_run_of_ones_own_is_never_a_colleagues(gaitway: Callable[..., Any], cloud: AzureCloud) -> None:
    """Five colleagues have runs of the same name in the same experiment, with better rewards."""
    cloud.cluster.held = True
    begun = gaitway(*TRAIN, "--name", "shared-name")
    colleagues.add_runs(cloud.tracking, "isaaclab-rsl-rl-Isaac-Cartpole-v0", "shared-name")
    job = job_of(cloud, begun.json["url"])
    ran = gaitway("checkpoints", "shared-name", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["checkpoints"] == []
    for reference in ("shared-name@latest", "shared-name@best"):
        ran = gaitway("infer", "--on", "azureml", "-c", reference, "--dry-run")
        assert (ran.code, "has no checkpoint yet" in ran.err) == (2, True)
    cloud.tracking.open_run(job.name, job.experiment)
    cloud.tracking.artifacts.put(job.name, "checkpoints/model_7.pt", b"mine")
    job_tags = {"task": "Isaac-Cartpole-v0", "gaitway.platform": "azureml"}
    for key, value in job_tags.items():
        cloud.tracking.ask("runs/set-tag", {"run_id": cloud.tracking.run_ids[job.name], "key": key, "value": value})
    assert "--on azureml" in gaitway("checkpoints", "shared-name").err.splitlines()[-1]
    listed = gaitway("checkpoints", "shared-name", "--json").json["checkpoints"]
    assert [line["uri"] for line in listed] == [f"runs:/{job.name}/checkpoints/model_7.pt"]
    cloud.cluster.held = False
    cloud.cluster.wait(job.name)


def test_a_low_priority_cluster_takes_a_job_without_an_instance_type(
    gaitway: Callable[..., Any], cloud: AzureCloud
) -> None:
    cloud.workspace.computes["low-priority"] = aml_compute(nodes=0)
    cloud.cluster.held = True
    ran = gaitway(*TRAIN, "--compute", "low-priority")
    assert ran.code == 0, ran.err
    job = job_of(cloud, ran.json["url"])
    assert "instanceType" not in job.properties["resources"]
    queued = gaitway("status", ran.json["run"], "--json").json["detail"]
    assert queued == ("Azure ML says Queued: low-priority has 0 of at most 4 low-priority nodes (none up), resizing")
    cloud.cluster.held = False
    cloud.cluster.wait(job.name)


def test_serverless_compute_needs_no_compute(
    gaitway: Callable[..., Any], cloud: AzureCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZUREML_COMPUTE")
    ran = gaitway(*TRAIN, "--instance-type", "Standard_NC24ads_A100_v4", "--job-tier", "Spot")
    assert ran.code == 0, ran.err
    assert "serverless compute: Standard_NC24ads_A100_v4, tier Spot, identity user_identity" in ran.err
    job = job_of(cloud, ran.json["url"])
    assert not job.properties.get("computeId")
    assert job.properties["queueSettings"]["jobTier"] == "Spot"
    cloud.cluster.wait(job.name)


def test_a_location_that_tells_nothing_stops_nobody(gaitway: Callable[..., Any], cloud: AzureCloud) -> None:
    cloud.endpoints.faults += [Fault("GET .*/locations/", 403, "AuthorizationFailed", "no", times=9)]
    ran = gaitway(*TRAIN, "--compute", "serverless", "--instance-type", "Standard_NC24ads_A100_v4")
    assert ran.code == 0, ran.err


def test_services_of_a_running_job_are_in_its_status(gaitway: Callable[..., Any], cloud: AzureCloud) -> None:
    ran = gaitway(*TRAIN, "--set", "do=wait", "--services", "vscode,tensorboard")
    assert ran.code == 0, ran.err
    job = job_of(cloud, ran.json["url"])
    until(lambda: "ready\n" in job.lines)
    detail = gaitway("status", ran.json["run"], "--json").json["detail"]
    assert "vs_code: https://" in detail
    assert "tensor_board: https://" in detail
    gaitway("cancel", ran.json["run"])


def test_the_doctor_looks_at_instance_type_storage_and_registry(gaitway: Callable[..., Any], cloud: AzureCloud) -> None:
    cloud.workspace.computes["k8s-bare"] = kubernetes("gpu")
    found = findings_of(cloud, compute="k8s-bare")
    assert found["azureml compute"] == (False, "k8s-bare has no instance type gpuspot; it has gpu")
    assert found["azureml storage"][0]
    cloud.endpoints.faults.append(Fault("GET .*/models$", 403, "AuthorizationFailed", "no action models/read", times=9))
    assert not findings_of(cloud, compute="k8s-robots")["azureml models"][0]


def findings_of(cloud: AzureCloud, compute: str) -> dict[str, tuple[bool, str]]:
    """Return the doctor's findings for a compute."""
    values = {
        "azure_subscription_id": SUBSCRIPTION,
        "azure_resource_group": GROUP,
        "azure_workspace_name": WORKSPACE,
        "compute": compute,
        "instance_type": "gpuspot",
    }
    settings = {key: Setting(key, value, Origin("cli")) for key, value in values.items()}
    return {finding.check: (finding.ok, finding.message) for finding in doctor.findings(settings)}


def test_all_jobs_of_the_workspace_are_listed_and_one_is_adopted(
    gaitway: Callable[..., Any], cloud: AzureCloud, submitted: Any, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    begun = [submitted() for _ in range(7)]  # more than one page
    jobs = [job_of(cloud, run["url"]) for run in begun]
    jobs[0].owner = "ada"
    for job in jobs:
        cloud.cluster.wait(job.name)
    monkeypatch.setenv("GAITWAY_HOME", str(project / "another"))
    listed = gaitway("runs", "--on", "azureml", "--all", "--json").json
    mine = [row for row in listed if row["id"] in {job.name for job in jobs}]
    assert [row["id"] for row in mine] == [job.name for job in jobs], "newest last"
    assert (mine[0]["user"], mine[0]["status"], mine[0]["run"]) == ("ada", "succeeded", None)
    adopted = gaitway("adopt", jobs[-1].name, "--on", "azureml", "--json")
    assert adopted.code == 0, adopted.err
    assert gaitway("status", adopted.json["run"], "--json").json["status"] == "succeeded"


def test_a_sweep_is_submitted_and_each_trial_gets_its_values(cloud: AzureCloud, gaitway: Any) -> None:
    ran = gaitway("sweep", *TRAIN, "--vary", f"{RATE}=1e-3,1e-2", "--vary", "max_iterations=3,4", "--name", "s")
    assert ran.code == 0, ran.err
    assert (ran.json["kind"], ran.json["next"]) == ("sweep", "gaitway sweep show s")
    job = job_of(cloud, ran.json["url"])
    cloud.cluster.wait(job.name)
    said = [line for child in cloud.cluster.children(job) for line in child.lines if line.startswith("started with")]
    assert said == [f"started with {{'{RATE}': '{rate}'}}\n" for rate in ("1e-3", "1e-3", "1e-2", "1e-2")]
    assert [child.status for child in cloud.cluster.children(job)] == ["Completed"] * 4
    assert job.properties["objective"]["primaryMetric"] == "Train/mean_reward"
    status = gaitway("status", "s", "--json").json
    assert (status["status"], status["detail"]) == (
        "succeeded",
        "Azure ML says Completed; gaitway sweep show s has its trials",
    )
    job.status = "Failed"  # as Azure ML says it where a trial was lost
    refused = gaitway("restart", "s")
    assert (refused.code, "starts only jobs and pipelines again, and this is a sweep" in refused.err) == (2, True)
