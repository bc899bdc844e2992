"""``gaitway demo``: a training, then its inference."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from gaitway_runtime.spec.catalog import embedded


@pytest.fixture(autouse=True)
def training_path(monkeypatch: pytest.MonkeyPatch, stand_in: list[str]) -> None:
    monkeypatch.setenv("TRAINING_PATH", stand_in[1])


def test_it_trains_and_then_infers_what_came_out(gaitway: Callable) -> None:
    ran = gaitway("demo", "--task", "Isaac-Cartpole-v0", "--json")
    assert ran.code == 0
    train, infer = ran.json["train"], ran.json["infer"]
    assert (train["kind"], infer["kind"]) == ("train", "infer")
    settings = (Path(infer["run_dir"]) / "settings.json").read_text()
    assert train["final_checkpoint"]["path"] in settings
    job = json.loads((Path(infer["run_dir"]) / "job.json").read_text())["job"]
    assert (job["max_steps"], job["num_envs"]) == (300, 64), "episodes of 300 steps end, so there is a reward to show"
    assert ran.json["seconds"] > 0


def test_what_nobody_typed_is_not_said_to_come_from_the_command_line(gaitway: Callable) -> None:
    ran = gaitway("demo", "--seed", "7", "--json")
    origins = {
        f"{kind}.{key}": entry["origin"]
        for kind in ("train", "infer")
        for key, entry in json.loads((Path(ran.json[kind]["run_dir"]) / "settings.json").read_text()).items()
    }
    typed = {key for key, origin in origins.items() if origin.startswith("cli")}
    assert typed == {"train.seed"}
    assert "cli --max-iterations" not in ran.err


def test_its_own_task_is_one_that_runs_here(gaitway: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAITWAY_PLATFORM", "osmo")
    task = gaitway("demo", "--json").json["train"]["task"]
    assert embedded(task).name == "Isaac-Velocity-Flat-Anymal-C-v0"


def test_the_quadrupeds_first_look_is_shorter_than_its_training(
    gaitway: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def iterations(*words: str) -> int:
        train = gaitway("demo", *words, "--json").json["train"]
        return json.loads((Path(train["run_dir"]) / "job.json").read_text())["job"]["max_iterations"]

    assert iterations() < embedded("Isaac-Velocity-Flat-Anymal-C-v0").local.max_iterations
    assert iterations("--max-iterations", "3") == 3
    monkeypatch.setenv("MAX_ITERATIONS", "4")
    assert iterations() == 4


def test_a_training_that_fails_ends_it(gaitway: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAITWAY_OVERRIDES", "do=fail")
    ran = gaitway("demo", "--task", "Isaac-Cartpole-v0", "--json")
    assert ran.code == 1
    assert "infer" not in ran.json
