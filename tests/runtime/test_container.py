"""What happens in a container before and after the job itself."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gaitway_runtime import container
from gaitway_runtime.errors import UsageError
from gaitway_runtime.job import RunContext, TrainJob, ValidateJob, to_document
from gaitway_runtime.keeping import Keeper


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


def test_an_installation_that_changes_the_containers_own_packages_ends_the_job(
    tmp_path: Path, pip: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "requirements.txt").write_text("no-such-thing==1.0\n")
    versions = iter((["torch==2.7.0"], ["torch==2.13.0"]))
    monkeypatch.setattr(container, "_protected", lambda: next(versions))
    with pytest.raises(UsageError, match=r"changed the container's own packages: torch==2\.7\.0"):
        container.install_requirements(tmp_path / "requirements.txt", {})


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
    ("environ", "wanted"),
    [
        ({}, [{}]),
        ({"NUM_GPUS": "0"}, [{}]),
        (
            {"NUM_NODES": "2", "NUM_GPUS": "2", "NODE_RANK": "0", "RENDEZVOUS": "lead.svc:6000"},
            [
                {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "4", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "6000"},
                {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "6000"},
            ],
        ),
        (
            {"NUM_NODES": "2", "NODE_RANK": "1", "RENDEZVOUS": "lead.svc"},
            [{"RANK": "1", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "lead.svc", "MASTER_PORT": "5555"}],
        ),
    ],
)
def test_one_process_per_gpu(environ: dict[str, str], wanted: list[dict[str, str]]) -> None:
    places = container.places_of(TrainJob(), environ)
    assert [{name: place[name] for name in want} for place, want in zip(places, wanted, strict=True)] == wanted


def test_on_one_node_the_processes_meet_at_a_port_that_is_free_and_share_its_cores() -> None:
    first, second = container.places_of(TrainJob(), {"NUM_GPUS": "2"})
    assert first["MASTER_PORT"] == second["MASTER_PORT"] != ""
    assert (first["LOCAL_WORLD_SIZE"], second["RANK"]) == ("2", "1")
    assert int(first["OMP_NUM_THREADS"]) >= 1


def test_what_is_not_a_training_needs_one_process() -> None:
    assert container.places_of(ValidateJob(), {"NUM_GPUS": "8"}) == [{}]


@pytest.mark.parametrize("environ", [{"NUM_GPUS": "two"}, {"NUM_NODES": "2"}])
def test_a_launch_that_cannot_be_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        container.places_of(TrainJob(), environ)


def test_checkpoints_are_kept_while_the_job_runs_and_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "KEEP_EVERY_S", 0.01)
    source, target = tmp_path / "checkpoints", tmp_path / "kept"
    source.mkdir()
    with container.keeping(Keeper(source, target)):
        (source / "model_0.pt").write_bytes(b"0")
        while not (target / "model_0.pt").exists():
            pass
        monkeypatch.setattr(container, "KEEP_EVERY_S", 3600)
        (source / "model_1.pt").write_bytes(b"1")
    assert (target / "model_1.pt").exists()


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
