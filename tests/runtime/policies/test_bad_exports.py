"""Exported files of others, or changed ones: refused with a reason as they are opened, and nothing of them has run."""

import io
import random
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from gaitway_runtime.policies.confined.policy_file import inspect
from gaitway_runtime.policies.export import export_policy
from gaitway_runtime.policies.reader import read_checkpoint
from gaitway_runtime.policies.sessions import open_session
from gaitway_runtime.spec.contract import CONTRACT_FILE
from gaitway_runtime.spec.errors import UsageError
from onnx import TensorProto, helper, numpy_helper

from .samples import CHECKPOINTS, sample_contract

OBSERVATIONS, ACTIONS = 12, 4
WEIGHTS = np.ones((OBSERVATIONS, ACTIONS), np.float32)


def model(
    *,
    weights: TensorProto | None = None,
    opset: int = 18,
    operator: tuple[str, str] = ("MatMul", ""),
    kind: int = TensorProto.FLOAT,
    width: int = OBSERVATIONS,
) -> onnx.ModelProto:
    """A policy of one layer with the sample contract inside."""
    values = WEIGHTS[:width] if kind == TensorProto.FLOAT else WEIGHTS[:width].astype(np.float64)
    ends: Sequence = [
        helper.make_tensor_value_info(name, kind, ["batch", size])
        for name, size in (("obs", width), ("actions", ACTIONS))
    ]
    node = helper.make_node(operator[0], ["obs", "w"], ["actions"], domain=operator[1])
    graph = helper.make_graph([node], "policy", ends[:1], ends[1:], [weights or numpy_helper.from_array(values, "w")])
    domains = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(operator[1], 1)] if operator[1] else [])
    made = helper.make_model(graph, opset_imports=domains, ir_version=10)
    helper.set_model_props(made, {"policy_contract": sample_contract().to_json()})
    return made


def outside(location: str) -> TensorProto:
    """Weights that lie in another file."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=WEIGHTS.shape)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(WEIGHTS.nbytes))):
        tensor.external_data.add(key=key, value=value)
    return tensor


@pytest.mark.parametrize("location", ["../secret.bin", "{folder}/secret.bin", "link.bin", "missing.bin"])
def test_weights_outside_the_models_folder_are_not_read(location: str, tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(WEIGHTS.tobytes())
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "link.bin").symlink_to(tmp_path / "secret.bin")
    path = tmp_path / "model" / "policy.onnx"
    path.write_bytes(model(weights=outside(location.format(folder=tmp_path))).SerializeToString())
    with pytest.raises(UsageError, match=r"cannot be read.*External data path"):
        open_session(path)


def test_weights_beside_the_model_are(tmp_path: Path) -> None:
    (tmp_path / "policy.onnx.data").write_bytes(WEIGHTS.tobytes())
    (tmp_path / "policy.onnx").write_bytes(model(weights=outside("policy.onnx.data")).SerializeToString())
    found = open_session(tmp_path / "policy.onnx").act(np.ones((1, OBSERVATIONS), np.float32))
    np.testing.assert_array_equal(found, OBSERVATIONS)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (model(opset=99), "cannot be read"),
        (model(operator=("Magic", "my.ops")), r"my\.ops:Magic"),
        (model(kind=TensorProto.DOUBLE), r"obs is tensor\(double\)"),
        (model(width=11), "its contract says 12 values"),
        (onnx.ModelProto(), "cannot be read"),
    ],
)
def test_a_model_that_cannot_run_is_refused(made: onnx.ModelProto, words: str, tmp_path: Path) -> None:
    (tmp_path / "policy.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(UsageError, match=words):
        open_session(tmp_path / "policy.onnx")


class Writes(torch.nn.Module):
    """A policy that leaves a file behind."""

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        torch.save(obs, self.place)
        return obs[:, :4]


class WritesAsItIsOpened(Writes):
    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return self.place, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.place, self.training = state
        torch.save(torch.zeros(1), self.place)

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        return obs[:, :4]


@pytest.mark.parametrize("cls", [Writes, WritesAsItIsOpened])
def test_a_program_that_writes_files_is_refused_before_it_is_opened(cls, tmp_path: Path) -> None:
    archive, extra = io.BytesIO(), {CONTRACT_FILE: sample_contract().to_json()}
    torch.jit.save(torch.jit.script(cls(str(tmp_path / "left behind"))), archive, _extra_files=extra)
    (tmp_path / "policy.pt").write_bytes(archive.getvalue())
    with pytest.raises(UsageError, match="does more than compute"):
        open_session(tmp_path / "policy.pt")
    assert not (tmp_path / "left behind").exists()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    policy = read_checkpoint(CHECKPOINTS / "rsl_rl-5.5.1-normalized" / "model.pt")
    made = export_policy(policy, sample_contract(), tmp_path_factory.mktemp("whole"))
    return {path.name: path.read_bytes() for path in made.values() if path.suffix != ".json"}


@pytest.mark.parametrize("opening", [open_session, inspect])
@pytest.mark.parametrize("name", ["policy.onnx", "policy.pt"])
def test_a_file_with_changed_bytes_is_a_policy_or_refused(
    name: str, opening: Callable[[Path], object], exported: dict[str, bytes], tmp_path: Path, capfd
) -> None:
    """Flipped bits and lost ends; a library's error of any other kind ends the test, as it would end a command."""
    dice = random.Random(f"{name} {opening.__name__}")
    refused = 0
    for _ in range(80):
        content = bytearray(exported[name])
        for _ in range(dice.choice([1, 1, 8])):
            content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
        (tmp_path / name).write_bytes(content[: dice.choice([None, None, dice.randrange(len(content))])])
        try:
            opening(tmp_path / name)
        except UsageError as error:
            refused += 1
            assert "\n".join(error.lines()).encode() and error.source
    assert refused > 20
    assert capfd.readouterr().out == "", "no library speaks among a command's answers"


@pytest.mark.parametrize("part", ["version", "extra/contract.json", "data/0", "data.pkl"])
def test_a_program_whose_parts_have_changed_is_refused(part: str, exported: dict[str, bytes], tmp_path: Path) -> None:
    """torch itself does not look at the checksums: a flipped bit would be another weight, or crash the process."""
    with zipfile.ZipFile(io.BytesIO(exported["policy.pt"])) as archive:
        (member,) = [entry for entry in archive.infolist() if entry.filename.endswith(f"/{part}")]
        content = bytearray(exported["policy.pt"])
        start = content.index(archive.read(member), member.header_offset)
    content[start + member.file_size // 2] ^= 1
    (tmp_path / "policy.pt").write_bytes(content)
    for opening in (open_session, inspect):
        with pytest.raises(UsageError, match=f"cannot be read: the checksum of its part '.*{part}' is wrong"):
            opening(tmp_path / "policy.pt")


class Narrow(torch.nn.Module):
    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        return obs[:, :3]


class Failing(torch.nn.Module):
    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        return obs @ torch.ones(5, 4)


@pytest.mark.parametrize(
    ("cls", "said"), [(Narrow, r"gives \(1, 3\) for one observation, its contract says 4"), (Failing, "cannot be read")]
)
def test_a_policy_that_fails_when_it_is_asked_is_refused_as_it_is_opened(
    cls: type[torch.nn.Module], said: str, tmp_path: Path
) -> None:
    extra = {CONTRACT_FILE: sample_contract().to_json()}
    torch.jit.save(torch.jit.script(cls()), str(tmp_path / "policy.pt"), _extra_files=extra)
    with pytest.raises(UsageError, match=said):
        open_session(tmp_path / "policy.pt")


def test_an_archive_that_is_none_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "policy.pt", "w") as archive:
        archive.writestr("policy/version", "3")
    with pytest.raises(UsageError, match="cannot be read"):
        open_session(tmp_path / "policy.pt")
