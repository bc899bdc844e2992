"""What a stock policy of a library would not compute is refused by its name: settings, statistics, odd layers."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from gaitway_runtime.policies.reader import read_checkpoint
from gaitway_runtime.spec.errors import UsageError
from torch import nn

from .samples import change, copy_case, observations
from .test_foreign import RSL3, RSL5, SKRL, prefixed, same_actions, sequential
from .test_reader import edit_config

OBS = torch.from_numpy(observations())


def legacy(folder: Path, actor: nn.Module, **top: object) -> Path:
    """A file of rsl_rl 3 with nothing beside it."""
    state = {**prefixed("actor", actor), "std": torch.ones(4)}
    torch.save({"model_state_dict": state, "iter": 5, "infos": None, **top}, folder / "model.pt")
    return folder / "model.pt"


class TestConfiguration:
    @pytest.mark.parametrize(
        ("key", "value"),
        [("last_activation", "tanh"), ("squash_output", True), ("layer_norm", True), ("encoder_dims", [8]), ("x", 2.5)],
    )
    @pytest.mark.parametrize(
        ("case", "section"), [(RSL5, ("actor",)), (RSL3, ("policy",)), (SKRL, ("models", "policy"))]
    )
    def test_a_setting_that_the_library_does_not_have(
        self, case: str, section: tuple, key: str, value: object, tmp_path: Path
    ) -> None:
        checkpoint = copy_case(case, tmp_path)

        def edit(config) -> None:
            for name in section:
                config = config[name]
            config[key] = value

        edit_config(checkpoint, edit)
        with pytest.raises(UsageError, match=f"sets {'.'.join(section)}.{key} to") as caught:
            read_checkpoint(checkpoint)
        assert "network.yaml" in (caught.value.hint or "")

    @pytest.mark.parametrize("empty", [None, False, {}, [], ""])
    def test_one_that_is_empty_changes_nothing(self, empty: object, tmp_path: Path) -> None:
        checkpoint = copy_case(RSL5, tmp_path)
        edit_config(checkpoint, lambda config: config["actor"].update(cnn_cfg=empty))
        read_checkpoint(checkpoint)

    @pytest.mark.parametrize(("case", "other"), [(RSL3, "actor"), (RSL5, "policy")])
    def test_two_sections_that_contradict_each_other(self, case: str, other: str, tmp_path: Path) -> None:
        checkpoint = copy_case(case, tmp_path)
        edit_config(checkpoint, lambda config: config.update({other: {"activation": "relu"}}))
        with pytest.raises(UsageError, match="says two things of one policy"):
            read_checkpoint(checkpoint)

    @pytest.mark.parametrize(
        ("change_to", "expected"),
        [
            ({"output_activation": "tanh", "output_scale": 2.0}, lambda y: 2.0 * torch.tanh(y)),
            ({}, torch.tanh),  # what skrl did where nothing was said
            ({"output_activation": None, "output_scale": 0.5}, lambda y: 0.5 * y),
        ],
    )
    def test_the_words_of_skrl_until_1_2(self, change_to: dict, expected, tmp_path: Path) -> None:
        network = sequential(12, 16, 8, 4)
        torch.save({"policy": {**prefixed("net", network), "log_std_parameter": torch.zeros(4)}}, tmp_path / "agent.pt")
        policy = {"class": "GaussianMixin", "input_shape": "Shape.STATES", "hiddens": [16, 8]}
        policy |= {"hidden_activation": ["elu", "elu"], "output_shape": "Shape.ACTIONS", **change_to}
        (tmp_path / "agent.yaml").write_text(yaml.safe_dump({"models": {"policy": policy}, "agent": {}}))
        found = read_checkpoint(tmp_path / "agent.pt")
        same_actions(found, expected(network(OBS)))

    def test_another_model_of_rl_games(self, tmp_path: Path) -> None:
        checkpoint = copy_case("rl_games-1.6.5-normalized", tmp_path)
        edit_config(checkpoint, lambda config: config["params"].setdefault("model", {}).update(name="continuous_tanh"))
        with pytest.raises(UsageError, match="rl_games model 'continuous_tanh'"):
            read_checkpoint(checkpoint)


STATISTICS = {"mean": np.ones(12), "var": np.full(12, 4.0), "count": 3.0}


class TestStatisticsBesideThePolicy:
    @pytest.mark.parametrize(
        ("beside", "name"),
        [
            ({"obs_mean": np.ones(12)}, "obs_mean"),
            ({"obs_rms": STATISTICS}, "obs_rms.mean"),
            ({"normalizer": {"mean": [1.0] * 12}}, "normalizer.mean"),
            ({"infos": {"obs_mean": np.ones(12)}}, "infos.obs_mean"),
            ({"actor_critic_state_dict": {"0.weight": torch.ones(2, 2)}}, "actor_critic_state_dict"),
        ],
    )
    def test_they_are_refused_by_name(self, beside: dict, name: str, tmp_path: Path) -> None:
        path = legacy(tmp_path, sequential(12, 16, 4), **beside)
        with pytest.raises(UsageError, match=f"holds '{name}' beside the policy"):
            read_checkpoint(path, activation="elu")

    @pytest.mark.parametrize(
        "beside",
        [
            {"rewbuffer": [1.0, 2.0], "lenbuffer": [10.0] * 9},
            {"mean_reward_history": [1.0, 2.0], "reward_std": np.ones(3)},
            {"infos": {"command_ranges": np.array([-1.0, 1.0]), "terrain_level": np.float64(4.5)}},
        ],
    )
    def test_a_trainers_own_numbers_are_passed_over(self, beside: dict, tmp_path: Path) -> None:
        actor = sequential(12, 16, 4)
        same_actions(read_checkpoint(legacy(tmp_path, actor, **beside), activation="elu"), actor(OBS))

    def test_a_description_reads_them(self, tmp_path: Path) -> None:
        actor = sequential(12, 16, 4)
        path = legacy(tmp_path, actor, obs_rms=STATISTICS)
        normalizer = {"entry": "obs_rms", "mean": "mean", "variance": "var"}
        described = {"weights": "model_state_dict", "layers": "actor", "activation": "elu", "ignore": ["std"]}
        (tmp_path / "network.yaml").write_text(yaml.safe_dump({**described, "normalizer": normalizer}))
        same_actions(read_checkpoint(path), actor((OBS - 1) / 2))


class TestLayers:
    def test_two_layers_side_by_side(self, tmp_path: Path) -> None:
        actor = nn.Sequential(nn.Linear(12, 16), nn.Linear(16, 8), nn.ELU(), nn.Linear(8, 4))
        with pytest.raises(UsageError, match="two layers with nothing between them"):
            read_checkpoint(legacy(tmp_path, actor), activation="elu")

    def test_something_before_the_first_layer(self, tmp_path: Path) -> None:
        actor = nn.Sequential(nn.LayerNorm(12, elementwise_affine=False), nn.Linear(12, 16), nn.ELU(), nn.Linear(16, 4))
        with pytest.raises(UsageError, match="a module without weights before its first layer"):
            read_checkpoint(legacy(tmp_path, actor), activation="elu")

    def test_weights_under_two_names(self, tmp_path: Path) -> None:
        def edit(content) -> None:
            state = content["model_state_dict"]
            content["model_state_dict"] |= {f"_orig_mod.{name}": 2 * tensor for name, tensor in state.items()}

        with pytest.raises(UsageError, match="the same weights twice"):
            read_checkpoint(change(copy_case(RSL3, tmp_path), edit))

    @pytest.mark.parametrize(
        ("edit", "message"),
        [
            (lambda weight: weight.to(torch.int8), "whole numbers"),
            (lambda weight: weight.to(torch.complex64), "is complex64, not a plain tensor"),
            (lambda weight: weight.to_sparse(), "is sparse_coo float32, not a plain tensor"),
            (lambda weight: weight.to("meta"), "is empty float32, not a plain tensor"),
            (lambda weight: weight.to(torch.float8_e4m3fn), "is float8_e4m3fn, not a plain tensor"),
            (lambda _: torch.zeros(1).expand(300_000, 300_000), r"claims 343322 MiB, of which the file holds 4 bytes"),
        ],
    )
    def test_tensors_that_are_not_simply_numbers(self, edit, message: str, tmp_path: Path) -> None:
        path = legacy(tmp_path, sequential(12, 16, 4))

        def replace(content) -> None:
            content["model_state_dict"]["actor.0.weight"] = edit(content["model_state_dict"]["actor.0.weight"])

        with pytest.raises(UsageError, match=message):
            read_checkpoint(change(path, replace), activation="elu")

    def test_a_recurrent_part_is_not_for_a_description(self, tmp_path: Path) -> None:
        part = {"memory_b.rnn.weight_ih_l0": torch.ones(4, 4)}
        path = change(copy_case(RSL3, tmp_path), lambda content: content["model_state_dict"].update(part))
        with pytest.raises(UsageError, match="not known here") as caught:
            read_checkpoint(path)
        assert "policy family" in (caught.value.hint or "")
