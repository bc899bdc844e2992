"""One training at a time writes into a tracked run."""

import json
import os
import pickle
import signal
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fakes.weights import TORCH_START
from gaitway_runtime.spec import result as results

import gaitway
from gaitway import locks, resuming
from gaitway.errors import UsageError
from gaitway.ledger import Ledger
from gaitway.run_handle import Run

Start = Callable[..., Run]
RUN_ID = "0123456789abcdef"


def ready(run: Run) -> Run:
    next(line for line in run.logs(follow=True) if line == "ready")
    return run


def note(run: Run) -> None:
    """Write what a job notes once its tracked run is there."""
    (run.run_dir / "outputs" / "mlflow.json").write_text(json.dumps({"run_id": RUN_ID}))


def resume(start: Start, address: str, **settings: object) -> Run:
    return start("do=wait", checkpoint_uri=address, checkpoint_mode="resume", **settings)


def test_a_training_that_goes_on_is_not_resumed_and_its_owner_is_named(start: Start) -> None:
    first = ready(start("do=wait"))
    note(first)
    checkpoint = first.run_dir / "outputs" / "checkpoints" / "model_2.pt"
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(TORCH_START)
    for address in (str(checkpoint), f"runs:/{RUN_ID}/checkpoints/model_2.pt"):
        with pytest.raises(UsageError, match=f"still runs: run '{first.name}' writes into it") as refused:
            resume(start, address)
        assert f"gaitway cancel {first.name}" in (refused.value.hint or "")
    start("do=wait", checkpoint_uri=str(checkpoint), checkpoint_mode="warm-start")
    assert len(gaitway.runs()) == 2
    first.cancel()
    assert ready(resume(start, str(checkpoint)))


def test_a_training_that_has_its_result_is_over_while_its_process_still_ends(start: Start) -> None:
    """Unloading a simulator takes its process seconds; the command that started it has long said that it is done."""
    first = ready(start("do=wait"))
    note(first)
    results.write(results.Result(kind="train", task="Isaac-Cartpole-v0", status="succeeded"), first.run_dir / "outputs")
    assert locks.is_taken(locks.of_run(first.run_dir))
    assert ready(resume(start, f"runs:/{RUN_ID}/checkpoints/model_2.pt"))


def test_of_several_resumes_at_once_one_gets_the_run(start: Start) -> None:
    def attempt(_: int) -> Run | UsageError:
        try:
            return resume(start, f"runs:/{RUN_ID}/checkpoints/model_2.pt")
        except UsageError as error:
            return error

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(attempt, range(4)))
    [won] = [outcome for outcome in outcomes if isinstance(outcome, Run)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, UsageError)]
    assert len(refused) == 3
    assert [run.name for run in gaitway.runs()] == [won.name]
    with pytest.raises(UsageError, match=f"run '{won.name}' \\(process {os.getpid()} on "):
        resume(start, f"runs:/{RUN_ID}/checkpoints/model_2.pt")


def test_a_killed_training_frees_the_run(start: Start) -> None:
    first = ready(resume(start, f"runs:/{RUN_ID}/checkpoints/model_2.pt"))
    os.killpg(int(first.record.id), signal.SIGKILL)
    first.wait()
    assert ready(resume(start, f"runs:/{RUN_ID}/checkpoints/model_2.pt"))


def test_a_tracked_run_is_told_by_address_or_folder(home: Path, tmp_path: Path) -> None:
    ledger = Ledger(home)
    outputs = ledger.reserve("a", "a") / "outputs"
    locks.release(locks.of_run(outputs.parent))
    outputs.mkdir()
    (outputs / "mlflow.json").write_text(json.dumps({"run_id": RUN_ID}))
    assert resuming.tracked_run(str(outputs / "checkpoints" / "model_1.pt"), ledger) == RUN_ID
    assert resuming.tracked_run(f"runs:/{RUN_ID}/checkpoints", ledger) == RUN_ID
    assert resuming.tracked_run(str(tmp_path / "model_1.pt"), ledger) is None
    assert resuming.tracked_run("models:/a/1", ledger) is None


def checkpoint_of(path: Path, run_id: str) -> Path:
    """Write a checkpoint's archive as torch does, with the mark of its run."""
    marks = {"task": "Isaac-Cartpole-v0", "run_id": run_id, "iteration": 2}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{path.stem}/data.pkl", pickle.dumps({"iter": 2, "gaitway": marks}, protocol=2))
    return path


def test_a_checkpoint_that_was_copied_elsewhere_is_still_of_its_run(start: Start, home: Path, tmp_path: Path) -> None:
    copied = checkpoint_of(tmp_path / "model_2.pt", RUN_ID)
    assert resuming.tracked_run(str(copied), Ledger(home)) == RUN_ID
    assert resuming.tracked_run(str(tmp_path), Ledger(home)) == RUN_ID
    assert resuming.tracked_run(str(checkpoint_of(tmp_path / "other.pt", "")), Ledger(home)) is None
    first = ready(resume(start, f"runs:/{RUN_ID}/checkpoints/model_2.pt"))
    with pytest.raises(UsageError, match=f"still runs: run '{first.name}'"):
        resume(start, str(copied))
