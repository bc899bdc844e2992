"""Following: OSMO's statuses in our words, logs without gaps or repetitions, cancellation that is looked after."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.osmo import OsmoService, Pod, Workflow
from fakes.osmo.cluster import STATUS_OF_CODE
from fakes.osmo.service import LONGEST_S
from gaitway_runtime.spec.result import RESULT_MARK
from gaitway_runtime.stores.tracking_server import TrackingServer

from gaitway import api, run_handle
from gaitway.errors import PlatformError
from gaitway.platforms.base import RunStatus
from gaitway.platforms.osmo import client, logs, status

STAND_IN = Path(__file__).parents[3] / "fakes" / "runtime"
WORDS = ("--training-path", str(STAND_IN), "--task", "Isaac-Cartpole-v0")


@pytest.fixture(autouse=True)
def really_run(service: OsmoService) -> None:
    service.cluster.runner = Pod.run


def until(workflow: Workflow, condition: Callable[[], bool]) -> None:
    """Wait until a workflow's log fulfils a condition."""
    with workflow.changed:
        assert workflow.changed.wait_for(condition, LONGEST_S), workflow.lines


def start(gaitway: Any, *words: str) -> str:
    ran = gaitway("train", "--on", "osmo", *WORDS, *words, "--json")
    assert ran.code == 0, ran.err
    return str(ran.json["run"])


def test_a_run_from_queued_to_done(service: OsmoService, gaitway: Any) -> None:
    service.cluster.hold("PENDING", "ENDING")
    name = start(gaitway)
    queued = gaitway("status", name, "--json").json
    assert (queued["status"], queued["detail"]) == ("queued", "task submitting")
    service.cluster.release("PENDING")
    (workflow,) = service.workflows
    service.wait(workflow, "RUNNING")
    assert gaitway("status", name, "--json").json["status"] == "running"
    service.cluster.release()
    service.wait(workflow)
    done = gaitway("status", name, "--json").json
    assert (done["status"], done["iterations"], done["mlflow_run_id"]) == ("succeeded", 3, "0123")
    assert done["final_checkpoint"]["uri"] == "runs:/0123/checkpoints/final/model_2.pt"
    assert done["url"] == f"{service.url}/workflows/isaaclab-inline-training-1"
    assert [run["status"] for run in gaitway("runs", "--json").json] == ["succeeded"]


def test_the_log_is_the_jobs_own(service: OsmoService, gaitway: Any) -> None:
    name = start(gaitway, "--follow")
    out = gaitway("logs", name).out
    assert "train 3/3 | reward 1.50" in out.splitlines()
    assert "::gaitway-result::" not in out


@pytest.mark.parametrize(
    "how",
    [
        "cut",
        "stall",
        "slow",
        "asks to slow down (429)",
        "does not answer as it should (503)",
        "does not answer as it should (500)",
        "does not answer as it should (507)",
        "breaks off",
    ],
)
def test_a_log_that_comes_in_part_is_no_log_without_a_result(
    service: OsmoService, gaitway: Any, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = start(gaitway)
    (workflow,) = service.workflows
    service.wait(workflow)
    if how.endswith(")"):
        service.fail_next(f"{workflow}/logs", int(how[-4:-1]))
        asked = gaitway("status", name)
        assert (asked.code, f"OSMO {how}" in asked.err, "its log cannot be read" in asked.err) == (4, True, True)
    elif how == "breaks off":
        service.reset_logs_after = 1
        asked = gaitway("status", name)
        assert (asked.code, "the log broke off" in asked.err) == (4, True), asked.out
    elif how == "slow":
        # Each time it is asked for, longer than the silence after which a stream of a running job is given up.
        monkeypatch.setattr(logs, "IDLE_S", 0.01)
        service.logs_take_s = 0.5
    else:
        setattr(service, f"{how}_logs_after", 1)
    ended = gaitway("status", name, "--json").json
    assert (ended["status"], ended["iterations"]) == ("succeeded", 3), ended["detail"]


def test_a_log_that_always_comes_in_part_leaves_the_result_open(service: OsmoService, gaitway: Any) -> None:
    name = start(gaitway)
    (workflow,) = service.workflows
    service.wait(workflow)
    service.cut_logs_after, service.cut_logs_times = 1, 2 * logs.READS
    said = f"OSMO sent the log of {workflow} in part"
    asked = gaitway("status", name)
    assert (asked.code, said in asked.err) == (4, True), asked.out
    shown = gaitway("logs", name)
    assert (shown.code, said in shown.err, len(shown.out.splitlines())) == (4, True, 1), shown.err
    assert gaitway("status", name, "--json").json["iterations"] == 3


def test_a_log_that_can_never_be_read_is_asked_for_a_bounded_number_of_times(
    service: OsmoService, gaitway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = start(gaitway)
    (workflow,) = service.workflows
    service.wait(workflow)
    service.fail_next(f"{workflow}/logs", 500, times=1000, message="NoSuchBucket")
    monkeypatch.setattr(run_handle, "LONGEST_PAUSE_S", 0.0)
    run = api.run(name)
    with pytest.raises(PlatformError) as told:
        run.wait()
    assert (f"{workflow} has ended (COMPLETED)" in str(told.value), "NoSuchBucket" in str(told.value)) == (True, True)
    asked = service.requests.count(("GET", f"/api/workflow/{workflow}/logs"))
    assert (asked, run.ledger.ended(name)) == (run_handle.PATIENCE, None)


def test_a_log_of_which_nothing_comes_is_no_empty_log(
    service: OsmoService, gaitway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(gaitway)
    (workflow,) = service.workflows
    service.wait(workflow)
    service.fall_silent(f"{workflow}/logs")
    monkeypatch.setattr(client, "TIMEOUT_S", 0.1)
    with pytest.raises(client.Unwell, match=r"osmo workflow logs gave no answer in 0\.1 s"):
        logs.task_lines(workflow)


@pytest.mark.parametrize("bar", ["99%", "98%^99%", "99%^"])
def test_a_progress_bar_without_an_end_hides_no_result(service: OsmoService, gaitway: Any, bar: str) -> None:
    ran = gaitway("train", "--on", "osmo", *WORDS, "--set", f"bar={bar}", "--follow", "--json")
    assert (ran.code, ran.json["status"], ran.json["iterations"]) == (0, "succeeded", 3), ran.json["detail"]
    said = [ran.err, gaitway("logs", ran.json["run"]).out]
    assert all("99%" in text.splitlines() and "gaitway-result" not in text for text in said), said


@pytest.mark.parametrize(
    ("do", "code", "status"), [("fail", 1, "failed"), ("gate", 5, "failed"), ("crash", 1, "failed")]
)
def test_a_failed_job_tells_why(service: OsmoService, gaitway: Any, do: str, code: int, status: str) -> None:
    ran = gaitway("train", "--on", "osmo", *WORDS, "--set", f"agent.do={do}", "--set", f"do={do}", "--follow", "--json")
    assert (ran.code, ran.json["status"]) == (code, status), ran.err
    if do == "crash":
        assert "exit code 9" in ran.json["detail"]
        assert "about to crash" in ran.json["detail"]
        assert "View task error logs" not in ran.json["detail"], "OSMO's footer is nobody's last words"
    else:
        assert ran.json["detail"] == ran.json["error"]["message"]


def test_every_status_of_osmo_has_one_of_ours() -> None:
    words = ["PENDING", "RUNNING", "WAITING", "COMPLETED", "FAILED", "FAILED_CANCELED", *status.REASONS]
    ours = [status.status_of(word) for word in words]
    assert RunStatus.UNKNOWN not in ours
    assert ours[:6] == [
        *(RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.QUEUED),
        *(RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED),
    ]
    assert set(ours[6:]) == {RunStatus.FAILED}
    assert set(STATUS_OF_CODE.values()) <= set(status.REASONS)
    assert status.status_of("SOMETHING_NEW") is RunStatus.UNKNOWN


def test_an_image_that_cannot_be_pulled(service: OsmoService, gaitway: Any) -> None:
    service.cluster.missing_images.add("nowhere/image:1")
    ran = gaitway("train", "--on", "osmo", *WORDS, "--image", "nowhere/image:1", "--follow", "--json")
    assert (ran.code, ran.json["status"]) == (1, "failed")
    assert "the container image could not be pulled" in ran.json["detail"]
    assert 'Failed to pull image "nowhere/image:1"' in ran.json["detail"]


@pytest.mark.parametrize("how", ["evict", "preempt", "lose_node"])
def test_a_task_that_is_taken_away_starts_again(service: OsmoService, gaitway: Any, how: str) -> None:
    service.cluster.max_retry = 1
    name = start(gaitway, "--set", "do=wait")
    (workflow,) = service.workflows.values()
    for attempt in (1, 2):
        until(workflow, lambda: _count(workflow, "] ready") == attempt)  # noqa: B023
        if attempt == 1:
            getattr(service, how)(workflow.id)
    assert gaitway("status", name, "--json").json["status"] == "running"
    cancelled = gaitway("cancel", name, "--json")
    assert cancelled.json["status"] == "cancelled", cancelled.err
    assert workflow.tasks[0].retry_id == 1


def test_a_task_whose_outputs_could_not_be_uploaded_starts_again(service: OsmoService, gaitway: Any) -> None:
    service.cluster.max_retry = service.cluster.broken_uploads = 1
    ran = gaitway("train", "--on", "osmo", *WORDS, "--storage-uri", "s3://bucket/robots", "--follow", "--json")
    assert (ran.code, ran.json["status"]) == (0, "succeeded"), ran.json["detail"]
    (workflow,) = service.workflows.values()
    assert workflow.tasks[0].retry_id == 1
    assert any(uri.endswith("/files/outputs/result.json") for uri in service.storage.uploads)


@pytest.mark.parametrize("verb", ["validate", "infer"])
def test_a_job_that_trains_nothing_starts_again_too(service: OsmoService, gaitway: Any, verb: str) -> None:
    service.cluster.max_retry = 1
    taken = threading.Event()

    def runner(pod: Pod, log: Any) -> int:
        log("up")
        return 0 if taken.wait(LONGEST_S) else 1

    service.cluster.runner = runner
    assert gaitway(verb, "--on", "osmo", *WORDS, "-c", "runs:/0123/checkpoints/final").code == 0
    (workflow,) = service.workflows.values()
    until(workflow, lambda: _count(workflow, "] up") == 1)
    service.lose_node(workflow.id)
    taken.set()
    assert (service.wait(workflow.id).status, workflow.tasks[0].retry_id) == ("COMPLETED", 1)


@pytest.mark.parametrize(
    ("shares", "why"),
    [
        ((0.5, 0.97), "it ran out of memory (7.8 of 8.0 GiB were in use)"),
        ((0.97, 0.5), "the task was evicted, more often than OSMO starts it again"),
        ((0.97, None), "the task was evicted, more often than OSMO starts it again"),
    ],
)
def test_out_of_memory_is_told_from_an_eviction_by_what_the_last_attempt_recorded(
    service: OsmoService, gaitway: Any, shares: tuple[float | None, ...], why: str
) -> None:
    service.cluster.max_retry, service.cluster.log_lines_per_s = 1, 1000.0
    taken, attempts = threading.Event(), iter(shares)

    def runner(pod: Pod, log: Any) -> int:
        share = next(attempts)
        if share is not None:
            log(f"::gaitway-memory:: {json.dumps({'used': int(share * 8 * 2**30), 'limit': 8 * 2**30})}")
        log("up")
        assert taken.wait(LONGEST_S)
        taken.clear()
        return 137

    service.cluster.runner = runner
    name = start(gaitway)
    (workflow,) = service.workflows.values()
    for attempt in (1, 2):
        until(workflow, lambda: _count(workflow, "] up") == attempt)  # noqa: B023
        service.evict(workflow.id)
        taken.set()
    service.wait(workflow.id)
    found = gaitway("status", name, "--json").json
    assert (workflow.status, found["detail"].partition(";")[0].partition(":")[0]) == ("FAILED_EVICTED", why)


def test_two_nodes_start_together_and_know_each_other(service: OsmoService, gaitway: Any, project: Path) -> None:
    package = project / "code" / "gaitway_runtime"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    names = ("NODE_RANK", "NUM_NODES", "NUM_GPUS", "RENDEZVOUS")
    (package / "container.py").write_text(f"import os; print('node', *(os.environ[name] for name in {names}))")
    words = ("--training-path", "code", "--num-nodes", "2", "--num-gpus", "2", "--follow", "--json")
    ran = gaitway("train", "--on", "osmo", *words)
    assert (ran.code, ran.json["status"]) == (0, "succeeded"), ran.err
    said = gaitway("logs", ran.json["run"]).out
    assert "node 0 2 2 127.0.0.1:5555" in said.splitlines()
    assert "[worker-1] node 1 2 2 127.0.0.1:5555" in said.splitlines()


def test_a_log_without_a_result_tells_of_its_mlflow_run() -> None:
    lines = [
        "INFO | MLflow tracking configured: experiment=isaaclab-rsl-rl-Isaac-Velocity-Rough-Anymal-C-v0",
        "View run at: .../runs/b906b426-078e-4539-b907-aecb3121a76d",
    ]
    told = status.told_in(lines, RunStatus.FAILED)
    assert told is not None
    assert (told.status, told.experiment, told.mlflow_run_id) == (
        "failed",
        "isaaclab-rsl-rl-Isaac-Velocity-Rough-Anymal-C-v0",
        "b906b426-078e-4539-b907-aecb3121a76d",
    )
    assert status.told_in(["nothing"], RunStatus.FAILED) is None


def _count(workflow: Any, text: str) -> int:
    return sum(line.endswith(text) for line in workflow.lines)


@pytest.mark.parametrize("step", ["PENDING", "INITIALIZING"])
def test_a_run_that_waits_is_cancelled(service: OsmoService, gaitway: Any, step: str) -> None:
    service.cluster.hold(step)
    name = start(gaitway)
    ended = gaitway("cancel", name, "--json")
    assert (ended.code, ended.json["status"], ended.json["detail"]) == (0, "cancelled", "it was cancelled"), ended.err
    service.cluster.release()
    assert gaitway("status", name, "--json").json["status"] == "cancelled"


def test_a_cancellation_that_osmo_does_not_do_is_an_error(service: OsmoService, gaitway: Any) -> None:
    service.cluster.hold("RUNNING")
    name = start(gaitway)
    service.cancel_breaks = True
    ran = gaitway("cancel", name)
    assert (ran.code, "OSMO did not cancel isaaclab-inline-training-1" in ran.err) == (4, True)
    assert gaitway("status", name, "--json").json["status"] in ("queued", "running")
    service.cancel_breaks = False
    ended = gaitway("cancel", name, "--json")
    assert (ended.json["status"], "at once, unasked to save" in ended.err) == ("cancelled", True), ended.err
    again = gaitway("cancel", name)
    assert (again.code, "has already ended: cancelled" in again.err) == (2, True)


def test_a_log_goes_on_after_its_stream_has_broken(service: OsmoService, gaitway: Any) -> None:
    gates = [threading.Event() for _ in range(2)]

    def runner(pod: Pod, log: Any) -> int:
        for number in range(3):
            log(f"line {number}")
        gates[0].wait(LONGEST_S)
        log("line 2")  # the same text again, in the same second or a later one
        log("line 3")
        gates[1].wait(LONGEST_S)
        return 0

    service.cluster.runner = runner
    service.cut_logs_after = 2
    start(gaitway)
    (workflow,) = service.workflows
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        gates[0].set()

    lines = []
    for line in logs.follow_log(workflow, status.has_ended, pause):
        lines.append(line)
        if line == "line 3":
            gates[1].set()
    assert lines == ["line 0", "line 1", "line 2", "line 2", "line 3"]
    assert pauses


def test_the_log_of_a_running_job_is_read_as_far_as_it_goes(
    service: OsmoService, gaitway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "IDLE_S", 0.2)
    name = start(gaitway, "--set", "do=wait")
    (workflow,) = service.workflows.values()
    until(workflow, lambda: _count(workflow, "] ready") == 1)
    assert gaitway("logs", name).out.splitlines()[-1] == "ready"
    assert gaitway("status", name, "--json").json["status"] == "running"


def test_lines_are_told_apart_by_task_and_second() -> None:
    seen = logs.SeenLines()
    first = ["2026/01/01 00:00:01 [a] x", "2026/01/01 00:00:01 [a] x", "2026/01/01 00:00:02 [b] y", "  of y"]
    assert [seen.is_new(line) for line in first] == [True] * 4
    seen.restart()
    again = [*first, "2026/01/01 00:00:01 [a] x", "2026/01/01 00:00:02 [b] z", "  of z"]
    assert [seen.is_new(line) for line in again] == [False] * 4 + [True] * 3


def test_a_clock_that_is_set_back_hides_no_line() -> None:
    seen = logs.SeenLines()
    first = ["2026/01/01 00:00:50 [a] x", "2026/01/01 00:00:20 [a] y", "2026/01/01 00:00:21 [a] z"]
    assert [seen.is_new(line) for line in first] == [True] * 3
    seen.restart()
    again = [*first, "2026/01/01 00:00:50 [a] w", "2026/01/01 00:00:30 [a] v"]
    assert [seen.is_new(line) for line in again] == [False] * 3 + [True] * 2


def test_following_a_service_that_goes_away_ends_with_an_error(service: OsmoService, gaitway: Any) -> None:
    service.cluster.hold("RUNNING")
    start(gaitway)
    (workflow,) = service.workflows
    service.stop()
    pauses: list[float] = []
    with pytest.raises(client.PlatformError, match="cannot be reached"):
        list(logs.follow_log(workflow, status.has_ended, pauses.append))
    assert len(pauses) == logs.PATIENCE - 1


def test_ctrl_c_detaches_and_the_run_goes_on(service: OsmoService, gaitway: Any, project: Path) -> None:
    command = [sys.executable, "-m", "gaitway", "train", "--on", "osmo", *WORDS, "--set", "do=wait", "--follow"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout
    said = []
    for line in process.stdout:
        said.append(line)
        if line.strip() == "ready":
            process.send_signal(signal.SIGINT)
    assert process.wait(LONGEST_S) == 130
    assert any("goes on; to follow it: gaitway logs" in line for line in said), said
    (run,) = gaitway("runs", "--json").json
    assert run["status"] == "running"
    assert gaitway("cancel", run["run"], "--json").json["status"] == "cancelled"


def test_status_tells_when_osmo_cannot_be_asked(service: OsmoService, gaitway: Any) -> None:
    service.cluster.hold("RUNNING")
    name = start(gaitway)
    service.stop()
    assert gaitway("status", name).code == 4
    (run,) = gaitway("runs", "--json").json
    assert (run["status"], "OSMO cannot be reached" in run["detail"]) == ("unknown", True)


def test_files_come_from_object_storage(service: OsmoService, gaitway: Any, project: Path) -> None:
    name = start(gaitway, "--storage-uri", "s3://bucket/robots", "--follow")
    ran = gaitway("download", name, "--pattern", "checkpoints/*", "--into", "here")
    assert ran.code == 0, ran.err
    assert [path.read_bytes()[-7:] for path in project.rglob("here/**/*.pt")] == [b"weights"]
    assert not list(project.rglob("here/**/result.json"))


def test_artifacts_of_a_chain_that_goes_on_or_was_restarted_come_from_its_mlflow_run(
    service: OsmoService, gaitway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log of its training names the MLflow run; a restart is a workflow of the later stages."""
    run_id, asked = "0123456789abcdef" * 2, []

    def out_of_reach(server: TrackingServer, question: object, about: str) -> None:
        asked.append(about)
        raise PlatformError("the server is out of reach")

    def runner(pod: Pod, log: Callable[[str], None]) -> int:
        if "training" in pod.name:
            log(f"View run walking at: http://mlflow.test/#/experiments/1/runs/{run_id}")
        return 1 if "validation" in pod.name and len(service.workflows) == 1 else 0

    monkeypatch.setattr(TrackingServer, "ask", out_of_reach)
    service.cluster.runner = runner
    service.cluster.hold("ENDING")
    words = ("--on", "osmo", *WORDS, "--tracking-uri", "http://mlflow.test", "--json")
    name = gaitway("ship", *words).json["run"]
    (first,) = service.workflows.values()
    until(first, lambda: any(run_id in line for line in first.lines))
    assert "the server is out of reach" in gaitway("download", name).err, "while it runs"
    service.cluster.release()
    service.wait(first.id)
    assert gaitway("restart", name).code == 0
    service.wait(list(service.workflows)[-1])
    assert "the server is out of reach" in gaitway("download", name).err, "after a restart"
    assert asked == [f"runs:/{run_id}"] * 2


def test_a_restarted_chain_that_is_cancelled_keeps_what_was_trained_before(service: OsmoService, gaitway: Any) -> None:
    trained = {"kind": "train", "task": "T", "status": "succeeded", "mlflow_run_id": "0123", "iterations": 3}

    def runner(pod: Pod, log: Callable[[str], None]) -> int:
        if "training" in pod.name:
            log(f"{RESULT_MARK}{json.dumps(trained)}")
        return 1 if "validation" in pod.name else 0

    service.cluster.runner = runner
    name = gaitway("ship", "--on", "osmo", *WORDS, "--json").json["run"]
    service.wait(next(iter(service.workflows)))
    service.cluster.hold("RUNNING")
    assert gaitway("restart", name).code == 0
    cancelled = gaitway("cancel", name, "--json").json
    assert (cancelled["status"], cancelled["iterations"]) == ("cancelled", 3)
    assert gaitway("status", name, "--json").json["mlflow_run_id"] == "0123"


def test_findings_name_what_is_missing(service: OsmoService, gaitway: Any, monkeypatch: Any) -> None:
    checks = {entry["check"]: entry for entry in _doctor(gaitway)}
    assert checks["osmo service"]["ok"]
    service.stop()
    assert not {entry["check"]: entry for entry in _doctor(gaitway)}["osmo service"]["ok"]
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert "not installed" in {entry["check"]: entry for entry in _doctor(gaitway)}["osmo"]["message"]


def _doctor(gaitway: Any) -> list[dict[str, Any]]:
    from gaitway.platforms.osmo.platform import OsmoPlatform

    return [vars(finding) for finding in OsmoPlatform().check({})]


def test_a_message_is_one_line_without_frames() -> None:
    text = (
        "Error message: Workflow plat-1 submit failed:\n2 validation errors\nworkflow.tasks\n  Extra\nError code: 400\n"
    )
    assert client.message_of(text, "Server responded") == "2 validation errors workflow.tasks"
    assert client.message_of(json.dumps({"message": "no", "code": 1}), "") == "no"
