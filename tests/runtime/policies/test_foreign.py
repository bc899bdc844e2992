"""Checkpoints as people have them: read right, or refused with the one sentence that says what is missing."""

import io
import itertools
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from gaitway_runtime.policies.checkpoint import open_checkpoint
from gaitway_runtime.policies.marker import MARKER_KEY, Marker
from gaitway_runtime.policies.network import Policy
from gaitway_runtime.policies.reader import read_checkpoint
from gaitway_runtime.spec.errors import UsageError
from torch import nn

from .samples import CHECKPOINTS, change, copy_case, library_actions, observations
from .test_reader import actions_of, edit_config

RSL5, RSL3, RSL2 = "rsl_rl-5.5.1-normalized", "rsl_rl-3.1.2-normalized", "rsl_rl-2.3.3"
SKRL = "skrl-2.1.1-separate"


def sequential(*sizes: int, activation=nn.ELU) -> nn.Sequential:
    torch.manual_seed(len(sizes))
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), activation()]
    return nn.Sequential(*layers[:-1])


def prefixed(prefix: str, module: nn.Module) -> dict[str, torch.Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in module.state_dict().items()}


def same_actions(policy: Policy, expected: torch.Tensor) -> None:
    np.testing.assert_allclose(actions_of(policy), expected.detach().numpy(), rtol=0, atol=1e-6)


class TestEntriesBesideThePolicy:
    @pytest.mark.parametrize(
        "name",
        ["lin_vel_estimator_state_dict", "encoder_state_dict", "obs_normalizer_state_dict", "ema_actor", "depth"],
    )
    @pytest.mark.parametrize("case", [RSL5, RSL2, SKRL])
    def test_weights_that_nobody_reads_are_refused_by_name(self, name: str, case: str, tmp_path: Path) -> None:
        beside = {name: {"0.weight": torch.ones(3, 12), "_mean": torch.zeros(1, 12)}}
        with pytest.raises(UsageError, match=f"holds '{name}' beside the policy") as caught:
            read_checkpoint(change(copy_case(case, tmp_path), lambda content: content.update(beside)))
        assert "network.yaml" in (caught.value.hint or "")

    def test_an_encoder_in_infos_is_not_overlooked(self, tmp_path: Path) -> None:
        infos = {"infos": {"terrain_levels": torch.zeros(8), "adaptation": {"0.weight": torch.ones(3, 12)}}}
        with pytest.raises(UsageError, match=r"infos\.adaptation"):
            read_checkpoint(change(copy_case(RSL5, tmp_path), lambda content: content.update(infos)))

    @pytest.mark.parametrize(
        "name",
        [
            "rnd_state_dict",
            "rnd_optimizer_state_dict",
            "discriminator_state_dict",
            "amp_normalizer",
            "env_state",
            "estimator_optimizer_state_dict",
            "lr_scheduler",
            "critic_2_state_dict",
            "target_critic_1",
            "value_norm",
        ],
    )
    def test_what_plays_no_part_when_the_policy_acts_is_passed_over(self, name: str, tmp_path: Path) -> None:
        beside = {name: {"0.weight": torch.ones(3, 12)}}
        policy = read_checkpoint(change(copy_case(RSL5, tmp_path), lambda content: content.update(beside)))
        np.testing.assert_allclose(actions_of(policy), library_actions(RSL5), rtol=0, atol=1e-6)

    def test_several_critics_do_not_hide_a_plain_actor(self, tmp_path: Path) -> None:
        def edit(content) -> None:
            content["model_state_dict"] |= {f"critics.{n}.0.weight": torch.ones(1, 12) for n in range(3)}

        read_checkpoint(change(copy_case(RSL3, tmp_path), edit))

    @pytest.mark.parametrize("wrapper", ["_orig_mod.", "module.", "module._orig_mod."])
    @pytest.mark.parametrize("case", [RSL5, RSL3])
    def test_wrappers_of_compiled_and_distributed_modules_are_taken_off(
        self, wrapper: str, case: str, tmp_path: Path
    ) -> None:
        key = "actor_state_dict" if case == RSL5 else "model_state_dict"

        def edit(content) -> None:
            content[key] = {wrapper + name: tensor for name, tensor in content[key].items()}

        policy = read_checkpoint(change(copy_case(case, tmp_path), edit))
        np.testing.assert_allclose(actions_of(policy), library_actions(case), rtol=0, atol=1e-6)

    def test_a_network_that_was_wrapped_alone(self, tmp_path: Path) -> None:
        def edit(content) -> None:
            state = content["model_state_dict"]
            content["model_state_dict"] = {
                re.sub(r"^(actor|critic)\.", r"\1.module.", name): state[name] for name in state
            }

        policy = read_checkpoint(change(copy_case(RSL3, tmp_path), edit))
        np.testing.assert_allclose(actions_of(policy), library_actions(RSL3), rtol=0, atol=1e-6)

    @pytest.mark.parametrize("inside", [True, False], ids=["of the actor", "of a bare state dict"])
    def test_an_encoder_among_the_networks_is_not_for_a_description(self, inside: bool, tmp_path: Path) -> None:
        prefix, encoder = ("actor.backbone", "actor.priv_encoder") if inside else ("actor_body", "adaptation_module")
        state = {**prefixed(prefix, sequential(14, 4)), **prefixed(encoder, sequential(9, 2))}
        state |= {**prefixed("critic", sequential(14, 1)), "std": torch.ones(4)}
        torch.save({"model_state_dict": state} if inside else state, tmp_path / "model.pt")
        with pytest.raises(UsageError) as caught:
            read_checkpoint(tmp_path / "model.pt", activation="elu")
        assert "export all of it as one ONNX file" in (caught.value.hint or "")

    def test_weights_in_a_tensordict(self, tmp_path: Path) -> None:
        tensordict = pytest.importorskip("tensordict")

        def edit(content) -> None:
            content["actor_state_dict"] = tensordict.TensorDict(content["actor_state_dict"])

        policy = read_checkpoint(change(copy_case(RSL5, tmp_path), edit))
        np.testing.assert_allclose(actions_of(policy), library_actions(RSL5), rtol=0, atol=1e-6)

    def test_of_two_normalisers_none_is_chosen(self, tmp_path: Path) -> None:
        other = {"_mean": torch.zeros(1, 12), "_std": torch.ones(1, 12), "_var": torch.ones(1, 12)}
        with pytest.raises(UsageError, match="statistics of two observation normalisers"):
            read_checkpoint(
                change(copy_case(RSL3, tmp_path), lambda content: content.update(obs_norm_state_dict=other))
            )

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
    def test_other_precisions_are_read_as_the_numbers_they_are(self, dtype: torch.dtype, tmp_path: Path) -> None:
        def edit(content) -> None:
            state = content["actor_state_dict"]
            content["actor_state_dict"] = {name: tensor.to(dtype) for name, tensor in state.items()}

        policy = read_checkpoint(change(copy_case(RSL5, tmp_path), edit))
        assert {parameter.dtype for parameter in policy.module.parameters()} == {torch.float32}
        np.testing.assert_allclose(actions_of(policy), library_actions(RSL5), rtol=0.1, atol=0.1)


class TestConfiguration:
    @pytest.mark.parametrize(
        ("case", "path", "name"),
        [
            (RSL3, ("policy", "class_name"), "my_robot.modules:SquashedActorCritic"),
            (RSL3, ("policy", "class_name"), "my_robot.modules:ActorCritic"),
            (RSL2, ("policy", "class_name"), "ActorCriticMoE"),
            (RSL5, ("actor", "class_name"), "my_robot.models.MLPModel"),
            (SKRL, ("models", "policy", "class"), "SquashedGaussianMixin"),
        ],
    )
    def test_a_class_of_somebody_elses_is_refused(self, case: str, path: tuple, name: str, tmp_path: Path) -> None:
        checkpoint = copy_case(case, tmp_path)

        def edit(config) -> None:
            for key in path[:-1]:
                config = config[key]
            config[path[-1]] = name

        edit_config(checkpoint, edit)
        with pytest.raises(UsageError, match=r"is not (rsl_rl|skrl)'s own") as caught:
            read_checkpoint(checkpoint)
        assert name in caught.value.message and ".".join(path) in (caught.value.source or "")

    def test_qualified_names_of_the_librarys_own_classes_are_known(self, tmp_path: Path) -> None:
        checkpoint = copy_case(RSL5, tmp_path)
        edit_config(checkpoint, lambda config: config["actor"].update(class_name="rsl_rl.models:MLPModel"))
        read_checkpoint(checkpoint)

    def test_an_unknown_distribution_is_refused(self, tmp_path: Path) -> None:
        checkpoint = copy_case(RSL5, tmp_path)
        squashed = {"class_name": "my.SquashedGaussian"}
        edit_config(checkpoint, lambda config: config["actor"].update(distribution_cfg=squashed))
        with pytest.raises(UsageError, match="SquashedGaussian"):
            read_checkpoint(checkpoint)

    @pytest.mark.parametrize("place", ["marker", "agent.yaml"])
    def test_an_activation_that_contradicts_the_file_is_refused(self, place: str, tmp_path: Path) -> None:
        checkpoint = copy_case(RSL5, tmp_path, with_config=place == "agent.yaml")
        if place == "marker":
            marked = {"infos": {MARKER_KEY: Marker(activation="mish").as_dict()}}
            change(checkpoint, lambda content: content.update(marked))
        with pytest.raises(UsageError, match="told in two ways: relu by --activation, mish by") as caught:
            read_checkpoint(checkpoint, activation="relu")
        assert "GAITWAY_ACTIVATION" in (caught.value.hint or "")
        read_checkpoint(checkpoint, activation="mish")

    @pytest.mark.parametrize(
        ("config", "activation", "expected"),
        [
            ({"policy": {"class_name": "ActorCritic", "activation": "crelu"}}, None, nn.CELU),
            ({"runner": {"policy_class_name": "ActorCritic"}, "policy": {"activation": "crelu"}}, None, nn.ReLU),
            ({"policy": {"activation": "crelu"}}, None, None),
            ({"policy": {"activation": "crelu"}}, "relu", nn.ReLU),
            ({"policy": {"activation": "crelu"}}, "celu", nn.CELU),
        ],
    )
    def test_crelu_means_what_it_meant_in_its_release(self, config, activation, expected, tmp_path: Path) -> None:
        checkpoint = copy_case(RSL2, tmp_path, with_config=False)
        (tmp_path / "agent.yaml").write_text(yaml.safe_dump(config))
        if expected is None:
            with pytest.raises(UsageError, match=r"ReLU in rsl_rl 1\.x and CELU"):
                read_checkpoint(checkpoint, activation=activation)
        else:
            trunk = read_checkpoint(checkpoint, activation=activation).module.trunk
            assert {type(module) for module in trunk if not isinstance(module, nn.Linear)} == {expected}

    def test_a_field_that_isaac_lab_never_set_is_no_normaliser(self, tmp_path: Path) -> None:
        checkpoint = copy_case(RSL2, tmp_path)
        unset = {"class_name": "ActorCritic", "activation": "elu", "actor_obs_normalization": {}}

        def edit(config) -> None:
            config.update(empirical_normalization=True)
            config["policy"].update(unset)

        edit_config(checkpoint, edit)
        assert read_checkpoint(checkpoint).normalizer is None
        edit_config(checkpoint, lambda config: config["policy"].pop("actor_obs_normalization"))
        with pytest.raises(UsageError, match="no observation normaliser"):
            read_checkpoint(checkpoint)

    def test_statistics_that_the_configuration_denies_are_refused(self, tmp_path: Path) -> None:
        checkpoint = copy_case(RSL5, tmp_path)
        edit_config(checkpoint, lambda config: config["actor"].update(obs_normalization=False))
        with pytest.raises(UsageError, match="says that the policy was trained without"):
            read_checkpoint(checkpoint)

    def test_the_configuration_of_a_stranger_is_not_looked_at(self, tmp_path: Path) -> None:
        (tmp_path / "params").mkdir()
        (tmp_path / "params" / "agent.yaml").write_text(yaml.safe_dump({"policy": {"activation": "relu"}}))
        fetched = copy_case(RSL2, tmp_path / "download-1", with_config=False)
        for checkpoint in (open_checkpoint(fetched), open_checkpoint(fetched, config_folders=())):
            with pytest.raises(UsageError, match="does not tell its network's activation"):
                read_checkpoint(checkpoint)


class TestSkrlInputs:
    @pytest.mark.parametrize(
        ("expression", "take"),
        [
            ("OBSERVATIONS", lambda x: x),
            ("0.5 * OBSERVATIONS", lambda x: 0.5 * x),
            ("OBSERVATIONS / 4", lambda x: x / 4),
            ("OBSERVATIONS[:, 2:]", lambda x: x[:, 2:]),
            ("2 * STATES[:, 1:]", lambda x: 2 * x[:, 1:]),
            ("concatenate([OBSERVATIONS[:, :2], OBSERVATIONS[:, 5:]])", lambda x: torch.cat([x[:, :2], x[:, 5:]], 1)),
        ],
    )
    def test_a_simple_input_is_computed(self, expression: str, take, tmp_path: Path) -> None:
        width = take(torch.zeros(1, 12)).shape[1]
        network = sequential(width, 16, 4)
        state = {**prefixed("net_container", network), "log_std_parameter": torch.zeros(4)}
        torch.save({"policy": state}, tmp_path / "agent.pt")
        policy = {"class": "GaussianMixin", "network": [{"name": "net", "input": expression, "activations": "elu"}]}
        (tmp_path / "agent.yaml").write_text(yaml.safe_dump({"models": {"policy": policy}, "agent": {}}))
        found = read_checkpoint(tmp_path / "agent.pt")
        assert found.observation_size == 12
        same_actions(found, network(take(torch.from_numpy(observations()))))

    @pytest.mark.parametrize(
        "expression",
        ["one_hot_encoding(OBSERVATIONS)", "OBSERVATIONS + ACTIONS", "__import__('os').getcwd()"],
    )
    def test_any_other_is_refused_by_its_text(self, expression: str, tmp_path: Path) -> None:
        checkpoint = copy_case(SKRL, tmp_path)
        edit_config(checkpoint, lambda config: config["models"]["policy"]["network"][0].update(input=expression))
        with pytest.raises(UsageError, match="input expression is not supported") as caught:
            read_checkpoint(checkpoint)
        assert expression in caught.value.message

    @pytest.mark.parametrize("expression", ["STATES", "concatenate([OBSERVATIONS, STATES])"])
    def test_a_policy_of_privileged_states_is_refused(self, expression: str, tmp_path: Path) -> None:
        def edit(config) -> None:
            config["models"]["policy"]["network"][0]["input"] = expression
            config["agent"]["observation_preprocessor"] = None

        checkpoint = copy_case(SKRL, tmp_path)
        edit_config(checkpoint, edit)
        with pytest.raises(UsageError, match="reads the environment's states"):
            read_checkpoint(checkpoint)

    def test_several_agents_are_named(self, tmp_path: Path) -> None:
        one = {"policy": {**prefixed("net_container", sequential(4, 8, 1)), "log_std_parameter": torch.zeros(1)}}
        torch.save({"cart": one, "pendulum": one}, tmp_path / "agent.pt")
        with pytest.raises(UsageError, match=r"several skrl agents \(cart, pendulum\)"):
            read_checkpoint(tmp_path / "agent.pt")


class TestRlGames:
    CASE = "rl_games-1.6.5-normalized"

    def test_without_its_configuration_the_clamp_is_not_guessed(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="none beside the checkpoint"):
            read_checkpoint(copy_case(self.CASE, tmp_path, with_config=False), activation="elu")

    def test_a_policy_that_acts_unstretched(self, tmp_path: Path) -> None:
        checkpoint = copy_case(self.CASE, tmp_path)
        edit_config(checkpoint, lambda config: config["params"]["config"].update(clip_actions=False))
        plain = read_checkpoint(checkpoint)
        assert np.abs(actions_of(plain)).max() <= 2.0
        assert np.abs(actions_of(plain) - library_actions(self.CASE)).max() > 0.1

    @pytest.mark.parametrize(("section", "key"), [("mlp", "concat_input"), ("", "joint_obs_actions")])
    def test_a_word_that_the_builder_does_not_have_is_refused(self, section: str, key: str, tmp_path: Path) -> None:
        def edit(config) -> None:
            network = config["params"]["network"]
            (network[section] if section else network)[key] = True

        checkpoint = copy_case(self.CASE, tmp_path)
        edit_config(checkpoint, edit)
        with pytest.raises(UsageError, match=f"sets params.network.*{key} to True"):
            read_checkpoint(checkpoint)

    def test_a_network_builder_of_ones_own_is_refused(self, tmp_path: Path) -> None:
        checkpoint = copy_case(self.CASE, tmp_path)
        edit_config(checkpoint, lambda config: config["params"]["network"].update(name="my_net"))
        with pytest.raises(UsageError, match="built by 'my_net'"):
            read_checkpoint(checkpoint)

    def test_statistics_that_the_configuration_denies_are_refused(self, tmp_path: Path) -> None:
        checkpoint = copy_case(self.CASE, tmp_path)
        edit_config(checkpoint, lambda config: config["params"]["config"].update(normalize_input=False))
        with pytest.raises(UsageError, match="holds observation statistics, and the configuration beside it says"):
            read_checkpoint(checkpoint)


class TestStableBaselines3:
    CASE = "stable_baselines3-2.9.2-ppo"

    def edited(self, tmp_path: Path, edit, case: str = CASE) -> Path:
        """A copy of the archive with other settings."""
        path = tmp_path / "model.zip"
        with zipfile.ZipFile(CHECKPOINTS / case / "model.pt") as source, zipfile.ZipFile(path, "w") as target:
            for name in source.namelist():
                content = source.read(name)
                if name == "data":
                    settings = json.loads(content)
                    edit(settings)
                    content = json.dumps(settings).encode()
                target.writestr(name, content)
        return path

    def test_actions_are_clipped_to_the_space(self, tmp_path: Path) -> None:
        path = self.edited(tmp_path, lambda settings: settings["action_space"].update(low="[-0.01 -1 -1 -1]"))
        clipped = actions_of(read_checkpoint(path))
        assert clipped[:, 0].min() == np.float32(-0.01) and clipped[:, 1].min() < -0.01

    def test_a_class_of_ones_own_is_refused(self, tmp_path: Path) -> None:
        path = self.edited(tmp_path, lambda settings: settings["policy_class"].update(__module__="mine.policies"))
        with pytest.raises(UsageError, match=r"not Stable-Baselines3's own.*mine\.policies"):
            read_checkpoint(path)

    def test_the_actor_of_tqc_is_that_of_sac(self, tmp_path: Path) -> None:
        def edit(settings) -> None:
            settings["policy_class"]["__module__"] = "sb3_contrib.tqc.policies"

        case = "stable_baselines3-2.9.2-sac"
        policy = read_checkpoint(self.edited(tmp_path, edit, case))
        np.testing.assert_allclose(actions_of(policy), library_actions(case), rtol=0, atol=1e-6)

    def test_a_mean_that_is_clipped_before_it_is_squashed(self, tmp_path: Path) -> None:
        case = "stable_baselines3-2.9.2-sac"
        noisy = {"use_sde": True, "clip_mean": 0.05}
        plain = self.edited(tmp_path, lambda settings: settings.update(policy_kwargs=noisy), case)
        path = tmp_path / "sde.zip"
        with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w") as target:
            state = torch.load(io.BytesIO(source.read("policy.pth")), weights_only=True)
            kept = {name.replace("mu.", "mu.0."): state[name] for name in state if "log_std" not in name}
            weights = io.BytesIO()
            torch.save({**kept, "actor.log_std": torch.zeros(3, 4)}, weights)
            target.writestr("data", source.read("data"))
            target.writestr("policy.pth", weights.getvalue())
        free, clipped = library_actions(case), actions_of(read_checkpoint(path))
        middle, reach = 0.5, 2.5 * np.tanh(0.05)  # the fixture's actions are from -2 to 3
        assert (np.abs(free - middle) > reach).any()
        np.testing.assert_allclose(clipped, np.clip(free, middle - reach, middle + reach), rtol=0, atol=1e-6)

    def test_an_activation_of_ones_own_is_refused_though_its_name_is_torchs(self, tmp_path: Path) -> None:
        arguments = {"activation_fn": "<class 'mine.nn.ReLU'>"}
        path = self.edited(tmp_path, lambda settings: settings.update(policy_kwargs=arguments))
        with pytest.raises(UsageError, match=r"activation is not torch's own.*mine\.nn\.ReLU"):
            read_checkpoint(path)

    def test_discrete_actions_are_refused(self, tmp_path: Path) -> None:
        path = self.edited(
            tmp_path, lambda settings: settings.update(action_space={":type:": "<class 'gymnasium.spaces.Discrete'>"})
        )
        with pytest.raises(UsageError, match="not a box"):
            read_checkpoint(path)

    def test_it_says_that_a_normaliser_would_be_elsewhere(self) -> None:
        policy = read_checkpoint(CHECKPOINTS / self.CASE / "model.pt")
        assert "VecNormalize" in policy.parts.assumptions[0]
