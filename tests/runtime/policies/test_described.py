"""Networks that a network.yaml describes: plain modules, other statistics and output scales, safetensors."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from gaitway_runtime.policies.export import export_policy
from gaitway_runtime.policies.reader import read_checkpoint
from gaitway_runtime.spec.contract import PolicyContract
from gaitway_runtime.spec.errors import UsageError
from torch import nn

from .samples import observations
from .test_foreign import prefixed, same_actions, sequential


class TestDescribedNetworks:
    def write(self, folder: Path, content, **description) -> Path:
        torch.save(content, folder / "model.pt")
        (folder / "network.yaml").write_text(yaml.safe_dump(description))
        return folder / "model.pt"

    def test_a_plain_modules_state_dict(self, tmp_path: Path) -> None:
        body, head = sequential(12, 16, 8), nn.Linear(8, 4)
        content = {**prefixed("body", body), **prefixed("head", head), "log_std": torch.zeros(4)}
        path = self.write(tmp_path, content, layers=["body.0", "body.2", "head"], activation="elu", ignore=["log_std"])
        same_actions(read_checkpoint(path), head(nn.ELU()(body(torch.from_numpy(observations())))))

    @pytest.mark.parametrize("activated", [False, True])
    def test_layer_normalisations(self, activated: bool, tmp_path: Path) -> None:
        def block(inputs: int, outputs: int) -> list[nn.Module]:
            norm = nn.LayerNorm(outputs, eps=1e-3)
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.bias)
            return [nn.Linear(inputs, outputs), *([nn.ELU(), norm] if activated else [norm, nn.ELU()])]

        body = nn.Sequential(*block(12, 16), *block(16, 8), nn.Linear(8, 4))
        norms = {"layers": [f"body.{1 + activated}", f"body.{4 + activated}"], "epsilon": 1e-3, "activated": activated}
        layers = ["body.0", "body.3", "body.6"]
        content = prefixed("body", body)
        policy = read_checkpoint(self.write(tmp_path, content, layers=layers, activation="elu", layer_norm=norms))
        same_actions(policy, body(torch.from_numpy(observations())))
        export_policy(policy, PolicyContract.of_unknown_task(), tmp_path / "made", ("onnx", "jit"))
        norms["layers"] = ["body.0"]
        with pytest.raises(UsageError, match=r"no normalisation 'body\.0' of 16 values"):
            read_checkpoint(self.write(tmp_path, content, layers=layers, activation="elu", layer_norm=norms))

    def test_cleanrl_with_the_wrappers_statistics(self, tmp_path: Path) -> None:
        actor = sequential(12, 64, 64, 4, activation=nn.Tanh)
        content = {**prefixed("actor_mean", actor), "actor_logstd": torch.zeros(1, 4)}
        content |= prefixed("critic", sequential(12, 64, 1))
        mean, variance = [0.1 * n for n in range(12)], [1.0 + n for n in range(12)]
        path = self.write(
            tmp_path,
            content,
            layers="actor_mean",
            activation="tanh",
            output="0.5 * tanh(ACTIONS)",
            normalizer={"mean": mean, "variance": variance, "epsilon": 1e-8, "clip": 10.0},
            inputs=[{"base_ang_vel": 3}, {"joint_pos": 9}],
            ignore=["actor_logstd", "critic"],
        )
        policy = read_checkpoint(path)
        obs = torch.from_numpy(observations())
        seen = ((obs - torch.tensor(mean)) / torch.sqrt(torch.tensor(variance) + 1e-8)).clamp(-10, 10)
        same_actions(policy, 0.5 * torch.tanh(actor(seen)))
        assert policy.contract is not None and [term.name for term in policy.contract.observations] == [
            "base_ang_vel",
            "joint_pos",
        ]

    def test_cleanrl_with_an_action_space_among_its_weights(self, tmp_path: Path) -> None:
        body, mean = sequential(12, 16, 16), nn.Linear(16, 4)
        scale, bias = torch.tensor([1.0, 2.0, 0.5, 3.0]), torch.tensor([0.0, 0.1, -0.2, 0.3])
        content = {f"fc{n + 1}.{leaf}": tensor for n in (0, 1) for leaf, tensor in body[2 * n].state_dict().items()}
        content |= {**prefixed("fc_mean", mean), "action_scale": scale, "action_bias": bias}
        told = {"layers": ["fc1", "fc2", "fc_mean"], "activation": "relu", "output": "tanh(ACTIONS)"}
        with pytest.raises(UsageError, match="leaves out 'action_scale'"):
            read_checkpoint(self.write(tmp_path, content, **told))
        path = self.write(tmp_path, content, **told, output_scale="action_scale", output_offset="action_bias")
        hidden = body[2](torch.relu(body[0](torch.from_numpy(observations()))))
        same_actions(read_checkpoint(path), torch.tanh(mean(torch.relu(hidden))) * scale + bias)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
    def test_weights_in_safetensors(self, dtype: torch.dtype, tmp_path: Path) -> None:
        from safetensors.torch import save_file

        actor = sequential(12, 16, 4)
        save_file(
            {name: tensor.to(dtype) for name, tensor in prefixed("net", actor).items()}, tmp_path / "m.safetensors"
        )
        (tmp_path / "network.yaml").write_text("layers: net\nactivation: elu\n")
        actor.load_state_dict({name: tensor.to(dtype).float() for name, tensor in actor.state_dict().items()})
        same_actions(read_checkpoint(tmp_path / "m.safetensors"), actor(torch.from_numpy(observations())))
        (tmp_path / "m.safetensors").write_bytes((tmp_path / "m.safetensors").read_bytes()[:-8])
        with pytest.raises(UsageError, match="has another size than its data"):
            read_checkpoint(tmp_path / "m.safetensors")

    def test_an_actor_with_its_own_normaliser_entry(self, tmp_path: Path) -> None:
        actor = sequential(12, 16, 4)
        statistics = {"_mean": torch.randn(1, 12), "_std": torch.rand(1, 12) + 0.5, "count": torch.tensor(9)}
        content = {
            "actor_state_dict": {**prefixed("net", actor), "noise_scales": torch.ones(64, 1)},
            "obs_normalizer_state": statistics,
            "encoder_state_dict": {"0.weight": torch.ones(2, 2)},
            "names": np.array(["a", "b"]),
        }
        description = {
            "weights": "actor_state_dict",
            "layers": "net",
            "activation": "elu",
            "normalizer": {"entry": "obs_normalizer_state", "mean": "_mean", "std": "_std", "epsilon": 0.01},
        }
        path = self.write(tmp_path, content, **description, ignore=["noise_scales"])
        with pytest.raises(UsageError, match="holds 'encoder_state_dict' beside the policy"):
            read_checkpoint(path)
        path = self.write(tmp_path, content, **description, ignore=["noise_scales", "encoder_state_dict"])
        obs = torch.from_numpy(observations())
        same_actions(read_checkpoint(path), actor((obs - statistics["_mean"]) / (statistics["_std"] + 0.01)))

    @pytest.mark.parametrize(
        ("change_to", "message"),
        [
            ({"layers": ["body.0"]}, "leaves out 'head"),
            ({"layers": ["body.0", "tail"]}, "no layer 'tail'"),
            ({"activation": "eluu"}, "unknown activation 'eluu'"),
            ({"output": "sin(ACTIONS)"}, "output expression"),
            ({"inputs": [{"all": 11}]}, "have 11 values, the first layer takes 12"),
            ({"layer": "body"}, "unknown field 'layer'"),
            ({"weights": "actor"}, "no entry 'actor'"),
            ({"normalizer": {"mean": [0.0] * 12}}, "either std or variance"),
        ],
    )
    def test_a_description_that_does_not_fit_names_its_field(self, change_to, message: str, tmp_path: Path) -> None:
        content = {**prefixed("body", sequential(12, 16)), **prefixed("head", nn.Linear(16, 4))}
        description = {"layers": ["body.0", "head"], "activation": "elu", **change_to}
        with pytest.raises(UsageError, match=message) as caught:
            read_checkpoint(self.write(tmp_path, content, **description))
        assert "network.yaml" in (caught.value.source or "")

    def test_without_a_description_a_state_dict_is_refused_with_what_to_give(self, tmp_path: Path) -> None:
        torch.save(prefixed("actor_mean", sequential(12, 16, 4)), tmp_path / "agent.cleanrl_model")
        with pytest.raises(UsageError, match="does not say what is computed") as caught:
            read_checkpoint(tmp_path / "agent.cleanrl_model")
        assert "network.yaml" in (caught.value.hint or "")
