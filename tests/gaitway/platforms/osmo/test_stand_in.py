"""The stand-in behaves as the real OSMO was measured to behave: what every other test here rests on."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes.osmo import OsmoService, Pod, log_in
from fakes.osmo.pod import namespaces


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
    assert (found.status, "argument list too long" in found.lines[-1]) == ("FAILED", True)


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


def test_a_preempted_task_is_run_again_and_an_evicted_one_is_not(
    service: OsmoService, osmo: Any, tmp_path: Path
) -> None:
    service.cluster.hold("ENDING")
    name = submit(osmo, write(tmp_path, workflow(args=["echo up; exec sleep 30"])))
    for attempt in (1, 2):
        found = service.workflows[name]
        with found.changed:
            assert found.changed.wait_for(lambda: sum("] up" in line for line in found.lines) == attempt, 20)  # noqa: B023
        service.preempt(name) if attempt == 1 else service.evict(name)
    service.cluster.release()
    assert service.wait(name).status == "FAILED_EVICTED"


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
