"""A checkpoint from an MLflow run comes with the configuration that the same run keeps."""

from pathlib import Path

import mlflow
import pytest
import torch
import yaml
from gaitway_runtime.fetch import fetch
from gaitway_runtime.policies.checkpoint import open_checkpoint
from gaitway_runtime.policies.reader import read_checkpoint
from gaitway_runtime.spec.errors import UsageError


@pytest.fixture
def store(tmp_path: Path) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")


def publish(store: mlflow.MlflowClient, folder: Path, files: dict[str, str]) -> str:
    """Log files into a new run, by the artifact folder of each; return the run's id."""
    run = store.create_run(store.create_experiment("foreign", f"file://{folder}/artifacts"))
    for name, place in files.items():
        store.log_artifact(run.info.run_id, str(folder / name), place)
    return run.info.run_id


def write(folder: Path) -> None:
    state = {"actor.0.weight": 9 * torch.ones(2, 3), "actor.0.bias": torch.zeros(2), "std": torch.ones(2)}
    torch.save({"model_state_dict": state, "iter": 9, "infos": None}, folder / "model_9.pt")
    config = {"clip_actions": 1.0, "policy": {"class_name": "ActorCritic", "activation": "elu"}}
    (folder / "agent.yaml").write_text(yaml.safe_dump(config))


@pytest.mark.parametrize("places", [("checkpoints", "params"), ("", "params"), ("logs/a", "logs/a/params"), ("x", "x")])
def test_the_clamp_of_the_run_is_part_of_the_policy(places, store: mlflow.MlflowClient, tmp_path: Path) -> None:
    write(tmp_path)
    run = publish(store, tmp_path, dict(zip(("model_9.pt", "agent.yaml"), places, strict=True)))
    address = f"runs:/{run}/{places[0]}/model_9.pt".replace("//", "/")
    fetched = fetch(address, tmp_path / "into", tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    policy = read_checkpoint(open_checkpoint(fetched.path, fetched.config_folders))
    assert policy(torch.ones(1, 3)).tolist() == [[1.0, 1.0]]


def test_a_run_without_one_does_not_borrow_a_strangers(store: mlflow.MlflowClient, tmp_path: Path) -> None:
    write(tmp_path)
    torch.save(
        {"policy": {"net_container.0.weight": torch.ones(2, 3), "net_container.2.weight": torch.ones(2, 2)}},
        tmp_path / "agent_9.pt",
    )
    run = publish(store, tmp_path, {"agent_9.pt": "checkpoints"})
    (tmp_path / "into" / "params").mkdir(parents=True)
    (tmp_path / "into" / "params" / "agent.yaml").write_text((tmp_path / "agent.yaml").read_text())
    fetched = fetch(f"runs:/{run}/checkpoints", tmp_path / "into", tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    assert fetched.config_folders == ()
    with pytest.raises(UsageError, match="activation"):
        read_checkpoint(open_checkpoint(fetched.path, fetched.config_folders))
