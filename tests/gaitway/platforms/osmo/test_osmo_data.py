"""Inputs and outputs by flag in a workflow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes.osmo import OsmoService

TRAIN = ("train", "--on", "osmo", "--task", "Isaac-Ant-v0", "--dry-run", "--json")


def first_task(gaitway: Callable[..., Any], *words: str) -> dict[str, Any]:
    ran = gaitway(*TRAIN, *words)
    assert ran.code == 0, ran.err
    body = yaml.safe_load(ran.json["request"]["body"])
    task: dict[str, Any] = body["workflow"]["tasks"][0]
    return task


def test_data_by_flag_is_moved_by_osmo_and_at_the_paths_in_the_jobs_variables(
    gaitway: Callable[..., Any], project: Path
) -> None:
    words = (
        "--input",
        "motions=s3://b/motions",
        "--input",
        "scenes=dataset:scenes:3",
        "--output",
        "clips=s3://b/clips",
    )
    task = first_task(gaitway, *words)
    number = task["inputs"].index({"url": "s3://b/motions"})
    assert task["environment"]["GAITWAY_INPUT_MOTIONS"] == f"{{{{input:{number}}}}}"
    assert task["inputs"][number + 1] == {"dataset": {"name": "scenes:3"}}
    assert task["environment"]["GAITWAY_OUTPUT_CLIPS"] == "{{output}}/data/clips"
    assert {"url": "s3://b/clips", "regex": "data/clips/.*"} in task["outputs"]


@pytest.mark.parametrize("place", ["azureml:motions@latest", "./folder", "https://example.com/a"])
def test_a_place_that_osmo_does_not_know_is_refused(gaitway: Callable[..., Any], project: Path, place: str) -> None:
    ran = gaitway(*TRAIN, "--input", f"motions={place}")
    assert (ran.code, "is not a place that OSMO reads or writes" in ran.err) == (2, True), ran.err


def test_outputs_of_ones_own_leave_nothing_in_osmos_store(
    service: OsmoService, gaitway: Callable[..., Any], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("train", "--on", "osmo", "--task", "Isaac-Ant-v0", "--num-gpus", "0", "--output", "clips=s3://b/clips")
    refused = gaitway(*words)
    assert (refused.code, "OSMO's own store gets none" in refused.err) == (3, True), refused.err
    assert service.workflows == {}
    service.cluster.runner = lambda pod, log: (pod.output / "data/clips").mkdir(parents=True) or _write(pod.output)
    assert gaitway(*words, "--accept-loss", "--name", "first").code == 0
    service.wait("isaaclab-inline-training-1")
    assert [uri for uri in service.storage.uploads if "clips" not in uri] == [], "clips alone go where clips go"
    with monkeypatch.context() as elsewhere:
        for home in (None, project / "other"):
            if home:
                elsewhere.setenv("GAITWAY_HOME", str(home))
                assert gaitway("adopt", "isaaclab-inline-training-1").code == 0
            lost = gaitway("infer", "--on", "osmo", "--task", "Isaac-Ant-v0", "-c", "first@latest", "--dry-run")
            assert (lost.code, "run 'first' has no checkpoint yet" in lost.err) == (2, True), lost.err
    service.data_profiles.append("s3://mine")
    assert gaitway(*words).code == 0


def _write(output: Path) -> int:
    (output / "data/clips/a.mp4").write_text("a")
    (output / "outputs").mkdir()
    (output / "outputs/result.json").write_text("{}")
    return 0
