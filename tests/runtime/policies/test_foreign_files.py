"""What strangers take for a checkpoint, and what trainers leave in one beside the weights."""

import argparse
import collections
import datetime
import decimal
import gzip
import io
import pickle
import sys
import types
import uuid
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from gaitway_runtime.policies.checkpoint import open_checkpoint
from gaitway_runtime.policies.reader import read_checkpoint
from gaitway_runtime.spec.errors import UsageError

from .samples import change, copy_case, library_actions
from .test_foreign import RSL3, RSL5
from .test_reader import actions_of, edit_config


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


BRAX = pickle.dumps(({"mean": np.zeros(3)}, {"params": {"hidden_0": {"kernel": np.zeros((3, 2))}}}))
FILES = {
    "model_1.pt": (b"", "the file is empty", "fetch it again"),
    "model_2.pt": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 9\n",
        "Git LFS pointer",
        "lfs pull",
    ),
    "model_3.pt": (b"\n<!DOCTYPE html><html>not found</html>", "a web page", "download the file itself"),
    "model_4.pt.gz": (gzip.compress(b"x"), "compressed", "unpack"),
    "run.zip": (zipped(**{"run/model_9.pt": b"x"}), "an archive that holds run/model_9.pt", "unpack"),
    "policy.pt2": (
        zipped(**{"policy/archive_format": b"pt2", "policy/data/sample_inputs/model.pt": b"x"}),
        "a program of torch.export",
        "torch.onnx.export",
    ),
    "params": (BRAX, "a pickle that torch did not write, as JAX", "ONNX"),
    "agent_9.pickle": (pickle.dumps({"policy": b"\x81"}, protocol=4), "a pickle that torch did not write", "ONNX"),
    "policy.msgpack": (b"\x81\xa6params\x80", "Flax", "ONNX"),
    "policy.h5": (b"\x89HDF\r\n\x1a\n", "HDF5", "ONNX"),
    "policy.tflite": (b"\x1c\0\0\0TFL3", "TensorFlow Lite", "ONNX"),
    "policy.npz": (zipped(**{"w0.npy": b"x"}), "numpy arrays", "network.yaml"),
    "notes.pt": (b"a note\n", "a text", "model_<n>.pt"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_kind_is_told_by_its_name(name: str, tmp_path: Path) -> None:
    content, what, hint = FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=what) as caught:
        open_checkpoint(tmp_path / name)
    assert hint in (caught.value.hint or "")


def test_a_folder_of_jax_is_told_from_any_other(tmp_path: Path) -> None:
    (tmp_path / "manifest.ocdbt").write_bytes(b"x")
    with pytest.raises(UsageError, match="Orbax"):
        open_checkpoint(tmp_path)


def test_a_folder_of_a_model_hub_is_told_what_to_name(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"x")
    with pytest.raises(UsageError, match="safetensors, as LeRobot") as caught:
        open_checkpoint(tmp_path)
    assert "name model.safetensors in it, with a network.yaml" in (caught.value.hint or "")


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}])
def test_small_things_of_pythons_own_do_not_bar_a_checkpoint(options: dict, tmp_path: Path) -> None:
    beside = {
        "args": argparse.Namespace(lr=1e-3, seed=1),
        "infos": {
            "when": datetime.datetime(2026, 1, 1),
            "there": datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc),
            "parts": [frozenset(["a"]), range(3), slice(1, 2), uuid.uuid4(), decimal.Decimal("0.5")],
            "arrays": [np.zeros((0, 3)), np.array([b"a"]), np.complex64(1j), np.float32],
            "took": datetime.timedelta(seconds=3),
            "log": Path("/tmp/run"),
            "rewards": collections.deque([1.0, 2.0], maxlen=9),
            "sums": collections.defaultdict(float, a=2.0),
        },
    }
    checkpoint = copy_case(RSL5, tmp_path)
    content = torch.load(checkpoint, weights_only=True)
    torch.save({**content, **beside}, checkpoint, **options)
    np.testing.assert_allclose(actions_of(read_checkpoint(checkpoint)), library_actions(RSL5), rtol=0, atol=1e-6)
    entries = open_checkpoint(checkpoint).entries
    assert entries["args"] == {"lr": 1e-3, "seed": 1}
    assert (entries["infos"]["rewards"], entries["infos"]["sums"]) == ([1.0, 2.0], {"a": 2.0})


def stranger(monkeypatch: pytest.MonkeyPatch, name: str, base: type = object) -> type:
    """A class of a library that is not installed, by its name in a pickle."""
    module, _, short = name.rpartition(".")
    made = type(short, (base,), {"__module__": module})
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        package = ".".join(parts[:count])
        if package not in sys.modules:
            monkeypatch.setitem(sys.modules, package, types.ModuleType(package))
    monkeypatch.setattr(sys.modules[module], short, made, raising=False)
    return made


def test_settings_of_omegaconf_are_read_as_plain_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, value = (
        stranger(monkeypatch, f"omegaconf.{name}") for name in ("dictconfig.DictConfig", "nodes.AnyNode")
    )

    def wrapped(told: object) -> object:
        made = (settings if isinstance(told, dict) else value)()
        inside = {key: wrapped(item) for key, item in told.items()} if isinstance(told, dict) else told
        made.__dict__ = {"_parent": made, "_content" if isinstance(told, dict) else "_val": inside}
        return made

    checkpoint = copy_case(RSL3, tmp_path)
    for file in checkpoint.parent.rglob("agent.yaml"):
        file.unlink()
    content = torch.load(checkpoint, weights_only=True)
    told = {"policy": {"class_name": "ActorCritic", "activation": "elu"}, "clip_actions": 0.01}
    torch.save({**content, "train_cfg": wrapped(told)}, checkpoint)
    assert open_checkpoint(checkpoint).entries["train_cfg"] == told
    assert np.abs(actions_of(read_checkpoint(checkpoint))).max() == np.float32(0.01)


def test_weights_as_numpy_arrays(tmp_path: Path) -> None:
    def edit(content: dict) -> None:
        state = content["model_state_dict"]
        content["model_state_dict"] = {name: tensor.numpy().astype(">f4") for name, tensor in state.items()}

    policy = read_checkpoint(change(copy_case(RSL3, tmp_path), edit))
    np.testing.assert_allclose(actions_of(policy), library_actions(RSL3), rtol=0, atol=1e-6)
    beside = {"encoder": {"0.weight": np.ones((3, 12), np.float32)}}
    with pytest.raises(UsageError, match="holds 'encoder' beside the policy"):
        read_checkpoint(change(copy_case(RSL5, tmp_path / "beside"), lambda content: content.update(beside)))


@pytest.mark.parametrize("entry", ["amp_normalizer", "obs_normalizer"])
def test_a_normaliser_that_was_pickled_whole(entry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    normalizer = stranger(monkeypatch, "rsl_rl.utils.utils.Normalizer")()
    normalizer.__dict__ = {"mean": np.zeros(12), "var": np.ones(12), "epsilon": 1e-4, "clip_obs": 10.0}
    checkpoint = copy_case(RSL5, tmp_path)
    torch.save({**torch.load(checkpoint, weights_only=True), entry: normalizer}, checkpoint)
    if entry == "amp_normalizer":  # of motions: it plays no part when the policy acts
        np.testing.assert_allclose(actions_of(read_checkpoint(checkpoint)), library_actions(RSL5), rtol=0, atol=1e-6)
    else:
        with pytest.raises(UsageError, match=r"holds 'obs_normalizer\.mean' beside the policy"):
            read_checkpoint(checkpoint)


@pytest.mark.parametrize("place", ["infos", "env_state"])
@pytest.mark.parametrize(
    "kept",
    [
        {"obs_mean": torch.ones(12), "obs_std": torch.ones(12)},
        {"obs_rms": {"mean": torch.ones(12), "var": torch.ones(12)}},
        {"normalizer": {"running_mean": torch.ones(12)}},
    ],
    ids=["two tensors", "a mapping", "a state dict"],
)
def test_statistics_among_a_runs_numbers_are_not_overlooked(place: str, kept: dict, tmp_path: Path) -> None:
    kept["terrain_levels"], kept["obs_buf"] = torch.ones(4), torch.ones(4, 12)
    with pytest.raises(UsageError, match=rf"holds '{place}\.(obs|norm)"):
        read_checkpoint(change(copy_case(RSL5, tmp_path), lambda content: content.update({place: kept})))


class TestConfigurationInTheFile:
    def test_it_is_read_where_none_is_beside_the_file(self, tmp_path: Path) -> None:
        checkpoint = copy_case(RSL3, tmp_path)
        for file in checkpoint.parent.rglob("agent.yaml"):
            file.unlink()
        with pytest.raises(UsageError, match="does not tell its network's activation"):
            read_checkpoint(checkpoint)
        inside = {"train_cfg": {"policy": {"class_name": "ActorCritic", "activation": "elu"}, "clip_actions": 0.01}}
        policy = read_checkpoint(change(checkpoint, lambda content: content.update(inside)))
        assert np.abs(actions_of(policy)).max() == np.float32(0.01)
        with pytest.raises(UsageError, match="told in two ways"):
            read_checkpoint(checkpoint, activation="relu")

    def test_a_class_of_somebody_elses_is_refused(self, tmp_path: Path) -> None:
        checkpoint = copy_case(RSL3, tmp_path)
        for file in checkpoint.parent.rglob("agent.yaml"):
            file.unlink()
        inside = {"cfg": argparse.Namespace(policy={"class_name": "Squashed", "activation": "elu"})}
        content = torch.load(checkpoint, weights_only=True)
        torch.save({**content, **inside}, checkpoint)
        with pytest.raises(UsageError, match=r"not rsl_rl's own.*Squashed"):
            read_checkpoint(checkpoint)


@pytest.mark.parametrize(
    ("case", "section", "name"), [(RSL3, "policy", "ActorCriticRecurrent"), (RSL5, "actor", "RNNModel")]
)
def test_the_configuration_of_a_policy_with_a_memory_is_not_believed(
    case: str, section: str, name: str, tmp_path: Path
) -> None:
    checkpoint = copy_case(case, tmp_path)
    edit_config(checkpoint, lambda config: config[section].update(class_name=name))
    with pytest.raises(UsageError, match=f"of another network: {name}, where the file has no recurrent part"):
        read_checkpoint(checkpoint)
