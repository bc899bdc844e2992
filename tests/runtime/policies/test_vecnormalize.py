"""Stable-Baselines3's observation statistics: found beside the archive by name, read without running anything."""

import json
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from gaitway_runtime.policies.checkpoint import open_checkpoint
from gaitway_runtime.policies.reader import read_checkpoint
from gaitway_runtime.spec.errors import UsageError

from .samples import CHECKPOINTS, library_actions
from .test_reader import actions_of

CASE = "stable_baselines3-2.9.2-ppo-vecnormalize"


def archive(path: Path, edit=None) -> Path:
    """Copy the archive of the case, its settings changed."""
    with zipfile.ZipFile(CHECKPOINTS / CASE / "model.pt") as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "data" and edit is not None:
                settings = json.loads(content)
                edit(settings)
                content = json.dumps(settings).encode()
            target.writestr(name, content)
    return path


def statistics(path: Path) -> None:
    shutil.copyfile(CHECKPOINTS / CASE / "vecnormalize.pkl", path)


@pytest.mark.parametrize(
    ("model", "file"),
    [
        ("best_model.zip", "vecnormalize.pkl"),
        ("model.zip", "model_vecnormalize.pkl"),
        ("model_1000_steps.zip", "model_vecnormalize_1000_steps.pkl"),
        ("agent.zip", "my_vec_normalize.pkl"),
    ],
)
def test_they_are_found_by_their_names(model: str, file: str, tmp_path: Path) -> None:
    statistics(tmp_path / file)
    (tmp_path / "model_vecnormalize_2000_steps.pkl").write_bytes(b"another's") if "1000" in file else None
    policy = read_checkpoint(archive(tmp_path / model))
    np.testing.assert_allclose(actions_of(policy), library_actions(CASE), rtol=0, atol=1e-6)


def test_several_that_could_be_meant_are_a_question(tmp_path: Path) -> None:
    for name in ("first_normalize.pkl", "second_normalize.pkl"):
        statistics(tmp_path / name)
    with pytest.raises(UsageError, match="several files beside the model"):
        read_checkpoint(archive(tmp_path / "model.zip"))


def test_a_downloaded_archive_is_not_read_with_what_lies_beside_it(tmp_path: Path) -> None:
    statistics(tmp_path / "vecnormalize.pkl")
    fetched = open_checkpoint(archive(tmp_path / "model.zip"), config_folders=())
    assert read_checkpoint(fetched).normalizer is None


def normalized(settings: dict) -> None:
    settings["_last_original_obs"] = {":type:": "<class 'numpy.ndarray'>"}


@pytest.mark.parametrize("evidence", ["settings", "agent.yaml"])
def test_a_policy_whose_statistics_are_not_there_is_refused(evidence: str, tmp_path: Path) -> None:
    path = archive(tmp_path / "model.zip", normalized if evidence == "settings" else None)
    if evidence == "agent.yaml":
        (tmp_path / "agent.yaml").write_text(yaml.safe_dump({"normalize_input": True}))
    with pytest.raises(UsageError, match="trained behind a VecNormalize") as caught:
        read_checkpoint(path)
    assert "vecnormalize.pkl" in (caught.value.hint or "")


def test_statistics_that_the_configuration_denies_are_refused(tmp_path: Path) -> None:
    statistics(tmp_path / "vecnormalize.pkl")
    (tmp_path / "agent.yaml").write_text(yaml.safe_dump({"normalize_input": False}))
    with pytest.raises(UsageError, match="says that the policy was trained without"):
        read_checkpoint(archive(tmp_path / "model.zip"))


def test_observations_by_name_are_refused(tmp_path: Path) -> None:
    space = {":type:": "<class 'gymnasium.spaces.dict.Dict'>"}
    with pytest.raises(UsageError, match="observations are no vector of numbers"):
        read_checkpoint(archive(tmp_path / "model.zip", lambda settings: settings.update(observation_space=space)))


class Bomb:
    """Runs code when a careless reader opens it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("wrapped", [False, True])
def test_the_pickle_runs_nothing(wrapped: bool, tmp_path: Path) -> None:
    bomb = Bomb(tmp_path / "exploded")
    content = {"norm_obs": True, "obs_rms": bomb} if wrapped else bomb
    (tmp_path / "vecnormalize.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(UsageError, match="no VecNormalize"):
        read_checkpoint(archive(tmp_path / "model.zip"))
    assert not (tmp_path / "exploded").exists()


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vecnormalize.pkl").write_bytes(b"\x80\x04.")
    with pytest.raises(UsageError, match="no readable VecNormalize"):
        read_checkpoint(archive(tmp_path / "model.zip"))
