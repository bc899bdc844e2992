"""What ``--dry-run`` shows: the workflow, offline, checked, and the same for the same question."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes.osmo import rendering, schema
from fakes.osmo.errors import OsmoError

from gaitway.platforms.osmo import checks, entry, workflow
from gaitway.platforms.osmo.payload import INLINE_LIMIT

STORAGE = ("--storage-uri", "azure://account/container/robots")

CASES: dict[str, tuple[str, ...]] = {
    "train": ("train",),
    "train-upload": ("train", "--payload", "upload", *STORAGE),
    "train-dataset": (
        "train",
        "--payload",
        "dataset",
        "--dataset-bucket",
        "custom",
        "--dataset-name",
        "my-training-v1",
    ),
    "train-two-nodes": ("train", "--num-nodes", "2", "--num-gpus", "4", *STORAGE),
    "infer": ("infer", "--checkpoint-uri", "runs:/abc123/checkpoints/final/model_999.pt"),
    "validate": ("validate", "--model-name", "my-model"),
    "ship": ("ship", "--task", "Isaac-Ant-v0", "--queue-timeout", "2h", *STORAGE),
    "sweep": (
        *("sweep", "train", "--task", "Isaac-Ant-v0", "--vary", "agent.algorithm.learning_rate=log(1e-4,1e-2)"),
        *("--vary", "num_envs=1024,4096", "--trials", "2", "--seeds", "2", "--set", "agent.algorithm.gamma=0.98"),
        *STORAGE,
    ),
    "infer-after-training": ("infer", "--checkpoint-uri", "osmo:plat-3/isaac-training/outputs/checkpoints"),
}


def planned(gaitway: Any, *words: str) -> Any:
    verb = 2 if words[0] == "sweep" else 1
    ran = gaitway(*words[:verb], "--on", "osmo", *words[verb:], "--dry-run", "--json")
    assert ran.code == 0, ran.err
    return ran


def dry_run(gaitway: Any, *words: str) -> dict[str, Any]:
    """Return the workflow document that a command would submit."""
    ran = planned(gaitway, *words)
    found: dict[str, Any] = yaml.safe_load(ran.json["request"]["body"])
    return found


def only_task(found: dict[str, Any]) -> dict[str, Any]:
    (task,) = found["workflow"]["tasks"]
    return dict(task)


def masked(text: str) -> str:
    """Leave out of a workflow what changes with the code that is shipped."""
    text = re.sub(r"(contents: )[A-Za-z0-9+/=]{200,}", r"\1<entry.py>", text)
    text = re.sub(r"[0-9a-f]{64}", "<sha256>", text)
    text = re.sub(r"\b[0-9a-f]{32}\b", "<run_id>", text)
    text = re.sub(r"gaitway-[0-9a-f]{16}", "gaitway-<sha256>", text)
    return "".join(
        line for line in text.splitlines(keepends=True) if "gaitway.commit" not in line and "gaitway.dirty" not in line
    )


@pytest.mark.parametrize("case", CASES)
def test_the_workflow_is_as_recorded(gaitway: Any, golden: Callable[[str, str], None], case: str) -> None:
    ran = planned(gaitway, *CASES[case])
    golden(f"osmo/{case}.yaml", masked(ran.json["request"]["body"]))


@pytest.mark.parametrize("release", ["6.2.10", "6.3.1", "6.4.0"])
@pytest.mark.parametrize("case", CASES)
def test_every_release_takes_the_workflow(gaitway: Any, case: str, release: str) -> None:
    found = dry_run(gaitway, *CASES[case])
    tasks = [*found["workflow"].get("tasks", []), *(t for g in found["workflow"].get("groups", []) for t in g["tasks"])]
    for file in (file for task in tasks for file in task["files"] if "localpath" in file):
        file["contents"] = file.pop("localpath")
    if case == "train-dataset" and release == "6.4.0":
        with pytest.raises(OsmoError, match="4 validation errors"):
            schema.check(found, datasets=False)
        return
    assert schema.check(found, datasets=release < "6.4").name


def test_a_dry_run_needs_no_osmo_and_leaves_nothing(gaitway: Any, project: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    ran = gaitway("train", "--on", "osmo", "--dry-run")
    assert ran.code == 0
    assert "travels inside the request" in ran.out
    assert list(project.iterdir()) == []


def test_the_job_travels_as_its_document(gaitway: Any) -> None:
    task = only_task(dry_run(gaitway, "train", "--task", "Isaac-Ant-v0", "--num-envs", "64"))
    (file,) = (file for file in task["files"] if file["path"].endswith("job.json"))
    job = json.loads(file["contents"])
    assert (job["kind"], job["job"]["task"], job["job"]["num_envs"]) == ("train", "Isaac-Ant-v0", 64)


def test_the_entry_script_is_the_source_as_it_is(gaitway: Any) -> None:
    task = only_task(dry_run(gaitway, "train"))
    (file,) = (file for file in task["files"] if file["path"].endswith("entry.py"))
    assert base64.b64decode(file["contents"]) == Path(entry.__file__).read_bytes()


@pytest.mark.parametrize(
    "value", ["{{ 7 * 7 }}", "{% raw %}x{% endraw %}", "{# note #}", "a{{output}}b", 'q"\n: &x *y']
)
def test_what_a_user_writes_is_rendered_by_nobody(gaitway: Any, value: str) -> None:
    text = yaml.safe_dump(dry_run(gaitway, "train", "--set", f"agent.note={value}"))
    for _ in range(2):  # OSMO renders twice
        text = yaml.safe_dump(yaml.safe_load(rendering.expand(text, (), ())))
    (file,) = (file for file in only_task(yaml.safe_load(text))["files"] if file["path"].endswith("job.json"))
    assert json.loads(file["contents"])["job"]["overrides"] == [f"agent.note={value}"]


def test_a_template_in_a_name_is_refused(gaitway: Any) -> None:
    ran = gaitway("train", "--on", "osmo", "--image", "repo/{{ image }}", "--dry-run")
    assert ran.code == 2
    assert "OSMO would render '{{'" in ran.err


def large_payload(folder: Path, size: int) -> Path:
    """Make a payload whose archive has exactly so many bytes: stored runtime, and random bytes that do not shrink."""
    from gaitway.payload.archive import packed
    from gaitway.payload.select import select

    target = folder / "training"
    (target / "gaitway_runtime").mkdir(parents=True)
    (target / "gaitway_runtime/__init__.py").write_text("")
    noise = target / "noise.bin"
    noise.write_bytes(os.urandom(size))
    for _ in range(8):
        missing = size - len(packed(select(str(target)), listed=True))
        if missing == 0:
            return target
        content = noise.read_bytes()
        noise.write_bytes(content[:missing] if missing < 0 else content + os.urandom(missing))
    raise AssertionError("the size was not met")


@pytest.mark.parametrize(("more", "route"), [(0, "payload.zip.b64"), (1, "gaitway-")])
def test_the_last_byte_decides_the_route(gaitway: Any, tmp_path: Path, more: int, route: str) -> None:
    folder = large_payload(tmp_path, INLINE_LIMIT + more)
    task = only_task(dry_run(gaitway, "train", "--training-path", str(folder)))
    assert route in yaml.safe_dump(task)
    assert ("inputs" in task) == bool(more)


def test_too_much_for_an_explicit_inline_names_the_largest_files(gaitway: Any, tmp_path: Path) -> None:
    folder = large_payload(tmp_path, INLINE_LIMIT + 1)
    ran = gaitway("train", "--on", "osmo", "--training-path", str(folder), "--payload", "inline", "--dry-run")
    assert ran.code == 2
    assert "1,048,577 bytes; 1,048,576 travel inside a request" in ran.err
    assert "noise.bin" in ran.err


def test_above_the_limit_storage_is_preferred_where_it_is_named(gaitway: Any, tmp_path: Path) -> None:
    folder = large_payload(tmp_path, INLINE_LIMIT + 1)
    task = only_task(dry_run(gaitway, "train", "--training-path", str(folder), *STORAGE))
    assert task["inputs"][0]["url"].startswith("azure://account/container/robots/payloads/")


def test_nothing_large_is_an_argument_or_a_variable(gaitway: Any, tmp_path: Path) -> None:
    folder = large_payload(tmp_path, INLINE_LIMIT)
    task = only_task(dry_run(gaitway, "train", "--training-path", str(folder)))
    assert max(map(len, [*task["command"], *task["args"], *task["environment"].values()])) < 1000


def test_names_and_sizes_can_be_set(gaitway: Any) -> None:
    sizes = ("--cpu", "30", "--memory", "400Gi", "--storage", "200Gi", "--num-gpus", "2")
    names = ("--platform", "dgx-h100", "--workflow-name", "my-run", "--exec-timeout", "2d")
    found = dry_run(gaitway, "train", *sizes, *names)["workflow"]
    resource = {"cpu": 30, "gpu": 2, "memory": "400Gi", "storage": "200Gi", "platform": "dgx-h100"}
    assert (found["name"], found["resources"]["default"], found["timeout"]) == (
        "my-run",
        resource,
        {"exec_timeout": "2d"},
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--memory", "32GB"), "memory is not a size that OSMO reads: 32GB"),
        (("--exec-timeout", "1d 2h"), "exec_timeout is not a time that OSMO reads"),
        (("--workflow-name", "n" * 65), "the workflow's name has 65 characters"),
        (("--workflow-name", "1st"), "'1st' cannot be the name of a workflow"),
        (("--num-nodes", "21"), "the workflow has 21 tasks"),
        (("--storage-uri", "https://account.blob.core.windows.net/c"), "OSMO cannot read or write https://"),
        (("--credential", "azure"), "'azure' does not say which credential goes where"),
    ],
)
def test_what_osmo_would_refuse_is_refused_here(gaitway: Any, words: tuple[str, ...], message: str) -> None:
    ran = gaitway("train", "--on", "osmo", *words, "--dry-run")
    assert (ran.code, message in ran.err) == (2, True), ran.err


def test_credentials_reach_the_task_by_name_only(gaitway: Any) -> None:
    words = ("--credential", "mlflow:MLFLOW_TRACKING_TOKEN=token", "--credential", "azure:/secrets/azure")
    task = only_task(dry_run(gaitway, "train", *words))
    assert task["credentials"] == {"mlflow": {"MLFLOW_TRACKING_TOKEN": "token"}, "azure": "/secrets/azure"}


def base_document() -> dict[str, Any]:
    task = {"name": "main", "image": "ubuntu", "command": ["sh"], "args": [], "environment": {}, "files": []}
    return {"workflow": {"name": "plat", "tasks": [task], "resources": {"default": {"cpu": 1}}}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"comand": ["x"]}, "OSMO knows no 'comand' in a task"),
        ({"resource": "big"}, "undefined resource: big"),
        ({"args": ["{{input:0}}"]}, "{{input:0}} in args[0] names nothing"),
        ({"environment": {"N": 1}}, "variable N is not a text"),
        ({"environment": {"N": "x" * 100_001}}, "variable N has 100,001 bytes"),
        ({"files": [{"path": "/osmo/x", "contents": ""}]}, "a file cannot be mounted at '/osmo/x'"),
        ({"files": [{"path": "/x", "contents": "%%%", "base64": True}]}, "the contents are not base64"),
        ({"files": [{"path": "/x", "contents": "x" * 1_048_577}]}, "a mounted file has 1,048,577 bytes"),
        ({"exitActions": {"RESCHEDULE": "1-x"}}, "exit action RESCHEDULE: 1-x"),
    ],
)
def test_a_document_is_checked_in_every_part(change: dict[str, Any], message: str) -> None:
    found = base_document()
    checks.check(found, "the workflow")
    found["workflow"]["tasks"][0] |= change
    with pytest.raises(checks.UsageError, match=re.escape(message)):
        checks.check(found, "the workflow")


@pytest.mark.parametrize("leads", [0, 2])
def test_a_group_has_one_lead(leads: int) -> None:
    found = base_document()
    task = found["workflow"].pop("tasks")[0]
    tasks = [{**task, "name": f"t{index}", "lead": index < leads} for index in range(2)]
    found["workflow"]["groups"] = [{"name": "workers", "tasks": tasks}]
    with pytest.raises(checks.UsageError, match=f"the group has {leads} leads"):
        checks.check(found, "the workflow")


@pytest.mark.parametrize("value", [{"a": {}}, {"{{": "{%"}, {"x": ["{#", {"y": "\\{{"}]}])
def test_inert_json_is_the_same_json(value: Any) -> None:
    text = workflow.escape_marks(value)
    assert json.loads(text) == value
    assert not any(mark in text for mark in ("{{", "{%", "{#"))


def test_each_task_of_a_sweep_is_a_run_of_its_own(gaitway: Any) -> None:
    tasks = dry_run(gaitway, *CASES["sweep"])["workflow"]["tasks"]
    assert [task["name"] for task in tasks] == [f"trial-{n}-s{s}" for n in ("001", "002") for s in (42, 43)]
    documents = [json.loads(task["files"][0]["contents"]) for task in tasks]
    jobs = [document["job"] for document in documents]
    assert [job["seed"] for job in jobs] == [42, 43, 42, 43]
    assert jobs[0]["overrides"] == jobs[1]["overrides"] != jobs[2]["overrides"]
    assert jobs[0]["overrides"][0] == "agent.algorithm.gamma=0.98"
    assert all(job["num_envs"] in (1024, 4096) and job["skip_register_checkpoint"] for job in jobs)
    ids = {document["context"]["run_id"] for document in documents}
    assert len(ids) == 4, "trials must not resume from each other's checkpoints"
    assert len({task["environment"]["KEEP_AT"] for task in tasks}) == 4


def test_a_sweep_of_more_tasks_than_a_workflow_may_have_is_refused(gaitway: Any) -> None:
    ran = gaitway("sweep", "train", "--on", "osmo", "--vary", "num_envs=int(1,99)", "--trials", "21", "--dry-run")
    assert ran.code == 2
    assert "at most 20 on OSMO" in ran.err


def test_a_training_without_a_server_gets_one_beside_it_where_that_is_asked(gaitway: Any) -> None:
    asked = ("--with-tracking",)
    ran = planned(gaitway, "train", *asked)
    (task,) = yaml.safe_load(ran.json["request"]["body"])["workflow"]["tasks"]
    assert task["environment"]["TRACKING_PORT"] == "5000"
    assert "gaitway port-forward RUN 5000" in ran.out
    tasks = dry_run(gaitway, *CASES["ship"], *asked)["workflow"]["tasks"]
    assert [task["name"] for task in tasks if "TRACKING_PORT" in task["environment"]] == ["isaac-training"]
    named = planned(gaitway, "train", *asked, "--tracking-uri", "https://mlflow.example.com")
    assert "TRACKING_PORT" not in named.json["request"]["body"]
    assert "--with-tracking adds nothing" in named.out
    wrong = gaitway(*CASES["infer"], "--on", "osmo", *asked, "--dry-run")
    assert (wrong.code, "is for a training in gaitway's own workflow" in wrong.err) == (2, True), wrong.err
