"""A job on a checkpoint has the checkpoint's own task, where none is named."""

import io
import json
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fakes.weights import TORCH_START
from gaitway_runtime.spec.errors import UsageError
from safetensors.torch import save_file

import gaitway
from gaitway.run_handle import Run


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return buffer.getvalue()


FLAT = "Isaac-Velocity-Flat-Anymal-C-v0"
SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "anymal-c-flat" / "model_194.pt"


@pytest.mark.parametrize("kind", ["infer", "validate"])
def test_the_contract_in_a_file_names_the_task(kind: str) -> None:
    plan = gaitway.plan(kind, checkpoint_uri=SAMPLE).plan
    assert plan.task == FLAT
    assert str(plan.settings["task"].origin) == "local the checkpoint's own task"
    assert gaitway.plan(kind, checkpoint_uri=SAMPLE, task="Isaac-Ant-v0").plan.task == "Isaac-Ant-v0"


def test_the_contract_beside_a_file_names_the_task(tmp_path: Path) -> None:
    (tmp_path / "policy.pt").write_bytes(TORCH_START)
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


@pytest.mark.parametrize("pickled", [None, b"", b"\x80\x04garbage"])
def test_a_file_that_does_not_tell_its_task_is_planned_all_the_same(tmp_path: Path, pickled: bytes | None) -> None:
    if pickled is None:
        (tmp_path / "model_1.pt").write_bytes(TORCH_START)
    else:
        with zipfile.ZipFile(tmp_path / "model_1.pt", "w") as archive:
            archive.writestr("model_1/data.pkl", pickled)
    assert gaitway.plan("infer", checkpoint_uri=tmp_path / "model_1.pt").plan.task == "Isaac-Ant-v0"


@pytest.mark.parametrize("platform", ["local", "osmo"])
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("policy.onnx", b"\x08\x0a", "an ONNX file is an exported policy"),
        ("model_9.pt", b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        ("model_9.pt", b"<!DOCTYPE html><html>", "a web page"),
        ("model_9.pt", b"", "the file is empty"),
        ("model_9.pt", b"see the wiki\n", "a text, not a checkpoint"),
        ("model_9.pt", pickle.dumps({"params": [0.0]}), "a pickle that torch did not write"),
        ("model_9.pt", pickle.dumps({"params": b"\x80"}, protocol=1), "neither torch nor safetensors wrote it"),
        ("model_9.pt", b"PK\x03\x04" + bytes(99), "an archive whose end is missing"),
        ("model_9.zip", zipped("w0.npy"), "an archive of numpy arrays"),
        ("model_9.zip", zipped("notes.txt"), "neither torch.save nor Stable-Baselines3 wrote it"),
        ("model_9.safetensors", struct.pack("<Q", 99) + b"{}", "shorter than it says"),
    ],
)
def test_what_is_certainly_no_checkpoint_is_refused_before_a_job_is_sent(
    tmp_path: Path, platform: str, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        gaitway.plan("infer", checkpoint_uri=tmp_path / name, on=platform)
    assert caught.value.source == str(tmp_path / name)
    assert caught.value.hint or caught.value.allowed


@pytest.mark.parametrize("name", ["model_9.pt", "legacy.pt", "protocol_4.pt", "ours.safetensors", "sb3.zip"])
def test_what_a_job_opens_is_planned(tmp_path: Path, name: str) -> None:
    """Written by the libraries themselves, and by hand where the job's libraries read more than today's write."""
    path, weights = tmp_path / name, {"actor.0.weight": torch.zeros(2, 3)}
    match name:
        case "ours.safetensors":
            save_file(weights, path)
        case "sb3.zip":
            path.write_bytes(zipped("data", "policy.pth"))
        case "protocol_4.pt":
            torch.save(weights, path, pickle_protocol=4, _use_new_zipfile_serialization=False)
        case _:
            torch.save(weights, path, _use_new_zipfile_serialization=not name.startswith("legacy"))
    assert gaitway.plan("infer", checkpoint_uri=path).plan.task == "Isaac-Ant-v0"


def test_a_plan_imports_no_learning_library(tmp_path: Path) -> None:
    (tmp_path / "model_9.pt").write_bytes(TORCH_START)
    asked = "import sys, gaitway; gaitway.plan('infer', checkpoint_uri='model_9.pt'); print('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", asked], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"


def test_an_exported_program_is_refused_before_a_job_is_sent(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "policy.pt", "w") as archive:
        archive.writestr("policy/code/__torch__.py", "")
    with pytest.raises(UsageError, match="a TorchScript archive is an exported policy"):
        gaitway.plan("train", checkpoint_uri=tmp_path / "policy.pt", checkpoint_mode="resume", on="osmo")
