"""What a reader must know beside the weights, where it looks, and when it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from gaitway_runtime.policies.marker import MARKER_KEY, Marker
from gaitway_runtime.policies.reader import read_checkpoint
from gaitway_runtime.spec.errors import UsageError

from .samples import CASES, change, copy_case, library_actions, observations, sample_contract


def actions_of(policy) -> np.ndarray:
    return policy(torch.from_numpy(observations())).numpy()


def edit_config(path: Path, edit) -> None:
    """Change the agent.yaml beside a copied checkpoint."""
    file = path.parent / "params" / "agent.yaml"
    text = file.read_text().replace("!!python/tuple", "")
    config = yaml.safe_load(text)
    edit(config)
    file.write_text(yaml.safe_dump(config))


NORMALIZER_KEYS = {
    "rsl_rl-2.3.3-normalized": lambda c: c.pop("obs_norm_state_dict"),
    "rsl_rl-3.1.2-normalized": lambda c: strip(c["model_state_dict"], "actor_obs_normalizer."),
    "rsl_rl-3.1.2-lstm": lambda c: strip(c["model_state_dict"], "actor_obs_normalizer."),
    "rsl_rl-4.0.1-normalized": lambda c: strip(c["actor_state_dict"], "obs_normalizer."),
    "rsl_rl-5.5.1-normalized": lambda c: strip(c["actor_state_dict"], "obs_normalizer."),
    "rsl_rl-5.5.1-gru": lambda c: strip(c["actor_state_dict"], "obs_normalizer."),
    "skrl-1.4.3-shared": lambda c: c.pop("state_preprocessor"),
    "skrl-2.1.1-shared": lambda c: c.pop("observation_preprocessor"),
}
"""How to remove the policy's normaliser from a checkpoint of each family."""


def strip(state: dict, prefix: str) -> None:
    for name in [name for name in state if name.startswith(prefix)]:
        del state[name]


@pytest.mark.parametrize("case", NORMALIZER_KEYS)
@pytest.mark.parametrize("with_config", [True, False], ids=["with agent.yaml", "alone"])
def test_a_checkpoint_whose_normaliser_was_removed_is_refused(case: str, with_config: bool, tmp_path: Path) -> None:
    path = change(copy_case(case, tmp_path, with_config=with_config), NORMALIZER_KEYS[case])
    with pytest.raises(UsageError, match="no observation normaliser") as caught:
        read_checkpoint(path, activation=None if with_config else "elu")
    assert ("agent.yaml says" in caught.value.message) == with_config
    assert "not in the file" in (caught.value.source or "")


@pytest.mark.parametrize("case", NORMALIZER_KEYS)
def test_half_a_normaliser_is_refused(case: str, tmp_path: Path) -> None:
    def cut(content) -> None:
        for state in (content, *content.values()):
            for holder in [state, *state.values()] if isinstance(state, dict) else []:
                if isinstance(holder, dict):
                    for name in [n for n in holder if str(n).endswith(("_std", "running_variance")) and "log" not in n]:
                        del holder[name]

    with pytest.raises(UsageError, match=r"normaliser|scaler"):
        read_checkpoint(change(copy_case(case, tmp_path), cut))


def test_a_policy_that_was_trained_without_a_normaliser_needs_none(tmp_path: Path) -> None:
    path = copy_case("rsl_rl-2.3.3", tmp_path, with_config=False)
    assert read_checkpoint(path, activation="elu").normalizer is None


def test_only_the_critic_normalised_is_believed_when_the_configuration_says_so(tmp_path: Path) -> None:
    path = change(copy_case("rsl_rl-5.5.1-normalized", tmp_path), NORMALIZER_KEYS["rsl_rl-5.5.1-normalized"])
    edit_config(path, lambda config: config["actor"].update(obs_normalization=False))
    assert read_checkpoint(path).normalizer is None


def test_the_critics_statistics_of_rsl_rl_2_are_never_taken_for_the_policys(tmp_path: Path) -> None:
    policy = read_checkpoint(copy_case("rsl_rl-2.3.3-normalized", tmp_path))
    own = torch.load(tmp_path / "model.pt", weights_only=True)["obs_norm_state_dict"]["_mean"]
    assert policy.normalizer is not None
    assert torch.equal(policy.normalizer.mean, own.reshape(-1))


@pytest.mark.parametrize("case", CASES)
def test_without_a_word_on_the_activation_the_error_lists_every_place(case: str, tmp_path: Path) -> None:
    path = copy_case(case, tmp_path / "run", with_config=False)
    with pytest.raises(UsageError, match=r"does not tell its network's activation|no action spread") as caught:
        read_checkpoint(path)
    for place in ("run/params/agent.yaml", "agent.json"):
        assert place in (caught.value.source or "")


def test_an_unknown_activation_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    path = copy_case("rsl_rl-5.5.1-normalized", tmp_path)
    with pytest.raises(UsageError, match="unknown activation 'eluu'") as caught:
        read_checkpoint(path, activation="eluu")
    assert "mish" in (caught.value.allowed or "") and caught.value.hint == "did you mean elu?"
    edit_config(path, lambda config: config["actor"].update(activation="my_own"))
    with pytest.raises(UsageError, match="unknown activation 'my_own'") as caught:
        read_checkpoint(path)
    assert str(caught.value.source).endswith("agent.yaml")


@pytest.mark.parametrize("place", ["params", "beside", "parent", "json", "given", "marker", "said"])
def test_the_activation_is_found_wherever_it_is_told(place: str, tmp_path: Path) -> None:
    case = "rsl_rl-5.5.1-normalized"
    path = copy_case(case, tmp_path / "run" / "checkpoints", with_config=False)
    config = {"actor": {"activation": "mish", "hidden_dims": [16, 8], "obs_normalization": True}}
    folder = {"params": path.parent / "params", "beside": path.parent, "parent": path.parents[1] / "params"}
    options = {}
    if place in folder:
        folder[place].mkdir(exist_ok=True)
        (folder[place] / "agent.yaml").write_text(yaml.safe_dump(config))
    elif place == "json":
        (path.parent / "agent.json").write_text(json.dumps(config))
    elif place == "given":
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "agent.yaml").write_text(yaml.safe_dump(config))
        options["params_dir"] = tmp_path / "elsewhere"
    elif place == "marker":
        change(path, lambda content: content.update(infos={MARKER_KEY: Marker(activation="mish").as_dict()}))
    else:
        options["activation"] = "mish"
    policy = read_checkpoint(path, **options)
    np.testing.assert_allclose(actions_of(policy), library_actions(case), rtol=0, atol=1e-6)


def test_the_configuration_of_another_network_is_not_believed(tmp_path: Path) -> None:
    path = copy_case("rsl_rl-5.5.1-normalized", tmp_path)
    edit_config(path, lambda config: config["actor"].update(hidden_dims=[16, 16]))
    with pytest.raises(UsageError, match=r"of another network: hidden layers \[16, 16\]"):
        read_checkpoint(path)


def test_isaac_labs_unset_fields_count_as_unset(tmp_path: Path) -> None:
    path = copy_case("rsl_rl-5.5.1-normalized", tmp_path)
    edit_config(path, lambda config: config.update(policy={}, obs_groups={}, clip_actions={}))
    policy = read_checkpoint(path)
    assert policy.parts.output_limit is None
    assert policy.parts.activations == ("mish", "mish")


def test_a_configuration_that_asks_for_python_objects_runs_nothing(tmp_path: Path) -> None:
    path, marker = copy_case("rsl_rl-5.5.1-normalized", tmp_path), tmp_path / "it-ran"
    (path.parent / "params" / "agent.yaml").write_text(
        f"actor:\n  activation: elu\nbomb: !!python/object/apply:os.system ['touch {marker}']\n"
    )
    with pytest.raises(UsageError, match="configuration cannot be read"):
        read_checkpoint(path)
    assert not marker.exists()


def test_the_output_clamp_of_the_configuration_is_part_of_the_policy(tmp_path: Path) -> None:
    path = copy_case("rsl_rl-5.5.1-normalized", tmp_path)
    edit_config(path, lambda config: config.update(clip_actions=0.25))
    policy = read_checkpoint(path)
    expected = np.clip(library_actions("rsl_rl-5.5.1-normalized"), -0.25, 0.25)
    assert (np.abs(expected) == 0.25).sum() > 100
    np.testing.assert_allclose(actions_of(policy), expected, rtol=0, atol=1e-6)
    assert policy.network["output_clamp"] == 0.25


def test_a_mean_with_its_spread_beside_it_is_not_guessed(tmp_path: Path) -> None:
    for case in ("rsl_rl-5.5.1-state_std", "rsl_rl-5.5.1-beta", "rsl_rl-3.1.2-state_std"):
        path = copy_case(case, tmp_path / case, with_config=False)
        with pytest.raises(UsageError, match="8 outputs could be 8 actions or fewer"):
            read_checkpoint(path, activation="elu")


def test_a_distilled_student_is_read_as_the_policy(tmp_path: Path) -> None:
    case = "rsl_rl-5.5.1-normalized"

    def distil(content) -> None:
        content["student_state_dict"] = content.pop("actor_state_dict")
        content["teacher_state_dict"] = content.pop("critic_state_dict")

    path = change(copy_case(case, tmp_path, with_config=False), distil)
    policy = read_checkpoint(path, activation="mish")
    np.testing.assert_allclose(actions_of(policy), library_actions(case), rtol=0, atol=1e-6)


def test_unsupported_kinds_are_refused_by_name(tmp_path: Path) -> None:
    def cnn(content) -> None:
        content["actor_state_dict"]["cnns.camera.0.weight"] = torch.ones(1, 1, 3, 3)

    def layer_norm(content) -> None:
        content["actor_state_dict"]["mlp.1.weight"] = torch.ones(16)

    def diverged(content) -> None:
        content["actor_state_dict"]["mlp.0.weight"][0, 0] = float("nan")

    def foreign(content) -> None:
        content["actor_state_dict"]["encoder.weight"] = torch.ones(2, 2)

    for number, (edit, message) in enumerate(
        (
            (cnn, "convolutional"),
            (layer_norm, "normalisation layer"),
            (diverged, "not finite"),
            (foreign, "encoder.weight"),
        )
    ):
        path = change(copy_case("rsl_rl-5.5.1-normalized", tmp_path / str(number)), edit)
        with pytest.raises(UsageError, match=message):
            read_checkpoint(path)
    torch.save({"model": {"a2c_network.mu.weight": torch.ones(1, 1)}, "epoch": 1}, tmp_path / "ant.pth")
    with pytest.raises(UsageError, match="none beside the checkpoint"):
        read_checkpoint(tmp_path / "ant.pth")
    torch.save({"weights": torch.ones(1), "step": 3}, tmp_path / "other.pt")
    with pytest.raises(UsageError, match="no known library: its keys are 'weights', 'step'") as caught:
        read_checkpoint(tmp_path / "other.pt")
    assert "rsl_rl 4.x-5.x" in (caught.value.allowed or "")


def test_a_normaliser_of_another_width_is_refused(tmp_path: Path) -> None:
    def widen(content) -> None:
        for name in ("_mean", "_var", "_std"):
            content["actor_state_dict"][f"obs_normalizer.{name}"] = torch.ones(1, 13)

    with pytest.raises(UsageError, match="for 13 observations, its network takes 12"):
        read_checkpoint(change(copy_case("rsl_rl-5.5.1-normalized", tmp_path), widen))


class TestSkrl:
    def test_the_output_expression_must_be_one_that_is_known(self, tmp_path: Path) -> None:
        path = copy_case("skrl-2.1.1-separate", tmp_path)
        edit_config(path, lambda config: config["models"]["policy"].update(output="tanh(ACTIONS) + 1"))
        with pytest.raises(UsageError, match="output expression is not supported"):
            read_checkpoint(path)

    def test_a_mean_clipped_to_unknown_bounds_is_refused(self, tmp_path: Path) -> None:
        path = copy_case("skrl-2.1.1-shared", tmp_path)
        edit_config(path, lambda config: config["models"]["policy"].update(clip_mean_actions=True))
        with pytest.raises(UsageError, match="bounds are in no file"):
            read_checkpoint(path)

    def test_the_critics_state_scaler_of_skrl_2_is_not_the_policys(self, tmp_path: Path) -> None:
        def rename(content) -> None:
            content["state_preprocessor"] = content.pop("observation_preprocessor")

        path = change(copy_case("skrl-2.1.1-shared", tmp_path), rename)
        edit_config(path, lambda config: config["agent"].update(observation_preprocessor=None))
        assert read_checkpoint(path).normalizer is None

    def test_the_scalers_own_settings_are_used(self, tmp_path: Path) -> None:
        path = copy_case("skrl-2.1.1-shared", tmp_path)
        edit_config(path, lambda config: config["agent"].update(state_preprocessor_kwargs={"clip_threshold": 2.0}))
        policy = read_checkpoint(path)
        assert policy.normalizer is not None and policy.normalizer.clip == 2.0
        assert np.abs(actions_of(policy) - library_actions("skrl-2.1.1-shared")).max() > 1e-3


class TestMarker:
    def test_gaitways_own_checkpoint_needs_nothing_beside_it(self, tmp_path: Path) -> None:
        marker = Marker(
            task="Isaac-Sample-v0",
            activation="mish",
            obs_normalization=True,
            contract=sample_contract().to_json(indent=None),
        )
        path = copy_case("rsl_rl-5.5.1-normalized", tmp_path, with_config=False)
        policy = read_checkpoint(change(path, lambda c: c.update(infos={MARKER_KEY: marker.as_dict()})))
        assert policy.contract == sample_contract()

    def test_it_tells_of_a_removed_normaliser(self, tmp_path: Path) -> None:
        marker = Marker(activation="mish", obs_normalization=True)

        def edit(content) -> None:
            strip(content["actor_state_dict"], "obs_normalizer.")
            strip(content["critic_state_dict"], "obs_normalizer.")
            content["infos"] = {MARKER_KEY: marker.as_dict()}

        path = copy_case("rsl_rl-5.5.1-normalized", tmp_path, with_config=False)
        with pytest.raises(UsageError, match="gaitway recorded"):
            read_checkpoint(change(path, edit))

    def test_it_is_read_from_a_skrl_checkpoint_too(self, tmp_path: Path) -> None:
        path = copy_case("skrl-2.1.1-shared", tmp_path, with_config=False)
        edit = Marker(activation="elu", clip_actions=0.1).as_dict()
        policy = read_checkpoint(change(path, lambda content: content.update({MARKER_KEY: edit})))
        assert np.abs(actions_of(policy)).max() == np.float32(0.1)
