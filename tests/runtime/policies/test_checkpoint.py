"""A checkpoint file from somewhere else: what is refused, and that nothing in it runs."""

import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from gaitway_runtime.policies import checkpoint
from gaitway_runtime.policies.checkpoint import open_checkpoint
from gaitway_runtime.policies.reader import read_checkpoint
from gaitway_runtime.policies.training_config import read_config
from gaitway_runtime.spec.errors import UsageError


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


def test_numpy_numbers_are_read_and_numpy_objects_are_not(tmp_path: Path) -> None:
    numbers = {"reward": np.float32(6123.5), "level": np.float64(4.75), "done": np.bool_(True), "count": np.int64(-3)}
    numbers["name"] = np.str_("Läufer")
    torch.save({"policy": {}, "infos": {**numbers, "ranges": np.array([[1.0, 2.0]])}}, tmp_path / "agent.pt")
    infos = open_checkpoint(tmp_path / "agent.pt").entries["infos"]
    assert {name: infos[name] for name in numbers} == {
        **{"reward": 6123.5, "level": 4.75, "done": True, "count": -3},
        "name": "Läufer",
    }
    assert infos["ranges"].values.tolist() == [[1.0, 2.0]]
    torch.save({"policy": {}, "infos": np.array([{}], dtype=object)}, tmp_path / "objects.pt")
    with pytest.raises(UsageError, match="is not a number"):
        open_checkpoint(tmp_path / "objects.pt")


def test_a_whole_module_is_refused_with_what_to_save_instead(tmp_path: Path) -> None:
    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 2)), tmp_path / "model.pt")
    with pytest.raises(UsageError, match="whole pickled module") as caught:
        open_checkpoint(tmp_path / "model.pt")
    assert "state_dict()" in (caught.value.hint or "") and "network.yaml" in (caught.value.hint or "")


def test_an_exported_policy_is_not_mistaken_for_a_checkpoint(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "policy.pt")
    (tmp_path / "policy.onnx").write_bytes(b"\x08\x0a")
    with pytest.raises(UsageError, match="TorchScript archive is an exported policy"):
        open_checkpoint(tmp_path / "policy.pt")
    with pytest.raises(UsageError, match="ONNX file is an exported policy"):
        open_checkpoint(tmp_path / "policy.onnx")


def test_other_files_are_refused_by_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such checkpoint file"):
        open_checkpoint(tmp_path / "missing.pt")
    with pytest.raises(UsageError, match="is a folder"):
        open_checkpoint(tmp_path)
    with zipfile.ZipFile(tmp_path / "payload.zip", "w") as archive:
        archive.writestr("train.py", "print()")
    with pytest.raises(UsageError, match=r"neither torch\.save nor Stable-Baselines3"):
        open_checkpoint(tmp_path / "payload.zip")
    torch.save([1, 2, 3], tmp_path / "list.pt")
    with pytest.raises(UsageError, match="holds a list"):
        open_checkpoint(tmp_path / "list.pt")


@pytest.mark.parametrize("content", [b"", b"not a pickle", b"\x80\x04.", b"PK\x03\x04 half an archive"])
def test_a_damaged_file_is_an_error_and_no_traceback(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model_1.pt").write_bytes(content)
    with pytest.raises(UsageError):
        open_checkpoint(tmp_path / "model_1.pt")


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    torch.save({"policy": {"weight": torch.ones(100, 100)}}, tmp_path / "model_1.pt")
    whole = (tmp_path / "model_1.pt").read_bytes()
    for share in (0.2, 0.6, 0.99):
        (tmp_path / "part.pt").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(UsageError):
            open_checkpoint(tmp_path / "part.pt")


def test_a_tensor_that_is_larger_than_its_file_is_refused(tmp_path: Path) -> None:
    content = {"actor_state_dict": {"mlp.0.weight": torch.zeros(1).expand(128, 10_000_000)}}
    torch.save(content, tmp_path / "model_1.pt")
    assert (tmp_path / "model_1.pt").stat().st_size < 10_000
    with pytest.raises(UsageError, match=r"'actor_state_dict\.mlp\.0\.weight' claims 4882 MiB"):
        open_checkpoint(tmp_path / "model_1.pt")


def test_entries_without_an_end_are_refused(tmp_path: Path) -> None:
    inside: dict[str, object] = {}
    inside["again"] = inside
    grown: list[object] = [1]
    for _ in range(60):
        grown = [grown, grown]
    for kept, reason in ((inside, "holds itself"), (grown, "more than 10,000,000 values")):
        torch.save({"policy": {}, "infos": kept}, tmp_path / "agent.pt")
        with pytest.raises(UsageError, match=reason):
            open_checkpoint(tmp_path / "agent.pt")


def test_a_configuration_that_grows_by_its_aliases_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    (tmp_path / "agent.yaml").write_text("\n".join([*lines, "activation: *a8", ""]))
    with pytest.raises(UsageError, match="with its aliases written out"):
        read_config(tmp_path / "agent.yaml")
    (tmp_path / "agent.yaml").write_text("dims: &d [128, 64]\nactor: {hidden_dims: *d}\ncritic: {hidden_dims: *d}\n")
    assert read_config(tmp_path / "agent.yaml")["critic"] == {"hidden_dims": [128, 64]}


@pytest.mark.parametrize(("version", "said"), [("2.7.0+cu128", True), ("2.10.0", False), (torch.__version__, False)])
def test_a_torch_with_a_known_hole_is_named_where_a_checkpoint_is_opened(
    version: str, said: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    torch.save({"w": torch.zeros(1)}, tmp_path / "model.pt")
    monkeypatch.setattr(torch, "__version__", version)
    checkpoint._warn_of_old_torch.cache_clear()
    for _ in range(2):
        open_checkpoint(tmp_path / "model.pt")
    checkpoint._warn_of_old_torch.cache_clear()
    assert len(caplog.messages) == said
    assert not said or "torch 2.7.0+cu128 reads checkpoints with a known hole (CVE-2026-24747" in caplog.text
