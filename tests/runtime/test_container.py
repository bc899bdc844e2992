"""What happens in a container before and after the job itself."""

from __future__ import annotations

import importlib.metadata
import json
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gaitway_runtime import container
from gaitway_runtime.errors import UsageError
from gaitway_runtime.job import RunContext, TrainJob, ValidateJob, to_document


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return the pip commands that were run; the lines of their constraints come last."""
    found: list[list[str]] = []

    def run(command: list[str], check: bool) -> Any:
        constraints = Path(command[command.index("--constraint") + 1]).read_text().split()
        found.append([*command, *constraints])
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", run)
    return found


def test_only_what_is_missing_is_installed(tmp_path: Path, pip: list[list[str]]) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# a comment\npytest>=1  # there\nno-such-thing==1.0\nalso_missing[extra]>=2\n\n")
    installed = container.install_requirements(requirements, {})
    assert installed == ["no-such-thing==1.0", "also_missing[extra]>=2"]
    (command,) = pip
    assert command[:4] == [sys.executable, "-m", "pip", "install"]
    assert f"numpy=={importlib.metadata.version('numpy')}" in command
    assert not any(word.startswith("pytest") for word in command)


@pytest.mark.parametrize(
    ("text", "environ"), [("pytest\n", {}), ("nothing-of-this\n", {"GAITWAY_REQUIREMENTS": "skip"})]
)
def test_nothing_is_installed_where_nothing_is_to_be(
    tmp_path: Path, pip: list[list[str]], text: str, environ: dict[str, str]
) -> None:
    (tmp_path / "requirements.txt").write_text(text)
    assert container.install_requirements(tmp_path / "requirements.txt", environ) == []
    assert container.install_requirements(tmp_path / "none.txt", {}) == []
    assert pip == []


def job_file(folder: Path, document: dict[str, Any]) -> dict[str, str]:
    path = folder / "mounted.json"
    path.write_text(json.dumps(document))
    return {"JOB_FILE": str(path)}


def test_the_document_becomes_the_runs_own(tmp_path: Path) -> None:
    environ = job_file(tmp_path, to_document(TrainJob(), RunContext(run="r", platform="osmo", tags={"a": "b"})))
    path = container.prepare_job(tmp_path / "run", {**environ, "ATTEMPT_OF": "plat-7"})
    document = json.loads(path.read_text())
    assert document["context"]["tags"] == {"a": "b", "gaitway.attempt_of": "plat-7"}
    assert (tmp_path / "run/outputs/checkpoints").is_dir()


@pytest.mark.parametrize("text", ["", "{}", '{"schema": 99}'])
def test_what_is_no_job_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "job.json"
    path.write_text(text)
    with pytest.raises(UsageError):
        container.prepare_job(tmp_path / "run", {"JOB_FILE": str(path)})
    assert not (tmp_path / "run").exists()


def test_a_training_goes_on_from_the_newest_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "saved" / "checkpoints"
    folder.mkdir(parents=True)
    for name in ("model_9.pt", "model_100.pt", "model_x.pt", "policy.pt"):
        (folder / name).touch()
    job = container.restored(
        TrainJob(checkpoint_uri="runs:/1/x", checkpoint_mode="warm-start"), str(tmp_path / "saved")
    )
    assert job == TrainJob(checkpoint_uri=str(folder / "model_100.pt"), checkpoint_mode="resume")


@pytest.mark.parametrize("job", [TrainJob(), ValidateJob()])
def test_there_may_be_nothing_to_go_on_from(tmp_path: Path, job: Any) -> None:
    if isinstance(job, ValidateJob):
        (tmp_path / "model_1.pt").touch()
    for folder in ("", str(tmp_path), str(tmp_path / "none")):
        assert container.restored(job, folder) == job


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, []),
        ({"NUM_GPUS": "0"}, []),
        ({"NUM_GPUS": "4"}, ["--nnodes=1", "--nproc_per_node=4", "--node_rank=0", "--rdzv_endpoint=localhost:5555"]),
        (
            {"NUM_NODES": "2", "NUM_GPUS": "8", "NODE_RANK": "0", "RENDEZVOUS": "lead.svc:6000"},
            ["--nnodes=2", "--nproc_per_node=8", "--node_rank=0", "--rdzv_endpoint=localhost:6000"],
        ),
        (
            {"NUM_NODES": "2", "NODE_RANK": "1", "RENDEZVOUS": "lead.svc:6000"},
            ["--nnodes=2", "--nproc_per_node=1", "--node_rank=1", "--rdzv_endpoint=lead.svc:6000"],
        ),
    ],
)
def test_one_process_per_gpu(environ: dict[str, str], words: list[str]) -> None:
    command = container.launcher(environ)
    assert command[0] == sys.executable
    assert [word for word in command if word.startswith("--") and "rdzv_id" not in word and "c10d" not in word] == words


@pytest.mark.parametrize("environ", [{"NUM_GPUS": "two"}, {"NUM_NODES": "2"}])
def test_a_launch_that_cannot_be_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        container.launcher(environ)


def test_a_request_to_stop_reaches_the_job() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))\n"
        "os.kill(os.getppid(), signal.SIGTERM)\n"
        "signal.pause()\n"
    )
    try:
        assert container.run([sys.executable, "-c", code]) == 130
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_the_result_is_told_in_one_line_by_one_node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    container.report(tmp_path, {})
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    (outputs / "result.json").write_text(json.dumps({"status": "succeeded", "text": "a\nb"}, indent=2))
    container.report(tmp_path, {"NODE_RANK": "1"})
    assert capsys.readouterr().out == ""
    container.report(tmp_path, {"NODE_RANK": "0"})
    line = capsys.readouterr().out
    assert line.startswith(container.RESULT_MARK)
    assert json.loads(line.removeprefix(container.RESULT_MARK)) == {"status": "succeeded", "text": "a\nb"}
    assert line.count("\n") == 1


def test_a_container_without_a_job_ends_as_misused(monkeypatch: Any, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("JOB_FILE", "/nowhere/job.json")
    monkeypatch.setenv("GAITWAY_REQUIREMENTS", "skip")
    assert container.main() == 2
    assert "the job file cannot be read" in capsys.readouterr().err
