import errno
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gaitway_runtime import __main__ as entry
from gaitway_runtime.jobs import base as jobs
from gaitway_runtime.spec import result as results
from gaitway_runtime.spec.errors import GateFailed, JobFailed, UsageError
from gaitway_runtime.spec.job import InferJob, Job, ShipJob, TrainJob, ValidateJob
from gaitway_runtime.spec.job_document import to_document
from gaitway_runtime.spec.result import Result
from gaitway_runtime.spec.run_context import RunContext

Run = Callable[[Job, RunContext, jobs.Workspace], Result]


def write_job(folder: Path, job: Job) -> Path:
    path = folder / "job.json"
    path.write_text(json.dumps(to_document(job, RunContext(run="cartpole-1"))))
    return path


@pytest.fixture
def with_job_module(monkeypatch: pytest.MonkeyPatch) -> Callable[[Run], None]:
    def use(run: Run) -> None:
        monkeypatch.setattr(jobs, "load", lambda kind: SimpleNamespace(run=run))

    return use


@pytest.fixture(autouse=True)
def _signals_as_before() -> Any:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_result_lies_beside_the_job_and_gives_the_exit_code(tmp_path: Path, with_job_module: Any) -> None:
    with_job_module(lambda job, context, workspace: Result(kind=job.kind, task=job.task, status="succeeded"))
    assert entry.main(["--job", str(write_job(tmp_path, TrainJob(task="Isaac-Ant-v0")))]) == 0
    result = results.read(tmp_path / "outputs")
    assert result is not None
    assert (result.status, result.task) == ("succeeded", "Isaac-Ant-v0")
    assert result.seconds > 0


@pytest.mark.parametrize(
    ("origin", "source"), [("env GAITWAY_ACTIVATION", "env GAITWAY_ACTIVATION"), ("cli --activation", "--activation")]
)
def test_an_error_names_what_the_value_came_from(
    tmp_path: Path, with_job_module: Any, capsys: pytest.CaptureFixture[str], origin: str, source: str
) -> None:
    def refuse(*_: object) -> Result:
        raise UsageError("unknown activation 'eluu'", source="--activation; agent.yaml, --num-envs")

    with_job_module(refuse)
    context = RunContext(tags={"gaitway.setting.activation": f"eluu ({origin})"})
    (tmp_path / "job.json").write_text(json.dumps(to_document(InferJob(task="T"), context)))
    assert entry.main(["--job", str(tmp_path / "job.json")]) == 2
    result = results.read(tmp_path / "outputs")
    assert result is not None and result.error is not None
    assert result.error["from"] == f"{source}; agent.yaml, --num-envs"
    assert f"  from: {source}; agent.yaml, --num-envs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("job", "beside"),
    [
        (TrainJob(task="T"), True),
        (TrainJob(task="T", checkpoint_mode="resume", checkpoint_uri="runs:/0123/checkpoints"), True),
        (ValidateJob(task="T"), True),
        (InferJob(task="T", checkpoint_uri="model_1.pt"), True),
        (ShipJob(task="T"), False),
    ],
)
def test_a_job_here_has_mlflow_imported_beside_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, job: Job, beside: bool
) -> None:
    begun: list[str] = []
    monkeypatch.setattr(entry, "begin_early", begun.append)
    entry._store_beside(entry.Assignment(job, RunContext(), home))
    assert begun == ([f"sqlite:///{home}/mlflow.db"] if beside else []), "each job of a chain has its own"


def test_an_error_is_one_sentence_with_its_notes(
    tmp_path: Path, with_job_module: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(job: Job, context: RunContext, workspace: jobs.Workspace) -> Result:
        raise GateFailed("survival is 0.4", allowed="0.7 or more", hint="train longer")

    with_job_module(run)
    assert entry.main(["--job", str(write_job(tmp_path, ValidateJob()))]) == 5
    assert capsys.readouterr().err.splitlines() == [
        "error: survival is 0.4",
        "  allowed: 0.7 or more",
        "  hint: train longer",
    ]
    result = results.read(tmp_path / "outputs")
    assert result is not None and result.error is not None
    assert (result.status, result.exit_code, result.error["hint"]) == ("failed", 5, "train longer")


def test_an_unexpected_error_reaches_the_result_and_its_traceback_the_log(
    tmp_path: Path, with_job_module: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(job: Job, context: RunContext, workspace: jobs.Workspace) -> Result:
        raise ZeroDivisionError("oops")

    with_job_module(run)
    assert entry.main(["--job", str(write_job(tmp_path, TrainJob()))]) == 1
    assert "Traceback" in capsys.readouterr().err
    result = results.read(tmp_path / "outputs")
    assert result is not None and result.error is not None
    assert result.status == "failed"
    assert result.error["message"] == "the job ended unexpectedly: ZeroDivisionError: oops"


def test_a_full_disk_is_a_sentence_with_what_is_safe_and_no_traceback(
    tmp_path: Path, with_job_module: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(job: Job, context: RunContext, workspace: jobs.Workspace) -> Result:
        raise OSError(errno.ENOSPC, "No space left on device", "/data/params/agent.yaml")

    with_job_module(run)
    assert entry.main(["--job", str(write_job(tmp_path, TrainJob()))]) == 1
    said = capsys.readouterr().err
    assert "the job's files cannot be written: No space left on device, " in said
    assert "from: /data/params/agent.yaml" in said and "checkpoints that are complete are safe" in said
    assert "Traceback" not in said


def test_an_output_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "outputs").write_text("a file")
    assert entry.main(["--job", str(write_job(tmp_path, TrainJob()))]) == 1
    said = capsys.readouterr().err
    assert "FileExistsError" in said and "Traceback" not in said


def test_a_number_that_json_does_not_have_leaves_a_result(tmp_path: Path, with_job_module: Any) -> None:
    metrics = {"reward": math.nan, "parts": [1.0, math.inf]}
    with_job_module(lambda *_: Result(kind="train", task="T", status="succeeded", metrics=metrics))
    assert entry.main(["--job", str(write_job(tmp_path, TrainJob()))]) == 0
    result = results.read(tmp_path / "outputs")
    assert result is not None and result.metrics == {"reward": None, "parts": [1.0, None]}


def test_an_older_result_is_gone_as_soon_as_the_job_starts(tmp_path: Path, with_job_module: Any) -> None:
    results.write(Result(kind="train", task="x", status="succeeded"), tmp_path / "outputs")

    def run(job: Job, context: RunContext, workspace: jobs.Workspace) -> Result:
        assert results.read(workspace.output_dir) is None
        raise JobFailed("no")

    with_job_module(run)
    assert entry.main(["--job", str(write_job(tmp_path, TrainJob()))]) == 1


def test_a_job_file_that_is_none_is_a_usage_error_with_a_result(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text("{")
    assert entry.main(["--job", str(tmp_path / "job.json")]) == 2
    result = results.read(tmp_path / "outputs")
    assert result is not None
    assert result.status == "failed"


def test_without_a_file_the_job_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {"TASK": "Isaac-Ant-v0", "MAX_ITERATIONS": "7", "AZURE_RESOURCE_GROUP": "rg-example"}
    found = entry.read_assignment(None, environ)
    assert found.job == TrainJob(task="Isaac-Ant-v0", max_iterations=7)
    assert found.context.azure.resource_group == "rg-example"
    assert found.output_dir == tmp_path / "outputs"


def test_a_module_that_cannot_be_imported_is_named_with_all_that_were_asked_for(
    tmp_path: Path, with_job_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_tasks_good.py").write_text("registered = True")
    (tmp_path / "own_tasks_bad.py").write_text("import surely_not_installed")
    monkeypatch.syspath_prepend(tmp_path)
    with_job_module(lambda *_: pytest.fail("the job must not start"))
    job = TrainJob(simulator="auto", imports=("own_tasks_good", "own_tasks_bad"))
    monkeypatch.setattr(entry.simulators, "choose", lambda name: "mujoco")
    assert entry.main(["--job", str(write_job(tmp_path, job))]) == 2
    result = results.read(tmp_path / "outputs")
    assert result is not None and result.error is not None
    assert "'own_tasks_bad'" in result.error["message"] and "surely_not_installed" in result.error["message"]
    assert result.error["from"] == "--import own_tasks_good --import own_tasks_bad"


def test_waiting_after_unpacking_ends_with_a_signal_even_where_the_shell_had_sigint_ignored(tmp_path: Path) -> None:
    path = write_job(tmp_path, TrainJob(sleep_after_unpack=3600))
    process = subprocess.Popen(
        [sys.executable, "-m", "gaitway_runtime", "--job", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("INFO | waiting 3600 s")
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "error: the job was asked to stop (SIGINT)" in errors
    result = results.read(tmp_path / "outputs")
    assert result is not None
    assert (result.status, result.exit_code) == ("cancelled", 130)


def test_thread_settings_of_the_user_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    entry.main(["--job", str(tmp_path / "missing.json")])
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
