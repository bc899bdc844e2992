"""The stand-in behaves as the real OSMO was measured to behave: what every other test here rests on."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes.osmo import OsmoService, Pod, log_in
from fakes.osmo.pod import namespaces
from fakes.osmo.service import LONGEST_S


def workflow(**task: Any) -> dict[str, Any]:
    base = {"name": "main", "image": "ubuntu", "command": ["/bin/sh", "-c"], "args": ["echo hello"]}
    return {"workflow": {"name": "plat", "tasks": [{**base, **task}]}}


def write(folder: Path, document: Any, name: str = "workflow.yaml") -> str:
    path = folder / name
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return str(path)


def submit(osmo: Any, path: str, *words: str) -> str:
    done = osmo("workflow", "submit", path, "-t", "json", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)["name"]


@pytest.fixture(autouse=True)
def really_run(service: OsmoService) -> None:
    service.cluster.runner = Pod.run


def test_a_task_runs_and_its_log_is_kept(service: OsmoService, osmo: Any, tmp_path: Path) -> None:
    name = submit(osmo, write(tmp_path, workflow()))
    assert service.wait(name).status == "COMPLETED"
    done = osmo("workflow", "logs", name)
    assert done.stdout.splitlines()[0] == f"Workflow {name} has logs:"
    assert done.stdout.splitlines()[-1].endswith("[main] hello")


@pytest.mark.skipif(not namespaces(), reason="this machine does not let us build a root of our own")
def test_files_inputs_and_outputs_lie_where_kubernetes_puts_them(
    service: OsmoService, osmo: Any, tmp_path: Path
) -> None:
    service.storage.put("s3://b/in/data.txt", b"from the bucket")
    document = workflow(
        args=["cat /tmp/deep/file {{input:0}}/data.txt; echo done > {{output}}/result.txt; ls /work /root >/dev/null"],
        files=[{"path": "/tmp/deep/file", "contents": base64.b64encode(b"mounted ").decode(), "base64": True}],
        inputs=[{"url": "s3://b/in"}],
        outputs=[{"url": "s3://b/out"}],
    )
    name = submit(osmo, write(tmp_path, document))
    found = service.wait(name)
    assert any(line.endswith("[main] mounted from the bucket") for line in found.lines)
    assert service.storage.path("s3://b/out/result.txt").read_text() == "done\n"
    assert not Path("/tmp/deep").exists()


def test_templates_are_rendered_twice(service: OsmoService, osmo: Any, tmp_path: Path) -> None:
    text = (
        "workflow:\n  name: twice\n  tasks:\n  - name: main\n    image: ubuntu\n    command: [echo]\n"
        "    args: ['{% raw %}{{ x }}{% endraw %}']\n"
    )
    path = write(tmp_path, text)
    shown = osmo("workflow", "submit", path, "--dry-run")
    assert "{{ x }}" in shown.stdout
    done = osmo("workflow", "submit", path)
    assert done.returncode == 1
    assert "'x' is undefined" in done.stdout


def test_spaces_in_a_special_token_make_it_a_variable(service: OsmoService, osmo: Any, tmp_path: Path) -> None:
    path = write(tmp_path, workflow(args=["echo {{ output }}"]))
    done = osmo("workflow", "submit", path)
    assert (done.returncode, "'output' is undefined" in done.stdout) == (1, True)


@pytest.mark.parametrize(("release", "second"), [("6.3.1", "b"), ("6.4.0", "a")], indirect=["release"])
def test_a_repeated_flag_replaces_the_earlier_one(service: OsmoService, osmo: Any, tmp_path: Path, second: str) -> None:
    text = yaml.safe_dump(workflow(args=["{{ first }}{{ second }}"])) + "default-values:\n  first: x\n  second: b\n"
    path = write(tmp_path, text)
    shown = osmo("workflow", "submit", path, "--set-string", "second=a", "--set-string", "first=y", "--dry-run")
    assert f"y{second}" in shown.stdout


def test_greedy_flags_swallow_the_file(service: OsmoService, osmo: Any, tmp_path: Path) -> None:
    done = osmo("workflow", "submit", "--set", "a=1", write(tmp_path, workflow()))
    assert done.returncode == 2
    assert "workflow_file" in done.stderr


def test_set_casts_numbers(service: OsmoService, osmo: Any, tmp_path: Path) -> None:
    path = write(tmp_path, workflow(args=["{{ v }}"]))
    assert "2.1" in osmo("workflow", "submit", path, "--set", "v=2.10", "--dry-run").stdout
    assert "2.10" in osmo("workflow", "submit", path, "--set-string", "v=2.10", "--dry-run").stdout


@pytest.mark.parametrize(
    ("change", "rc", "message"),
    [
        ({"tasks": [{"name": "t", "image": "i", "command": ["x"], "comand": 1}]}, 1, "Extra inputs are not permitted"),
        ({"name": "n" * 65}, 2, "It must be 64 characters or less."),
        ({"resources": {"default": {"memory": "32GB"}}}, 1, "Resource memory field has invalid unit: GB"),
        ({"resources": {"default": {"memory": "9000Gi"}}}, 1, "Resource validation failed for task: main"),
        ({"resources": {"default": {"platform": "dgx"}}}, 1, "Platform dgx does not exist in pool default!"),
    ],
)
def test_a_refused_workflow_says_why_and_burns_a_number(
    service: OsmoService, osmo: Any, tmp_path: Path, change: Any, rc: int, message: str
) -> None:
    document = workflow()
    document["workflow"] |= change
    done = osmo("workflow", "submit", write(tmp_path, document))
    assert (done.returncode, message in done.stdout) == (rc, True), done.stdout
    assert [found.status for found in service.workflows.values()] == ["FAILED_SUBMISSION"]


def test_what_a_pool_does_not_take(service: OsmoService, osmo: Any, tmp_path: Path) -> None:
    document = workflow()
    document["workflow"]["resources"] = {"default": {"gpu": 6}}
    path, pool = write(tmp_path, document), service.pools["default"]
    pool["gpus_guaranteed"] = 4
    refused = osmo("workflow", "submit", path)
    assert (refused.returncode, "group main-group requires 6 GPUs" in refused.stdout) == (1, True), refused.stdout
    assert osmo("workflow", "submit", path, "--priority", "LOW").returncode == 0
    rows = len(service.workflows)
    pool["status"] = "MAINTENANCE"
    closed = osmo("workflow", "submit", path, "--priority", "LOW")
    assert (closed.returncode, "undergoing maintenance" in closed.stdout) == (1, True), closed.stdout
    assert len(service.workflows) == rows, "of this refusal alone it keeps no row"


def test_outputs_of_a_task_that_still_runs_are_not_handed_on(service: OsmoService, osmo: Any, tmp_path: Path) -> None:
    service.cluster.hold("RUNNING")
    first = submit(osmo, write(tmp_path, workflow()))
    path = write(tmp_path, workflow(inputs=[{"task": f"{first}:main"}]))
    early = osmo("workflow", "submit", path)
    assert (early.returncode, "must be finished" in early.stdout) == (2, True), early.stdout
    service.cluster.release()
    service.wait(first)
    assert osmo("workflow", "submit", path).returncode == 0


@pytest.mark.parametrize(("release", "pool"), [("6.3.1", "default"), ("6.4.0", "other")], indirect=["release"])
def test_a_restart_goes_to_the_default_pool_up_to_6_3(
    service: OsmoService, osmo: Any, tmp_path: Path, pool: str
) -> None:
    service.pools["other"] = {**service.pools["default"]}
    first = submit(osmo, write(tmp_path, workflow(args=["exit 3"])), "--pool", "other")
    service.wait(first)
    again = json.loads(osmo("workflow", "restart", first, "-t", "json", check=True).stdout)["name"]
    assert service.workflows[again].pool == pool


def test_what_looks_secret_is_masked_in_the_spec_that_is_kept(service: OsmoService, osmo: Any, tmp_path: Path) -> None:
    hidden = base64.b64encode(b"api_key = abcdefghij0123456789\n").decode()
    environment = {"MY_TOKEN": "abcdefghij0123456789", "HIDDEN": hidden, "PLAIN": "abcdefghij0123456789"}
    name = submit(osmo, write(tmp_path, workflow(environment=environment)))
    (group,) = yaml.safe_load(osmo("workflow", "spec", name).stdout)["workflow"]["groups"]
    kept = group["tasks"][0]["environment"]
    # Without quotes, so that YAML reads a list.
    assert kept == {"MY_TOKEN": ["MASKED"], "HIDDEN": ["MASKED"], "PLAIN": "abcdefghij0123456789"}
    assert service.wait(name).tasks[0].spec.environment["MY_TOKEN"] == "abcdefghij0123456789"


@pytest.mark.parametrize(("size", "status"), [(1_048_576, "COMPLETED"), (1_048_577, "FAILED_SERVER_ERROR")])
def test_a_large_file_is_accepted_and_dies_later(
    service: OsmoService, osmo: Any, tmp_path: Path, size: int, status: str
) -> None:
    contents = base64.b64encode(b"x" * size).decode()
    files = [{"path": "/tmp/big", "contents": contents, "base64": True}]
    name = submit(osmo, write(tmp_path, workflow(files=files)))
    assert service.wait(name).status == status


def test_a_large_environment_value_dies_at_the_start(service: OsmoService, osmo: Any, tmp_path: Path) -> None:
    name = submit(osmo, write(tmp_path, workflow(environment={"BIG": "x" * 131_072})))
    found = service.wait(name)
    assert (found.status, any("argument list too long" in line for line in found.lines)) == ("FAILED", True)


@pytest.mark.parametrize("release", ["6.4.0"], indirect=True)
def test_datasets_are_gone_in_6_4(service: OsmoService, osmo: Any, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    document = workflow(inputs=[{"dataset": {"name": "training/code", "localpath": "code"}}])
    done = osmo("workflow", "validate", write(tmp_path, document))
    assert (done.returncode, "4 validation errors" in done.stdout) == (1, True)
    assert osmo("dataset", "info", "training/code").returncode == 2


def test_cancel_lies_about_its_success(service: OsmoService, osmo: Any, tmp_path: Path) -> None:
    service.cluster.hold("RUNNING")
    name = submit(osmo, write(tmp_path, workflow()))
    service.cancel_breaks = True
    done = osmo("workflow", "cancel", name)
    assert (done.returncode, "cancelation failed" in done.stdout) == (0, True)
    service.cancel_breaks = False
    osmo("workflow", "cancel", name, check=True)
    assert service.wait(name).status == "FAILED_CANCELED"


def started(workflow: Any, text: str, times: int = 1) -> None:
    """Wait until a workflow's log has some line so many times."""
    with workflow.changed:
        assert workflow.changed.wait_for(lambda: sum(text in line for line in workflow.lines) == times, LONGEST_S)


def test_nothing_is_run_again_by_default(service: OsmoService, osmo: Any, tmp_path: Path) -> None:
    actions = {"RESCHEDULE": "3006"}
    name = submit(osmo, write(tmp_path, workflow(args=["echo up; exec sleep 30"], exitActions=actions)))
    started(service.workflows[name], "] up")
    service.preempt(name)
    found = service.wait(name)
    message = found.tasks[0].failure_message or ""
    assert (found.status, "No exit action applied due to retry limit 0." in message) == ("FAILED_PREEMPTED", True)


@pytest.mark.parametrize(
    ("take", "code", "status"),
    [
        ("lose_node", 3001, "FAILED_BACKEND_ERROR"),
        ("evict", 3004, "FAILED_EVICTED"),
        ("preempt", 3006, "FAILED_PREEMPTED"),
    ],
)
def test_a_task_that_is_taken_away_gets_no_signal_and_its_lines_a_new_label(
    service: OsmoService, osmo: Any, tmp_path: Path, take: str, code: int, status: str
) -> None:
    service.cluster.max_retry = 1
    script = "trap 'echo asked; exit 0' TERM; echo up; while true; do sleep 0.05; done"
    actions = {"RESCHEDULE": str(code)}
    name = submit(osmo, write(tmp_path, workflow(args=[script], exitActions=actions)))
    started(service.workflows[name], "[main] up")
    getattr(service, take)(name)
    started(service.workflows[name], "[main retry-1] up")
    getattr(service, take)(name)
    found = service.wait(name)
    assert found.status == status
    assert not any("asked" in line for line in found.lines)
    assert "View task error logs at:" in found.lines
    first = osmo("workflow", "logs", name, "-t", "main").stdout
    assert ("[main retry-1] up" in first, "[main] up" in first) == (True, False)


def test_a_stream_that_is_open_at_the_end_misses_it(service: OsmoService, osmo: Any, tmp_path: Path) -> None:
    service.cluster.hold("ENDING")
    name = submit(osmo, write(tmp_path, workflow()))
    stream = subprocess.Popen(["osmo", "workflow", "logs", name], stdout=subprocess.PIPE, text=True)
    assert stream.stdout
    assert [stream.stdout.readline().rstrip()[-5:] for _ in range(2)] == ["logs:", "hello"]
    service.cluster.release()
    service.wait(name)
    with pytest.raises(subprocess.TimeoutExpired):
        stream.wait(0.5)
    stream.kill()
    assert osmo("workflow", "logs", name).stdout.rstrip().endswith("hello")


def test_a_long_line_is_cut_and_lines_have_a_pace(service: OsmoService, osmo: Any, tmp_path: Path) -> None:
    name = submit(osmo, write(tmp_path, workflow(args=["head -c 40000 /dev/zero | tr '\\0' x; echo; echo a; echo b"])))
    began = time.monotonic()
    lines = [line for line in service.wait(name).lines if "] x" in line or line[-1] in "ab"]
    assert [len(line.partition("] ")[2]) for line in lines] == [32768, 7232, 1, 1]
    assert time.monotonic() - began >= 0.2


def test_outputs_without_a_place_are_kept_and_handed_on(service: OsmoService, osmo: Any, tmp_path: Path) -> None:
    first = workflow(args=["echo made > {{output}}/file.txt; exit 3"])
    name = submit(osmo, write(tmp_path, first))
    assert service.wait(name).status == "FAILED"
    second = workflow(args=["cat {{input:0}}/file.txt"], inputs=[{"task": f"{name}:main"}])
    found = service.wait(submit(osmo, write(tmp_path, second)))
    assert any(line.endswith("[main] made") for line in found.lines)
    assert service.storage.uploads == []


def test_tasks_wait_for_those_whose_outputs_they_read(service: OsmoService, osmo: Any, tmp_path: Path) -> None:
    tasks = [
        {"name": "a", "image": "i", "command": ["/bin/sh", "-c"], "args": ["echo from-a > {{output}}/x; exit $CODE"]},
        {"name": "b", "image": "i", "command": ["cat", "{{input:a}}/x"], "inputs": [{"task": "a"}]},
    ]
    wrong = osmo("workflow", "submit", write(tmp_path, {"workflow": {"name": "chain", "tasks": tasks[::-1]}}))
    assert (wrong.returncode, "exists before itself" in wrong.stdout) == (1, True), wrong.stdout
    for code, status in (("0", "COMPLETED"), ("5", "FAILED")):
        tasks[0]["environment"] = {"CODE": code}
        name = submit(osmo, write(tmp_path, {"workflow": {"name": "chain", "tasks": tasks}}))
        found = service.wait(name)
        assert found.status == status
        assert any(line.endswith("[b] from-a") for line in found.lines) == (code == "0")
    assert {task.spec.name: task.status for task in found.tasks}["b"] == "FAILED_UPSTREAM"
    tasks[0]["environment"] = {"CODE": "0"}
    again = json.loads(osmo("workflow", "restart", name, "-t", "json", check=True).stdout)["name"]
    assert [task.spec.name for task in service.wait(again).tasks] == ["a", "b"]


def test_an_answer_that_comes_too_late(
    service: OsmoService, osmo: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_READ_TIMEOUT_S", "0.5")
    service.answer_late("/workflow")
    done = osmo("workflow", "submit", write(tmp_path, workflow()))
    assert (done.returncode, "Read timed out" in done.stdout) == (10, True)
    assert [found.status for found in service.workflows.values()] != []


def test_two_installations_give_the_same_ids(
    service: OsmoService, osmo: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = OsmoService(tmp_path / "other", "6.3.1", service.storage)
    other.start()
    log_in(tmp_path / "other-login", other.url)
    path = write(tmp_path, workflow())
    first = submit(osmo, path)
    monkeypatch.setenv("OSMO_CONFIG_FILE_DIR", str(tmp_path / "other-login"))
    assert submit(osmo, path) == first
    other.close()


def test_a_folder_is_what_is_listed(service: OsmoService, osmo: Any) -> None:
    service.storage.put("s3://b/payloads/x.zip", b"zip")
    service.storage.put("s3://b/payloads/more/y.zip", b"zip")
    assert "x.zip" not in osmo("data", "list", "s3://b/payloads/x.zip", "--no-pager").stdout
    assert "payloads/x.zip" in osmo("data", "list", "s3://b/payloads", "--prefix", "x.zip", "--no-pager").stdout
    listed = osmo("data", "list", "s3://b/payloads", "--no-pager").stdout.split()[:2]
    assert sorted(listed) == ["payloads/more/", "payloads/x.zip"]


def test_a_pod_has_the_command_and_its_users_login(service: OsmoService, osmo: Any, tmp_path: Path) -> None:
    script = "echo hi > /tmp/note; osmo data upload s3://b/out /tmp/note; osmo workflow query plat-1 | head -c 6"
    found = service.wait(submit(osmo, write(tmp_path, workflow(args=[script]))))
    assert any(line.endswith("] Status") for line in found.lines), found.lines
    assert service.storage.path("s3://b/out/note").read_text() == "hi\n"


def test_a_shell_into_a_pod(service: OsmoService, osmo: Any, tmp_path: Path) -> None:
    service.rsync_enabled = True
    name = submit(osmo, write(tmp_path, workflow(args=["echo inside > /tmp/x; echo up; exec sleep 30"])))
    started(service.workflows[name], "] up")
    words = ("workflow", "exec", name, "main", "--entry", "cat /tmp/x")
    assert osmo(*words).returncode == 2, "it needs a terminal"
    spawn = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    shown = subprocess.run(
        [sys.executable, "-c", spawn, "osmo", *words], capture_output=True, text=True, timeout=LONGEST_S
    )
    assert (shown.returncode, shown.stdout.split()) == (0, ["inside"])
    note = tmp_path / "note.txt"
    note.write_text("carried")
    osmo("workflow", "rsync", "upload", name, "main", f"{note}:/osmo/run/workspace", check=True)
    osmo("workflow", "rsync", "download", name, "main", f"/osmo/run/workspace/note.txt:{tmp_path / 'back'}", check=True)
    assert (tmp_path / "back/note.txt").read_text() == "carried"
    assert osmo("workflow", "rsync", "download", name, "main", f"/tmp/x:{tmp_path}").returncode == 2
    assert "Started" in osmo("workflow", "events", name).stdout
    osmo("workflow", "cancel", name, check=True)
    service.wait(name)
    assert osmo("workflow", "exec", name, "main").returncode == 2


def test_exit_codes_of_a_service_that_is_not_well(service: OsmoService, osmo: Any, tmp_path: Path) -> None:
    path = write(tmp_path, workflow())
    assert osmo("workflow", "submit", path, "--pool", "nopool").returncode == 2
    assert osmo("workflow", "query", "nope-1").returncode == 2
    service.fail_next("api/workflow", 429)
    assert osmo("workflow", "list").returncode == 75
    service.fail_next("api/workflow", 503)
    assert osmo("workflow", "list").returncode == 10
    log_in(tmp_path / "login", service.url, token=True)
    service.login_expired = True
    expired = osmo("workflow", "list", "-t", "json")
    assert (expired.returncode, "osmo login" in json.loads(expired.stdout)["message"]) == (10, True)
    log_in(tmp_path / "login", service.url)
    service.stop()
    assert osmo("workflow", "list").returncode == 10
    (tmp_path / "login/login.yaml").unlink()
    assert osmo("workflow", "list").returncode == 2
