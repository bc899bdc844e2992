"""What happens in a container before and after the job itself."""

from __future__ import annotations

import importlib.metadata
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gaitway_runtime import container
from gaitway_runtime.process import copies, earlier_attempts, memory, uploads, vulkan
from gaitway_runtime.process.attempt_mark import AttemptMark
from gaitway_runtime.process.copies import CheckpointCopier
from gaitway_runtime.process.memory_record import MemoryRecord, next_record, record_use
from gaitway_runtime.spec.errors import JobFailed, PlatformError, UsageError
from gaitway_runtime.spec.job import TrainJob, ValidateJob
from gaitway_runtime.spec.job_document import to_document
from gaitway_runtime.spec.result import RESULT_MARK
from gaitway_runtime.spec.run_context import RunContext

from gaitway.payload.archive import packed
from gaitway.payload.select import select


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


def flipped(path: Path) -> Path:
    """Write an archive that is listed whole and has another bit in its weights."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data/0", b"weights" * 8)
    path.write_bytes(path.read_bytes().replace(b"weightsweights", b"weightsweightt", 1))
    return path


def test_a_training_goes_on_from_the_newest_checkpoint_that_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "saved" / "checkpoints"
    folder.mkdir(parents=True)
    for name in ("model_9.pt", "model_100.pt", "model_x.pt", "policy.pt"):
        (folder / name).write_bytes(b"weights")
    (folder / "model_300.pt").write_bytes(b"PK half of it")
    flipped(folder / "model_200.pt")
    AttemptMark("R").write(folder)
    kept = earlier_attempts.restore(folder, {"RUN_ID": "R"}, tmp_path / "outputs")
    assert kept == tmp_path / "outputs" / "checkpoints" / "model_100.pt"
    job = container.resumed_from(
        TrainJob(checkpoint_uri="runs:/1/x", checkpoint_mode="warm-start"), str(tmp_path / "saved")
    )
    assert job == TrainJob(checkpoint_uri=str(folder / "model_100.pt"), checkpoint_mode="resume")


@pytest.mark.parametrize("job", [TrainJob(), ValidateJob()])
def test_there_may_be_nothing_to_go_on_from(tmp_path: Path, job: Any) -> None:
    if isinstance(job, ValidateJob):
        (tmp_path / "model_1.pt").touch()
    for folder in ("", str(tmp_path), str(tmp_path / "none")):
        assert container.resumed_from(job, folder) == job


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
    places = container.environments_for(TrainJob(), environ)
    assert [{name: place[name] for name in want} for place, want in zip(places, wanted, strict=True)] == wanted


def test_on_one_node_the_processes_meet_at_a_port_that_is_free_and_share_its_cores() -> None:
    first, second = container.environments_for(TrainJob(), {"NUM_GPUS": "2"})
    assert first["MASTER_PORT"] == second["MASTER_PORT"] != ""
    assert (first["LOCAL_WORLD_SIZE"], second["RANK"]) == ("2", "1")
    assert int(first["OMP_NUM_THREADS"]) >= 1


def test_what_is_not_a_training_needs_one_process() -> None:
    assert container.environments_for(ValidateJob(), {"NUM_GPUS": "8"}) == [{}]


@pytest.mark.parametrize("environ", [{"NUM_GPUS": "two"}, {"NUM_NODES": "2"}])
def test_a_launch_that_cannot_be_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        container.environments_for(TrainJob(), environ)


def test_checkpoints_are_kept_while_the_job_runs_and_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "COPY_EVERY_S", 0.01)
    source, target = tmp_path / "checkpoints", tmp_path / "kept"
    source.mkdir()
    with copies.copying(CheckpointCopier(source, target, AttemptMark("mine"))):
        (source / "model_0.pt").write_bytes(b"0")
        while not (target / "model_0.pt").exists():
            pass
        monkeypatch.setattr(copies, "COPY_EVERY_S", 3600)
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
    assert line.startswith(RESULT_MARK)
    assert json.loads(line.removeprefix(RESULT_MARK)) == {"status": "succeeded", "text": "a\nb"}
    assert line.count("\n") == 1


def test_a_container_without_a_job_ends_as_misused(monkeypatch: Any, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("JOB_FILE", "/nowhere/job.json")
    monkeypatch.setenv("GAITWAY_REQUIREMENTS", "skip")
    assert container.main() == 2
    assert "the job file cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("change", ["none", "content", "hash"])
def test_a_payload_that_was_changed_on_its_way_starts_no_job(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "source" / "gaitway_runtime").mkdir(parents=True)
    (tmp_path / "source" / "gaitway_runtime" / "__init__.py").write_text("")
    (tmp_path / "source" / "mine.py").write_text("x = 1")
    payload = select(str(tmp_path / "source"))
    with zipfile.ZipFile(io.BytesIO(packed(payload, listed=True))) as archive:
        archive.extractall(tmp_path / "payload")
    if change == "content":
        (tmp_path / "payload" / "mine.py").write_text("x = 2")
    sha256 = "0" * 64 if change == "hash" else payload.sha256
    (tmp_path / "payload" / "of-the-platform.log").write_text("more files are no fault")
    context = RunContext(tags={"gaitway.payload_sha256": sha256})
    (tmp_path / "asked.json").write_text(json.dumps(to_document(TrainJob(task="T"), context)))
    monkeypatch.chdir(tmp_path / "payload")
    for name, value in {"JOB_FILE": "asked.json", "RUN_DIR": "run"}.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    monkeypatch.setenv("GAITWAY_REQUIREMENTS", "skip")
    started: list[object] = []
    monkeypatch.setattr(container.launcher, "run", lambda *words: started.append(words) or [])
    code = container.main()
    said = capsys.readouterr().err
    assert bool(started) == (change == "none"), said
    if change != "none":
        assert code == 1
        named = "mine.py" if change == "content" else "its list of files"
        assert f"the payload is not what was submitted: {named} differs" in said


def osmo_command(folder: Path, script: str) -> dict[str, str]:
    """Put an ``osmo`` into a folder and return an environment whose path begins with it."""
    folder.mkdir()
    (folder / "osmo").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "osmo").chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def test_a_workflow_submitted_by_hand_has_a_place_of_its_own(tmp_path: Path) -> None:
    environ = osmo_command(tmp_path / "bin", """echo '{"uuid": "ABC123"}'""")
    found = uploads.identified({**environ, "RUN_ID": "workflow:plat-1", "KEEP_AT": "s3://b/runs"})
    assert (found["RUN_ID"], found["KEEP_AT"]) == ("plat-1-ABC123", "s3://b/runs/plat-1-ABC123")
    silent = osmo_command(tmp_path / "silent", "exit 10")
    assert uploads.identified({**silent, "RUN_ID": "workflow:plat-1"})["RUN_ID"] == "plat-1"
    assert uploads.identified({"RUN_ID": "0123"})["RUN_ID"] == "0123"


def test_checkpoints_of_another_run_are_left_alone(tmp_path: Path) -> None:
    saved = tmp_path / "saved/checkpoints"
    saved.mkdir(parents=True)
    with zipfile.ZipFile(saved / "model_9.pt", "w") as bundle:
        bundle.writestr("data", "weights")
    environ = {"RUN_ID": "mine", "RESUME_DIR": str(tmp_path / "saved")}
    job = TrainJob()
    assert container.continued(job, tmp_path / "run", environ) == job
    AttemptMark("theirs").write(tmp_path / "saved/checkpoints")
    assert container.continued(job, tmp_path / "run", environ) == job
    AttemptMark("mine").write(tmp_path / "saved/checkpoints")
    found = container.continued(job, tmp_path / "run", environ)
    assert isinstance(found, TrainJob)
    assert (found.checkpoint_mode, Path(str(found.checkpoint_uri)).name) == ("resume", "model_9.pt")
    assert Path(str(found.checkpoint_uri)).is_relative_to(tmp_path / "run/outputs/checkpoints")


def test_an_upload_that_fails_is_told_once_and_tried_again(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    environ = osmo_command(tmp_path / "bin", f'echo "$@" >> {tmp_path}/calls; test -e {tmp_path}/open || exit 1')
    store = uploads.find_store({**environ, "KEEP_AT": "s3://b/runs/1"})
    folder = tmp_path / "outputs/checkpoints"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "model_5.pt", "w") as bundle:
        bundle.writestr("data", "weights")
    (folder / "state_5.npz").write_bytes(b"companion")
    (folder / "model_6.pt").write_bytes(b"PK half")
    uploader = uploads.Uploader(tmp_path / "outputs", store)
    assert [uploader.step(), uploader.step()] == [False, False]
    assert capfd.readouterr().err.count("osmo data upload") == 1
    (tmp_path / "open").touch()
    assert [uploader.step(), uploader.step()] == [True, True]
    calls = (tmp_path / "calls").read_text().splitlines()
    assert len(calls) == 3, "what is there is not uploaded again"
    assert calls[-1].split()[:3] == ["data", "upload", "s3://b/runs/1/checkpoints"]
    assert [Path(word).name for word in calls[-1].split()[3:]] == ["state_5.npz", "model_5.pt"]
    assert '"iteration": 5' in capfd.readouterr().out
    uploader.finish()
    assert '"iteration": 5' in capfd.readouterr().out, "a log may keep its end alone"


def test_attempts_that_get_nowhere_for_lack_of_memory_are_bounded(tmp_path: Path) -> None:
    gib = 2**30

    def attempt(number: int, newest: int, used: float) -> None:
        """Begin an attempt with what the one before has kept, and end it with so much memory in use."""
        earlier = tmp_path / str(number - 1) if number else None
        folder = tmp_path / str(number)
        next_record(earlier, "mine", newest).write(folder)
        record_use(folder, int(used * 8 * gib), 8 * gib)

    attempt(0, -1, 0.97)
    attempt(1, -1, 0.5)  # evicted for another reason: it does not count
    attempt(2, -1, 0.97)
    attempt(3, 10, 0.97)  # it got further
    attempt(4, 20, 0.97)
    attempt(5, 20, 0.97)
    with pytest.raises(JobFailed) as failure:
        attempt(6, 20, 0.5)
    assert failure.value.message == (
        "it ran out of memory 2 times in a row without a new checkpoint (7.8 of 8.0 GiB were in use)"
    )
    assert next_record(tmp_path / "5", "another run", 20).ends == 0


def test_a_job_that_ran_out_of_memory_ends_with_a_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept/checkpoints"
    MemoryRecord("mine", ends=1, newest=-1, used=98, limit=100).write(kept)
    AttemptMark("mine").write(tmp_path / "kept/checkpoints")
    for name, value in {
        "RUN_ID": "mine",
        "RESUME_DIR": str(tmp_path / "kept"),
        "RUN_DIR": str(tmp_path / "run"),
        "TASK": "Isaac-Cartpole-v0",
        "GAITWAY_REQUIREMENTS": "skip",
    }.items():
        monkeypatch.setenv(name, value)
    assert container.main() == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith(RESULT_MARK)]
    assert "it ran out of memory 2 times in a row" in line
    assert json.loads((tmp_path / "run/outputs/result.json").read_text())["status"] == "failed"


def test_of_several_vulkan_drivers_nvidias_is_taken(tmp_path: Path) -> None:
    for name in ("usr/share/vulkan/icd.d/lvp_icd.x86_64.json", "usr/share/vulkan/icd.d/nvidia_icd.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    chosen = str(tmp_path / "usr/share/vulkan/icd.d/nvidia_icd.json")
    assert vulkan.driver_variables({}, tmp_path) == {"VK_DRIVER_FILES": chosen, "VK_ICD_FILENAMES": chosen}
    assert vulkan.driver_variables({"VK_ICD_FILENAMES": "mine.json"}, tmp_path) == {}
    (tmp_path / "usr/share/vulkan/icd.d/lvp_icd.x86_64.json").unlink()
    assert vulkan.driver_variables({}, tmp_path) == {}


def test_memory_is_told_while_it_fills(tmp_path: Path) -> None:
    assert memory.use(tmp_path) is None
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("990\n")
    (tmp_path / "memory.stat").write_text("anon 900\ninactive_file 40\n")
    assert memory.use(tmp_path) == (950, 1000)
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.use(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("auth:\n  data:\n    s3://mine:\n      access_key: x\n      endpoint: s3://mine/robots\n", "s3://mine/robots"),
        ("auth:\n  data:\n    s3://mine:\n      access_key: x\n", "s3://mine"),
        ("auth:\n  data:\n    azure://account:\n      endpoint: azure://account\n", None),
        ("auth:\n  data: {}\n", None),
    ],
)
def test_the_storage_of_the_users_credential_is_found(tmp_path: Path, text: str, place: str | None) -> None:
    environ = osmo_command(tmp_path / "bin", "exit 0")
    (tmp_path / "config.yaml").write_text(text)
    store = uploads.find_store({**environ, "RUN_ID": "0123", "OSMO_CONFIG_FILE_DIR": str(tmp_path)})
    assert (store.uri if store else None) == (f"{place}/gaitway/runs/0123" if place else None)


def test_companions_are_copied_with_their_checkpoints_and_old_ones_removed(tmp_path: Path) -> None:
    source, target = tmp_path / "checkpoints", tmp_path / "kept"
    source.mkdir()
    copier = CheckpointCopier(source, target, AttemptMark("mine"))
    for iteration in (0, 2, 10):
        (source / f"model_{iteration}.pt").write_bytes(b"weights")
        (source / f"state_{iteration}.npz").write_bytes(b"state")
        copier.copy()
    names = ["model_0.pt", "model_10.pt", "model_2.pt", "origin.json", "state_10.npz", "state_2.npz"]
    assert sorted(path.name for path in target.iterdir()) == names


def test_an_attempt_that_was_replaced_copies_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for attempt in ("old", "new"):
        (tmp_path / attempt).mkdir()
    target = tmp_path / "kept"
    old = CheckpointCopier(tmp_path / "old", target, AttemptMark("job"))
    new = CheckpointCopier(tmp_path / "new", target, AttemptMark("job"))
    for iteration in (0, 1):
        (tmp_path / "old" / f"model_{iteration}.pt").write_bytes(b"of the old one")
    copied = copies.shutil.copyfile

    def replaced_meanwhile(source: Path, partial: Path) -> None:
        copied(source, partial)
        if source.name == "model_1.pt":
            (tmp_path / "new/model_0.pt").write_bytes(b"of the new one")
            new.copy()

    monkeypatch.setattr(copies.shutil, "copyfile", replaced_meanwhile)
    old.copy()
    (tmp_path / "old/model_2.pt").write_bytes(b"of the old one")
    old.copy()
    kept = {path.name: path.read_bytes() for path in target.iterdir() if path.name != "origin.json"}
    assert kept == {"model_0.pt": b"of the new one"}
    assert capsys.readouterr().out.count("another attempt adds to") == 1
    new.copy()
    assert new.claim(), "the new one goes on"


def test_an_attempt_whose_place_could_not_be_written_at_first_takes_it_over_later(tmp_path: Path) -> None:
    source, target = tmp_path / "made", tmp_path / "mount" / "kept"
    source.mkdir()
    (tmp_path / "mount").write_text("not mounted yet")
    copier = CheckpointCopier(source, target, AttemptMark("job"))
    assert not copier.claim()
    (tmp_path / "mount").unlink()
    AttemptMark("job").write(target)
    (target / ".model_0.pt.cut-off.partial").touch()
    (source / "model_0.pt").write_bytes(b"0")
    copier.copy()
    assert sorted(path.name for path in target.iterdir()) == ["model_0.pt", "origin.json"]


STORAGE = """
place="{root}/$(echo "$3" | cut -d/ -f4-)"; mkdir -p "$place"
case "$2" in
upload) shift 3; cp -r "$@" "$place" ;;
download) test "$6" = 'origin\\.json$' || exit 1; test ! -e "$place/origin.json" || cp "$place/origin.json" "$4" ;;
esac
"""


def test_an_attempt_that_was_replaced_uploads_nothing_more(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    environ = osmo_command(tmp_path / "bin", STORAGE.format(root=tmp_path / "stored"))
    store = uploads.find_store({**environ, "KEEP_AT": "s3://b/run"})

    def begin(attempt: str) -> uploads.Uploader:
        AttemptMark("run").write(tmp_path / attempt / "checkpoints")
        return uploads.Uploader(tmp_path / attempt, store, whole=True)

    def save(attempt: str, iteration: int) -> None:
        with zipfile.ZipFile(tmp_path / attempt / "checkpoints" / f"model_{iteration}.pt", "w") as bundle:
            bundle.writestr("data", f"weights of the {attempt} attempt")

    old = begin("old")
    save("old", 5)
    assert old.step()
    new = begin("new")
    assert new.step(), "the place is taken over before there is a checkpoint"
    for iteration in (5, 6):
        save("old", iteration)
    (tmp_path / "old" / "result.json").write_text('{"status": "failed"}')
    assert [old.step(), old.step()] == [True, True]
    old.finish()
    save("new", 6)
    assert new.step()
    stored = tmp_path / "stored/run"
    assert sorted(str(path.relative_to(stored)) for path in stored.rglob("*") if path.is_file()) == [
        "checkpoints/model_5.pt",
        "checkpoints/model_6.pt",
        "checkpoints/origin.json",
    ]
    assert (stored / "checkpoints/model_6.pt").read_bytes() == (tmp_path / "new/checkpoints/model_6.pt").read_bytes()
    assert capfd.readouterr().out.count("another attempt at this run uploads now") == 1


def test_outputs_are_copied_with_the_result_last_and_a_copy_that_fails_fails_the_job(tmp_path: Path) -> None:
    outputs, kept = tmp_path / "outputs", tmp_path / "kept"
    (outputs / "checkpoints").mkdir(parents=True)
    for name in ("checkpoints/model_1.pt", "a.json", "result.json", "z.json"):
        (outputs / name).write_text(name)
    container.keep_outputs(outputs, {"OUTPUT_COPY": str(kept)})
    assert (kept / "checkpoints/model_1.pt").read_text() == "checkpoints/model_1.pt"
    newest = max((path for path in kept.rglob("*") if path.is_file()), key=lambda path: path.stat().st_mtime_ns)
    assert newest.name == "result.json"
    container.keep_outputs(outputs, {})  # nobody asks for a copy
    with pytest.raises(PlatformError, match="the outputs could not be kept: Not a directory"):
        container.keep_outputs(outputs, {"OUTPUT_COPY": str(outputs / "a.json" / "below")})
