"""The exported files themselves: one file each, dynamic batch, contract inside, nothing of the machine."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from gaitway_runtime.policies.export import export_policy
from gaitway_runtime.policies.formats.onnx import OPSET
from gaitway_runtime.policies.network import Policy
from gaitway_runtime.policies.reader import read_checkpoint
from gaitway_runtime.policies.sessions import checkpoint_session, open_session
from gaitway_runtime.spec.contract import CONTRACT_KEY, PolicyContract
from gaitway_runtime.spec.errors import JobFailed, UsageError
from gaitway_runtime.spec.export_formats import EXPORT_FORMATS

from .samples import CHECKPOINTS, observations, sample_contract


@pytest.fixture(scope="module")
def policy() -> Policy:
    return read_checkpoint(CHECKPOINTS / "rsl_rl-5.5.1-normalized" / "model.pt")


@pytest.fixture(scope="module")
def made(policy: Policy, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("exported")
    return export_policy(policy, sample_contract(), folder, source={"run": "sample-1"})


@pytest.fixture(scope="module")
def made_lstm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    policy = read_checkpoint(CHECKPOINTS / "rsl_rl-5.5.1-lstm" / "model.pt")
    return export_policy(policy, sample_contract(), tmp_path_factory.mktemp("lstm"))


def shapes(values) -> dict[str, list[str | int]]:
    return {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}


def test_the_folder_has_one_file_for_each_format_and_the_contract(made: dict[str, Path]) -> None:
    assert sorted(path.name for path in made["onnx"].parent.iterdir()) == ["contract.json", "policy.onnx", "policy.pt"]
    assert {name: path.name for name, path in made.items()} == {
        "onnx": "policy.onnx",
        "jit": "policy.pt",
        "contract": "contract.json",
    }


def test_onnx_is_a_valid_model_with_a_dynamic_batch(made: dict[str, Path]) -> None:
    model = onnx.load(made["onnx"])
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    assert shapes(model.graph.input) == {"obs": ["batch", 12]}
    assert shapes(model.graph.output) == {"actions": ["batch", 4]}
    assert not any(tensor.external_data for tensor in model.graph.initializer)


def test_a_recurrent_policys_state_goes_in_and_out(made_lstm: dict[str, Path]) -> None:
    model = onnx.load(made_lstm["onnx"])
    assert shapes(model.graph.input) == {"obs": ["batch", 12], "h_in": [2, "batch", 8], "c_in": [2, "batch", 8]}
    assert shapes(model.graph.output) == {"actions": ["batch", 4], "h_out": [2, "batch", 8], "c_out": [2, "batch", 8]}
    io = json.loads(made_lstm["contract"].read_text())["io"]
    assert [tensor["name"] for tensor in io["inputs"]] == ["obs", "h_in", "c_in"]
    assert io["outputs"][1] == {"name": "h_out", "dtype": "float32", "shape": [2, "batch", 8]}
    module = torch.jit.load(made_lstm["jit"])
    actions, h, c = module(torch.zeros(3, 12), torch.zeros(2, 3, 8), torch.zeros(2, 3, 8))
    assert actions.shape == (3, 4) and h.shape == c.shape == (2, 3, 8)


def test_the_same_contract_is_in_both_files_and_beside_them(made: dict[str, Path]) -> None:
    beside = PolicyContract.from_json(made["contract"].read_text())
    assert open_session(made["onnx"]).contract == beside
    assert open_session(made["jit"]).contract == beside
    assert beside.actions[0].scale[2] == 1.0 / 3.0
    assert beside.network["layer_sizes"] == [12, 16, 8, 4]
    assert beside.network["activations"] == ["mish", "mish"]
    assert len(beside.network["normalizer"]["mean"]) == 12
    assert beside.io["onnx"] == {"file": "policy.onnx", "opset": OPSET}
    assert beside.source["run"] == "sample-1" and beside.source["library"] == "rsl_rl 4.x-5.x"


def test_deployment_tools_find_the_keys_they_look_for(made: dict[str, Path]) -> None:
    metadata = {entry.key: entry.value for entry in onnx.load(made["onnx"]).metadata_props}
    assert metadata["joint_names"] == "hip,thigh,shank,foot"
    assert [float(value) for value in metadata["action_scale"].split(",")] == [0.5, 0.5, 1.0 / 3.0, 0.25]
    assert metadata["observation_names"] == "base_ang_vel,joint_pos,joint_vel,phase"
    assert json.loads(metadata[CONTRACT_KEY])["task"] == "Isaac-Sample-v0"


def test_nothing_of_the_machine_is_in_the_files(made: dict[str, Path]) -> None:
    home = (
        Path(torch.__file__).parents[1],
        Path.cwd(),
        made["onnx"].parent,
        Path(read_checkpoint.__code__.co_filename).parent,
    )
    for path in made.values():
        assert not [str(folder) for folder in home if str(folder).encode() in path.read_bytes()]


def test_the_same_checkpoint_gives_the_same_bytes(policy: Policy, made: dict[str, Path], tmp_path: Path) -> None:
    again = export_policy(policy, sample_contract(), tmp_path, source={"run": "sample-1"})
    assert [path.read_bytes() for path in again.values()] == [made[name].read_bytes() for name in again]


def test_the_normaliser_is_inside(policy: Policy, made: dict[str, Path]) -> None:
    batch = observations()[:50]
    raw = policy.module.output(policy.module.trunk(torch.from_numpy(batch))).numpy()
    for name in ("onnx", "jit"):
        actions = open_session(made[name]).act(batch)
        assert np.abs(actions - policy(torch.from_numpy(batch)).numpy()).max() < 1e-6
        assert np.abs(actions - raw).max() > 0.1


def test_a_contract_of_another_task_is_refused_before_a_file_is_made(policy: Policy, tmp_path: Path) -> None:
    contract = sample_contract(observations=sample_contract().observations[:3])
    with pytest.raises(UsageError, match=r"expects 12 inputs.*gives 11"):
        export_policy(policy, contract, tmp_path / "exported")
    assert not (tmp_path / "exported").exists()


def test_an_unknown_format_is_refused(policy: Policy, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown export format 'tflite'") as caught:
        export_policy(policy, sample_contract(), tmp_path, formats=("tflite",))
    assert caught.value.allowed == "onnx, jit"


def test_a_failed_export_leaves_the_former_file_alone(
    policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "policy.pt").write_bytes(b"the former one")

    def fail(policy: Policy, contract: PolicyContract, path: Path) -> None:
        path.write_bytes(b"half of")
        raise JobFailed("disk full")

    failing = dataclasses.replace(EXPORT_FORMATS.get("jit"), write=fail)
    monkeypatch.setattr(EXPORT_FORMATS, "get", lambda *_: failing)
    with pytest.raises(JobFailed):
        export_policy(policy, sample_contract(), tmp_path, formats=("jit",))
    assert (tmp_path / "policy.pt").read_bytes() == b"the former one"
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".pt") == ["policy.pt"]


class TestSession:
    @pytest.mark.parametrize("name", ["onnx", "jit"])
    def test_a_mask_resets_the_worlds_it_names_and_no_other(self, name: str, made_lstm: dict[str, Path]) -> None:
        session, batch = open_session(made_lstm[name]), observations()[:4]
        first = session.act(batch)
        second = session.act(batch)
        assert np.abs(second - first).max() > 1e-4
        session.reset()
        session.act(batch)
        session.reset(np.array([True, False, True, False]))
        third = session.act(batch)
        np.testing.assert_allclose(third[[0, 2]], first[[0, 2]], atol=1e-6)
        np.testing.assert_allclose(third[[1, 3]], second[[1, 3]], atol=1e-6)

    def test_another_number_of_worlds_needs_a_reset(self, made_lstm: dict[str, Path]) -> None:
        session = open_session(made_lstm["onnx"])
        session.act(observations()[:4])
        with pytest.raises(ValueError, match="at 4 worlds, not 5"):
            session.act(observations()[:5])
        session.reset()
        assert session.act(observations()[:5]).shape == (5, 4)

    def test_it_says_what_computes(self, policy: Policy, made: dict[str, Path]) -> None:
        assert open_session(made["onnx"], threads=2).info() == {
            "format": "onnx",
            "provider": "CPUExecutionProvider",
            "threads": 2,
        }
        assert open_session(made["jit"]).info()["threads"] == torch.get_num_threads()
        assert checkpoint_session(policy).info()["format"] == "checkpoint"

    def test_files_of_other_makers_are_refused(self, tmp_path: Path) -> None:
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "policy.pt")
        with pytest.raises(UsageError, match="not exported by gaitway"):
            open_session(tmp_path / "policy.pt")
        for name in ("broken.pt", "broken.onnx"):
            (tmp_path / name).write_bytes(b"nothing")
            with pytest.raises(UsageError, match="cannot be read"):
                open_session(tmp_path / name)
        with pytest.raises(UsageError, match="no such exported policy"):
            open_session(tmp_path / "missing.onnx")
