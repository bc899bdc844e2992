"""A job on a checkpoint has the checkpoint's own task, where none is named."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from gaitway_runtime.spec.errors import UsageError

import gaitway
from gaitway.run_handle import Run

FLAT = "Isaac-Velocity-Flat-Anymal-C-v0"
SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "anymal-c-flat" / "model_194.pt"


@pytest.mark.parametrize("kind", ["infer", "validate"])
def test_the_contract_in_a_file_names_the_task(kind: str) -> None:
    plan = gaitway.plan(kind, checkpoint_uri=SAMPLE).plan
    assert plan.task == FLAT
    assert str(plan.settings["task"].origin) == "local the checkpoint's own task"
    assert gaitway.plan(kind, checkpoint_uri=SAMPLE, task="Isaac-Ant-v0").plan.task == "Isaac-Ant-v0"


def test_the_contract_beside_a_file_names_the_task(tmp_path: Path) -> None:
    (tmp_path / "policy.pt").write_bytes(b"PK not a checkpoint")
    (tmp_path / "contract.json").write_text(json.dumps({"task": FLAT}))
    assert gaitway.plan("infer", checkpoint_uri=tmp_path / "policy.pt").plan.task == FLAT


def test_a_runs_record_names_the_task(start: Callable[..., Run]) -> None:
    run = start()
    run.wait()
    (run.run_dir / "outputs" / "mlflow.json").write_text(json.dumps({"run_id": "0123"}))
    for address in (run.name, f"{run.name}@latest", "runs:/0123/checkpoints/final/model_2.pt"):
        assert gaitway.plan("infer", checkpoint_uri=address).plan.task == "Isaac-Cartpole-v0"


def test_a_default_that_nothing_supports_is_named() -> None:
    plan = gaitway.plan("infer", checkpoint_uri="runs:/77/checkpoints/model_2.pt").plan
    assert plan.task == "Isaac-Ant-v0"
    assert any("the checkpoint does not tell its own: Isaac-Ant-v0 is the default" in note for note in plan.notes)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04garbage"])
def test_a_file_that_is_no_checkpoint_tells_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model_1.pt").write_bytes(content)
    assert gaitway.plan("infer", checkpoint_uri=tmp_path / "model_1.pt").plan.task == "Isaac-Ant-v0"


@pytest.mark.parametrize("platform", ["local", "osmo"])
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("policy.onnx", b"\x08\x0a", "an ONNX file is an exported policy"),
        ("model_9.pt", b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        ("model_9.pt", b"<!DOCTYPE html><html>", "a web page"),
    ],
)
def test_what_is_certainly_no_checkpoint_is_refused_before_a_job_is_sent(
    tmp_path: Path, platform: str, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        gaitway.plan("infer", checkpoint_uri=tmp_path / name, on=platform)
    assert caught.value.source == str(tmp_path / name)
    assert caught.value.hint


def test_an_exported_program_is_refused_before_a_job_is_sent(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "policy.pt", "w") as archive:
        archive.writestr("policy/code/__torch__.py", "")
    with pytest.raises(UsageError, match="a TorchScript archive is an exported policy"):
        gaitway.plan("train", checkpoint_uri=tmp_path / "policy.pt", checkpoint_mode="resume", on="osmo")
