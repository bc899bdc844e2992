"""A checkpoint file from somewhere else: what is refused, and that nothing in it runs."""

import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from gaitway_runtime.errors import UsageError
from gaitway_runtime.policies.loading import load_checkpoint
from gaitway_runtime.policies.reading import read_checkpoint


class Bomb:
    """Unpickling this runs a command that leaves a file behind."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch '{self.marker}'",)


def dump_zip(content, path: Path) -> None:
    torch.save(content, path)


def dump_legacy(content, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def dump_plain(content, path: Path) -> None:
    path.write_bytes(pickle.dumps(content))


@pytest.mark.parametrize("dump", [dump_zip, dump_legacy, dump_plain])
@pytest.mark.parametrize("place", ["top", "inside"])
def test_a_pickle_bomb_does_nothing_and_is_refused(dump, place: str, tmp_path: Path) -> None:
    marker, path = tmp_path / "it-ran", tmp_path / "model_1.pt"
    bomb = Bomb(marker)
    dump(bomb if place == "top" else {"actor_state_dict": {"mlp.0.weight": torch.ones(2, 2)}, "infos": bomb}, path)
    with pytest.raises(UsageError, match=r"refused.*could run code") as caught:
        read_checkpoint(path, activation="elu")
    assert not marker.exists()
    assert caught.value.source == str(path)
    assert "weights_only=False" not in "\n".join(caught.value.lines())


def test_the_bomb_of_these_tests_would_go_off(tmp_path: Path) -> None:
    marker = tmp_path / "it-ran"
    pickle.loads(pickle.dumps(Bomb(marker)))
    assert marker.exists()


def test_an_honest_numpy_scalar_is_named_in_the_refusal(tmp_path: Path) -> None:
    torch.save({"policy": {}, "reward": np.float64(1.0)}, tmp_path / "agent.pt")
    with pytest.raises(UsageError, match=r"numpy\S*scalar"):
        load_checkpoint(tmp_path / "agent.pt")


def test_an_exported_policy_is_not_mistaken_for_a_checkpoint(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "policy.pt")
    (tmp_path / "policy.onnx").write_bytes(b"\x08\x0a")
    with pytest.raises(UsageError, match="TorchScript archive is an exported policy"):
        load_checkpoint(tmp_path / "policy.pt")
    with pytest.raises(UsageError, match="ONNX file is an exported policy"):
        load_checkpoint(tmp_path / "policy.onnx")


def test_other_files_are_refused_by_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such checkpoint file"):
        load_checkpoint(tmp_path / "missing.pt")
    with pytest.raises(UsageError, match="is a folder"):
        load_checkpoint(tmp_path)
    with zipfile.ZipFile(tmp_path / "payload.zip", "w") as archive:
        archive.writestr("train.py", "print()")
    with pytest.raises(UsageError, match=r"not one that torch.save wrote"):
        load_checkpoint(tmp_path / "payload.zip")
    torch.save([1, 2, 3], tmp_path / "list.pt")
    with pytest.raises(UsageError, match="holds a list"):
        load_checkpoint(tmp_path / "list.pt")


@pytest.mark.parametrize("content", [b"", b"not a pickle", b"\x80\x04.", b"PK\x03\x04 half an archive"])
def test_a_damaged_file_is_an_error_and_no_traceback(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model_1.pt").write_bytes(content)
    with pytest.raises(UsageError):
        load_checkpoint(tmp_path / "model_1.pt")


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    torch.save({"policy": {"weight": torch.ones(100, 100)}}, tmp_path / "model_1.pt")
    whole = (tmp_path / "model_1.pt").read_bytes()
    for share in (0.2, 0.6, 0.99):
        (tmp_path / "part.pt").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(UsageError):
            load_checkpoint(tmp_path / "part.pt")
