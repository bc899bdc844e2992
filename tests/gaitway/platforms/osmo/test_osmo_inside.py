"""Into and around a run: a shell, files, events, parts of logs, restarts, adoption, submissions without an answer."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from fakes.osmo import OsmoService, Pod, log_in
from fakes.osmo.masking import masked
from fakes.osmo.service import LONGEST_S

from gaitway.platforms.osmo import logs, search

STAND_IN = Path(__file__).parents[3] / "fakes" / "runtime"
WORDS = ("--training-path", str(STAND_IN), "--task", "Isaac-Cartpole-v0")


@pytest.fixture(autouse=True)
def really_run(service: OsmoService) -> None:
    service.cluster.runner = Pod.run


def start(service: OsmoService, gaitway: Any, *words: str) -> tuple[str, Any]:
    """Start a run that waits and return its name and workflow."""
    ran = gaitway("train", "--on", "osmo", *WORDS, "--set", "do=wait", *words, "--json")
    assert ran.code == 0, ran.err
    workflow = list(service.workflows.values())[-1]
    wait_for(workflow, "] ready")
    return str(ran.json["run"]), workflow


def wait_for(workflow: Any, text: str) -> None:
    with workflow.changed:
        assert workflow.changed.wait_for(lambda: any(text in line for line in workflow.lines), LONGEST_S), (
            workflow.lines
        )


def test_a_shell_and_files_in_a_run(service: OsmoService, gaitway: Any, project: Path) -> None:
    service.rsync_enabled = True
    name, workflow = start(service, gaitway)
    assert gaitway("exec", name, "--", "cp", "/tmp/gaitway/job.json", "/osmo/run/workspace/").code == 0
    assert gaitway("sync", name, "run:job.json", ".").code == 0
    assert '"kind": "train"' in (project / "job.json").read_text()
    (project / "code").mkdir()
    (project / "code/a.py").write_text("a")
    (project / "code/b.txt").write_text("b")
    assert gaitway("sync", name, "code", "run:code", "--include", "*.py").code == 0
    assert gaitway("sync", name, "run:code", "back").code == 0
    assert [path.name for path in sorted(project.glob("back/**/*.*"))] == ["a.py"]
    wrong = gaitway("sync", name, "run:code", "run:back")
    assert (wrong.code, "one of the two places is in the run" in wrong.err) == (2, True)
    assert gaitway("sync", name, "run:code").code == 2
    assert "Started" in gaitway("events", name).out
    assert gaitway("port-forward", name, "8000:70000").code == 2
    gaitway("cancel", name)
    service.wait(workflow.id)
    ended = gaitway("exec", name, "--", "ls")
    assert (ended.code, "has ended: failed_canceled" in ended.err) == (2, True), ended.err


def test_an_osmo_without_rsync_says_so(service: OsmoService, gaitway: Any, project: Path) -> None:
    name, _ = start(service, gaitway)
    ran = gaitway("sync", name, "run:a", ".")
    assert (ran.code, "this OSMO carries no files to or from runs" in ran.err) == (2, True), ran.err
    gaitway("cancel", name)


def test_the_log_of_a_run_that_never_falls_silent_ends(
    service: OsmoService, gaitway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    def talk(pod: Pod, log: Any) -> int:
        while not over.wait(0.05):
            log("still here")
        return 0

    monkeypatch.setattr(logs, "LIVE_S", 1.0)
    service.cluster.runner = talk
    assert gaitway("train", "--on", "osmo", *WORDS, "--name", "first").code == 0
    (workflow,) = service.workflows.values()
    wait_for(workflow, "still here")
    threading.Timer(LONGEST_S, over.set).start()
    assert "still here" in gaitway("logs", "first").out
    assert not over.is_set(), "it read until the run had ended"
    over.set()


def test_parts_of_a_log(service: OsmoService, gaitway: Any) -> None:
    service.cluster.max_retry = 1
    name, workflow = start(service, gaitway)
    service.preempt(workflow.id)
    wait_for(workflow, "retry-1] ready")
    gaitway("cancel", name)
    first, second = (gaitway("logs", name, "--attempt", number).out.splitlines() for number in "01")
    assert first.count("ready") == second.count("ready") == 1
    assert gaitway("logs", name, "--attempt", "2").out == ""
    assert gaitway("logs", name).out.splitlines().count("ready") == 2
    assert gaitway("logs", name, "--error").code == 0
    assert gaitway("logs", name, "--error", "-f").code == 2


def test_the_error_log_is_that_of_the_task_that_failed(service: OsmoService, gaitway: Any) -> None:
    service.cluster.runner = lambda pod, log: 3
    words = ("--task", "Isaac-Cartpole-v0", "-c", "runs:/0123/checkpoints/final/model_9.pt", "--name", "exported")
    gaitway("infer", "--on", "osmo", "--training-path", str(STAND_IN), *words)
    (workflow,) = service.workflows.values()
    service.wait(workflow.id)
    workflow.tasks[0].error_lines.append("it broke here")
    ran = gaitway("logs", "exported", "--error")
    assert (ran.code, ran.out) == (0, "it broke here\n"), ran.err


@pytest.mark.parametrize(
    ("platform", "verb"),
    [
        ("local", ("events", "RUN")),
        ("local", ("sync", "RUN", "a", "run:b")),
        ("local", ("port-forward", "RUN", "80")),
        ("local", ("restart", "RUN")),
        ("local", ("logs", "RUN", "--attempt", "1")),
        ("local", ("logs", "RUN", "--error")),
        ("azureml", ("exec", "RUN", "--", "ls")),
        ("azureml", ("events", "RUN")),
        ("azureml", ("sync", "RUN", "a", "run:b")),
        ("azureml", ("port-forward", "RUN", "80")),
        ("azureml", ("logs", "RUN", "--task", "x")),
    ],
)
def test_a_platform_that_cannot_says_so_in_a_sentence(
    gaitway: Any, project: Path, platform: str, verb: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = project / "home/runs/there"
    home.mkdir(parents=True)
    record = {"name": "there", "platform": platform, "kind": "train", "task": "t", "created": "", "command": []}
    (home / "run.json").write_text(json.dumps({**record, "url": "https://ml.azure.com/runs/1"}))
    monkeypatch.setenv("GAITWAY_HOME", str(project / "home"))
    ran = gaitway(*("there" if word == "RUN" else word for word in verb))
    told = f"{platform} keeps one log of a run" if verb[0] == "logs" else f"{platform} has no way to"
    assert (ran.code, told in ran.err) == (2, True), ran.err
    if verb[0] != "logs":
        assert (str(home) if platform == "local" else "https://ml.azure.com/runs/1") in ran.err


@pytest.mark.parametrize("how", ["answered", "lost"])
def test_a_failed_run_is_restarted(service: OsmoService, gaitway: Any, how: str) -> None:
    service.pools["other"] = {**service.pools["default"]}
    name, workflow = start(service, gaitway, "--pool", "other")
    going = gaitway("restart", name)
    assert (going.code, "has not failed" in going.err) == (2, True), going.err
    service.preempt(workflow.id)
    service.wait(workflow.id)
    assert gaitway("status", name, "--json").json["status"] == "failed"
    if how == "lost":
        service.lose_answer("/restart", 504)
    again = gaitway("restart", name, "--json")
    assert (again.code, len(service.workflows)) == (0, 2), again.err
    second = list(service.workflows.values())[-1]
    assert (second.parent, second.pool) == (workflow.id, "other"), "up to 6.3 osmo would take the default pool"
    wait_for(second, "] ready")
    assert gaitway("status", name, "--json").json["status"] == "running"
    gaitway("cancel", name)


def test_a_workflow_that_osmo_has_masked_is_neither_restarted_nor_adopted(
    service: OsmoService, gaitway: Any, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, workflow = start(service, gaitway, "--set", "agent.token=abcdefghij0123456789")
    service.preempt(workflow.id)
    service.wait(workflow.id)
    again = gaitway("restart", name)
    assert (again.code, "OSMO has masked what looks secret" in again.err) == (2, True), again.err
    assert len(service.workflows) == 1
    monkeypatch.setenv("GAITWAY_HOME", str(project / "other"))
    adopted = gaitway("adopt", workflow.id)
    assert (adopted.code, "its job cannot be read whole" in adopted.err) == (2, True), adopted.err


def test_nothing_in_the_goldens_would_be_masked() -> None:
    for path in (Path(__file__).parents[3] / "goldens/osmo").rglob("*.yaml"):
        text = path.read_text()
        assert masked(text) == text, path


def test_a_run_of_another_machine_is_adopted(
    service: OsmoService, gaitway: Any, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = gaitway("train", "--on", "osmo", *WORDS, "--follow", "--json")
    assert ran.code == 0, ran.err
    (workflow,) = service.workflows
    monkeypatch.setenv("GAITWAY_HOME", str(project / "other"))
    (listed,) = gaitway("runs", "--on", "osmo", "--all", "--json").json
    assert (listed["id"], listed["status"], listed["run"]) == (workflow, "succeeded", None)
    adopted = gaitway("adopt", workflow, "--json")
    assert adopted.code == 0, adopted.err
    same = ("status", "task", "kind", "iterations", "run")
    assert {key: adopted.json[key] for key in same} == {key: ran.json[key] for key in same}
    assert gaitway("adopt", workflow, "--json").json["run"] == adopted.json["run"], "it has one record"
    assert gaitway("runs", "--on", "osmo", "--all", "--json").json[0]["run"] == ran.json["run"]


def test_a_workflow_of_another_tool_is_not_adopted(
    service: OsmoService, gaitway: Any, osmo: Any, project: Path
) -> None:
    path = project / "foreign.yaml"
    path.write_text("workflow:\n  name: foreign\n  tasks:\n  - {name: main, image: i, command: [echo]}\n")
    osmo("workflow", "submit", str(path), check=True)
    ran = gaitway("adopt", "foreign-1")
    assert (ran.code, "carries no job of gaitway's" in ran.err) == (2, True), ran.err
    assert gaitway("adopt", "nope-9").code in (2, 4)
    assert gaitway("runs", "--json").json == []


@pytest.mark.parametrize("how", ["late", "502", "504"])
def test_a_service_whose_answer_comes_too_late_has_one_run(
    service: OsmoService, gaitway: Any, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "late":
        monkeypatch.setenv("STAND_IN_READ_TIMEOUT_S", "5")
        service.answer_late("/workflow")
    else:
        service.lose_answer("/workflow", int(how))
    ran = gaitway("train", "--on", "osmo", *WORDS, "--json")
    assert ran.code == 0, ran.err
    assert [run["run"] for run in gaitway("runs", "--json").json] == [ran.json["run"]]
    (workflow,) = service.workflows
    assert ran.json["url"].endswith(workflow)


def test_a_submission_that_is_not_found_at_once_is_found_later(
    service: OsmoService, gaitway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_READ_TIMEOUT_S", "5")
    service.answer_late("/workflow")
    with monkeypatch.context() as busy:
        busy.setattr("gaitway.platforms.osmo.submit.PAUSES_S", (0.0,))
        busy.setattr(search, "_rows", lambda *words: iter(()))
        ran = gaitway("train", "--on", "osmo", *WORDS, "--name", "late")
        assert (ran.code, "did not say whether it took the workflow" in ran.err) == (4, True), ran.err
        assert gaitway("status", "late", "--json").json["status"] == "unknown"
    (workflow,) = service.workflows
    assert gaitway("status", "late", "--json").json["url"].endswith(workflow)


@pytest.mark.slow
def test_two_installations_that_share_a_store_know_nothing_of_each_other(
    service: OsmoService, gaitway: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = OsmoService(tmp_path / "other", "6.3.1", service.storage)
    other.start()
    log_in(tmp_path / "other-login", other.url)
    found: list[list[str]] = []

    def runner(pod: Pod, log: Any) -> int:
        found.append([str(path) for path in pod.input(0).rglob("*")])
        folder = pod.output / "outputs/checkpoints"
        folder.mkdir(parents=True)
        (folder / "model_5.pt").write_text(pod.environment["RUN_ID"])
        return 0

    logins = [str(tmp_path / "login"), str(tmp_path / "other-login")]
    for number in range(50):
        for each in (service, other):
            each.cluster.runner = runner
        monkeypatch.setenv("OSMO_CONFIG_FILE_DIR", logins[number % 2])
        ran = gaitway("train", "--on", "osmo", "--training-path", str(STAND_IN), "--storage-uri", "s3://bucket/robots")
        assert ran.code == 0, ran.err
    for each in (service, other):
        for workflow in list(each.workflows):
            each.wait(workflow)
    assert len(found) == 50
    assert not any(found), "nobody was given another run's checkpoints"
    assert set(service.workflows) == set(other.workflows), "though the ids are the same"
    kept = list((service.storage.root / "s3/bucket/robots/runs").glob("*/checkpoints/model_5.pt"))
    assert len({path.read_text() for path in kept}) == len(kept) == 50
    other.close()
