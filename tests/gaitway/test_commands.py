"""The commands that come next, filled in."""

import json
import shlex
from pathlib import Path

import pytest
from gaitway_runtime.spec.result import CheckpointRef, Result

from gaitway.cli.main import cli
from gaitway.ledger import RunRecord
from gaitway.planning import next_command
from gaitway.platforms.base import RunStatus, StatusReport

FINAL = CheckpointRef(uri="runs:/1/checkpoints/final/model_9.pt", path="checkpoints/model_9.pt", iteration=9, sha256="")


def record(kind: str = "train", platform: str = "local") -> RunRecord:
    return RunRecord(name="a-1", platform=platform, kind=kind, task="My-Task-v0", created="", command=())


def said(tmp_path: Path, run: RunRecord, status: RunStatus, final_checkpoint: CheckpointRef | None = None) -> str:
    result = Result(kind=run.kind, task=run.task, status=status.value, final_checkpoint=final_checkpoint)
    return next_command(run, StatusReport(status, result=result if final_checkpoint else None), tmp_path)


@pytest.mark.parametrize("status", [RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.UNKNOWN])
def test_what_goes_on_can_be_followed(tmp_path: Path, status: RunStatus) -> None:
    assert said(tmp_path, record(), status) == "gaitway logs a-1 -f"


def test_a_trained_policy_can_be_inferred_where_it_was_trained(tmp_path: Path) -> None:
    words = f"gaitway infer --task My-Task-v0 --checkpoint-uri {FINAL.uri}"
    assert said(tmp_path, record(), RunStatus.SUCCEEDED, final_checkpoint=FINAL) == words
    there = said(tmp_path, record(platform="osmo"), RunStatus.SUCCEEDED, final_checkpoint=FINAL)
    assert there == f"{words} --on osmo"


def test_what_comes_next_has_the_same_tasks_and_the_same_simulator(tmp_path: Path) -> None:
    settings = {
        "simulator": ("isaaclab", "cli --simulator"),
        "python": ("lab/bin/python", "cli --python"),
        "imports": (["my_tasks"], "cli --import"),
        "seed": (3, "cli --seed"),
    }
    document = {key: {"value": value, "origin": origin, "shadowed": []} for key, (value, origin) in settings.items()}
    (tmp_path / "settings.json").write_text(json.dumps(document))
    said_next = said(tmp_path, record(), RunStatus.SUCCEEDED, final_checkpoint=FINAL)
    where = "--simulator isaaclab --python lab/bin/python --import my_tasks"
    assert said_next == f"gaitway infer --task My-Task-v0 {where} --checkpoint-uri {FINAL.uri}"


def test_an_inferred_policy_can_be_validated(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(json.dumps({"job": {"checkpoint_uri": "/runs/a model.pt"}}))
    said_next = said(tmp_path, record("infer"), RunStatus.SUCCEEDED)
    assert said_next == "gaitway validate --task My-Task-v0 --checkpoint-uri '/runs/a model.pt'"


def test_a_killed_training_goes_on_from_what_it_had_saved(tmp_path: Path) -> None:
    settings = {
        "task": ("My-Task-v0", "cli --task"),
        "num_envs": (64, "local it is a laptop"),
        "gate": (True, "cli --gate"),
        "shaping": (False, "cli --shaping"),
        "imports": (["a", "b"], "cli --import"),
        "checkpoint_uri": ("runs:/0/old.pt", "cli --checkpoint-uri"),
        "run_name": ("a-1", "cli --name"),
    }
    document = {key: {"value": value, "origin": origin, "shadowed": []} for key, (value, origin) in settings.items()}
    (tmp_path / "settings.json").write_text(json.dumps(document))
    folder = tmp_path / "outputs" / "checkpoints"
    folder.mkdir(parents=True)
    whole = Path(__file__).parents[1] / "fixtures" / "checkpoints"
    sample = next(path for path in sorted(whole.rglob("*.pt")) if path.stat().st_size < 2**20)
    for iteration in (0, 50):
        (folder / f"model_{iteration}.pt").write_bytes(sample.read_bytes())
    words = shlex.split(said(tmp_path, record(), RunStatus.FAILED))
    assert words[:2] == ["gaitway", "train"]
    assert words[2:-4] == ["--task", "My-Task-v0", "--gate", "--no-shaping", "--import", "a", "--import", "b"]
    assert words[-4:] == ["--checkpoint-uri", str(folder / "model_50.pt"), "--checkpoint-mode", "resume"]
    context = cli.make_context("gaitway", words[1:])
    assert cli.get_command(context, "train").make_context("train", words[2:])


def test_what_left_nothing_can_be_read_about(tmp_path: Path) -> None:
    assert said(tmp_path, record(), RunStatus.FAILED) == "gaitway logs a-1"
    assert said(tmp_path, record("validate"), RunStatus.FAILED) == "gaitway logs a-1"
