"""A job while it runs and after; and what a user is told when something is wrong."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.azureml import AzureCloud
from fakes.azureml.server import Fault
from fakes.azureml.workspace import kubernetes
from gaitway_runtime import container
from gaitway_runtime.keeping import Keeper

from gaitway.errors import PlatformError
from gaitway.platforms.azureml import client, following

RUNTIME = Path(__file__).parents[3] / "fakes" / "runtime"
WORDS = ("--on", "azureml", "--task", "Isaac-Cartpole-v0", "--yes", "--json")
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
    assert (queued["status"], queued["detail"]) == ("queued", "Azure ML says Queued")
    cloud.cluster.held = False
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


@pytest.mark.parametrize("block", [16, 1 << 20])
def test_a_log_is_followed_without_gaps_or_repetitions(
    gaitway: Callable[..., Any], cloud: AzureCloud, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(client, "BLOCK", block)
    monkeypatch.setattr(following, "TAIL_BYTES", 10_000)
    ran = gaitway(*TRAIN, "--set", "report=yes", "--follow")
    job = job_of(cloud, ran.json["url"])
    lines = [line.rstrip("\n") for line in job.lines if "gaitway-result" not in line]
    assert [line for line in ran.err.splitlines() if line in lines] == lines


def test_cancel_waits_until_azure_has(gaitway: Callable[..., Any], cloud: AzureCloud, submitted: Any) -> None:
    begun = submitted("do=wait")
    job = job_of(cloud, begun["url"])
    until(lambda: "ready\n" in job.lines)
    assert gaitway("status", begun["run"], "--json").json["status"] == "running"
    ended = gaitway("cancel", begun["run"], "--json")
    assert ended.json["status"] == "cancelled"
    assert job.status == "Canceled"
    assert sum("mfeOperationResults" in call for call in cloud.endpoints.seen) >= 1


def test_a_job_is_named_for_ever_and_never_the_beginning_of_another(cloud: AzureCloud, submitted: Any) -> None:
    names = [job_of(cloud, submitted()["url"]).name for _ in range(2)]
    assert len(set(names)) == 2
    assert len({len(name) for name in names}) == 1


def test_files_come_from_the_runs_own_list(
    gaitway: Callable[..., Any], cloud: AzureCloud, submitted: Any, project: Path
) -> None:
    begun = submitted()
    job = job_of(cloud, begun["url"])
    cloud.cluster.wait(job.name)
    for number in range(7):  # more than one page
        cloud.cluster.storage.put("azureml", f"ExperimentRun/dcid.{job.name}/metrics/{number}.json", b"%d" % number)
    cloud.cluster.storage.put("azureml", f"ExperimentRun/dcid.{job.name}b/metrics/other.json", b"no")
    ran = gaitway("download", begun["run"], "--pattern", "metrics/*", "--into", "got", "--json")
    assert ran.code == 0, ran.err
    assert sorted(path.name for path in (project / "got" / "metrics").iterdir()) == [f"{n}.json" for n in range(7)]
    assert (project / "got" / "metrics" / "3.json").read_bytes() == b"3"
    ran = gaitway("download", begun["run"], "--pattern", "user_logs/*", "--into", "got")
    assert ran.code == 2, "Azure ML's own logs are no outputs"


def wrong_subscription(cloud: AzureCloud) -> tuple[str, ...]:
    return ("--subscription-id", "s-404")


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
    cloud.workspace.computes["cpu"] = {"computeType": "AmlCompute", "provisioningState": "Succeeded"}
    return ("--compute", "cpu")


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
        ("train", wrong_subscription, 3, ["no subscription s-404", "azure_subscription_id = s-404 (cli --azure-sub"]),
        (
            "train",
            wrong_group,
            3,
            ["no resource group rg-404", "azure_resource_group = rg-404 (cli --azure-resource-group)"],
        ),
        ("train", wrong_workspace, 3, ["no workspace mlw-404", "azure_workspace_name = mlw-404 (cli --azure-work"]),
        ("train", expired_login, 3, ["no Azure identity works here", "AADSTS7000222", "az login"]),
        ("train", unauthorized, 3, ["does not accept the login", "az login"]),
        ("train", forbidden, 3, ["may not do that in workspace mlw-robots", "(env AZUREML_WORKSPACE_NAME)"]),
        ("train", no_quota, 4, ["no quota", "azure_subscription_id = 00000000", "(env AZURE_SUBSCRIPTION_ID)"]),
        ("train", wrong_compute, 2, ["no compute 'k8s-robot'", "(cli --compute)", "did you mean k8s-robots?"]),
        ("train", broken_compute, 4, ["k8s-broken is not usable: Failed"]),
        ("train", wrong_instance, 2, ["no instance type 'h100'", "(cli --instance-type)", "gpuspot, gpu"]),
        ("train", machines, 2, ["kind AmlCompute", "--instance-type none"]),
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
    assert "azure_resource_group and compute are not set" in ran.err
    assert "--azure-resource-group, AZURE_RESOURCE_GROUP" in ran.err


def test_a_token_goes_to_no_other_host(cloud: AzureCloud) -> None:
    at = client.Azure(client.Workspace(dict.fromkeys(client._KEYS.values(), "x"), {}))
    for elsewhere in ("https://evil.example/jc:1", "http://management.azure.com/jc:1"):
        with pytest.raises(PlatformError, match="another host"):
            at._further(elsewhere, client.MANAGEMENT)


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
    keeper = Keeper(source, target)
    keeper.copy()
    first = (target / "model_0.pt").stat().st_ino
    (source / "final" / "model_9.pt").write_bytes(b"9")
    keeper.copy()
    assert (target / "final" / "model_9.pt").read_bytes() == b"9"
    assert (target / "model_0.pt").stat().st_ino == first
    Keeper(source, source / "model_0.pt").copy()
    assert "could not be copied" in capsys.readouterr().err


def test_only_the_first_of_several_processes_keeps_and_tells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "result.json").write_text("{}")
    environ = {"CHECKPOINT_OUTPUT": str(tmp_path / "kept")}
    assert container.keeper_for(tmp_path, {**environ, "RANK": "0"}) is not None
    assert container.keeper_for(tmp_path, {**environ, "RANK": "3"}) is None
    container.report(tmp_path, {"RANK": "3"})
    assert capsys.readouterr().out == ""
    container.report(tmp_path, {"RANK": "0"})
    assert capsys.readouterr().out.startswith(container.RESULT_MARK)
