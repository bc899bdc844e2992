"""Runs as they lie in a home folder, made by hand: what a job leaves behind, without running one."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.spec.job_document import to_document
from gaitway_runtime.spec.result import from_document, write_json
from gaitway_runtime.spec.run_context import RunContext

from gaitway import locks
from gaitway.ledger import Ledger, RunRecord
from gaitway.platforms.base import RunStatus, StatusReport

Make = Callable[..., RunRecord]


@pytest.fixture
def ledger(home: Path) -> Ledger:
    return Ledger(home)


@pytest.fixture
def make_run(ledger: Ledger) -> Make:
    """Return a function that makes a run's folder: ``make_run("a-1", [9, 19], rewards={10: 1.0})``."""

    def make(
        name: str,
        iterations: list[int],
        *,
        task: str = "Isaac-Cartpole-v0",
        platform: str = "local",
        rewards: dict[int, float] | None = None,
        note: dict[str, str] | None = None,
        result: dict[str, Any] | None = None,
        context: RunContext | None = None,
        age: float = 0.0,
    ) -> RunRecord:
        run_dir = ledger.reserve("stem", name)
        outputs = run_dir / "outputs"
        created = f"2026-01-01T00:00:{60 - age:02.0f}+00:00"
        locks.release(locks.of_run(run_dir))  # its processes have ended
        record = RunRecord(name=name, platform=platform, kind="train", task=task, created=created, command=("gaitway",))
        ledger.write(record)
        write_json(to_document(TrainJob(task=task), context or RunContext(run=name)), run_dir / "job.json")
        for iteration in iterations:
            save(outputs / "checkpoints" / f"model_{iteration}.pt", 1.6e9 - age * 1000 + iteration)
        lines = [json.dumps({"iteration": done, "reward": reward}) for done, reward in (rewards or {}).items()]
        if rewards:
            (outputs / "progress.jsonl").write_text("\n".join([*lines, '{"cut sho']))
        if note:
            write_json(note, outputs / "mlflow.json")
        whole = {"kind": "train", "task": task, "status": "succeeded", **(result or {})}
        if result and platform == "local":
            write_json(whole, outputs / "result.json")
        elif result:
            ledger.record_end(name, StatusReport(RunStatus.SUCCEEDED, result=from_document(whole)))
        return record

    return make


def save(path: Path, time: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", path.name)
    os.utime(path, (time, time))
