"""One workflow from training to release: dependent tasks, stopped by a gate, restarted alone where it failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakes.osmo import OsmoService, Pod

WORDS = ("--task", "Isaac-Cartpole-v0", "--num-gpus", "0", "--max-steps", "5", "--video-length", "0")


@pytest.fixture(autouse=True)
def cluster(service: OsmoService, monkeypatch: pytest.MonkeyPatch) -> None:
    service.cluster.runner = Pod.run
    service.cluster.log_lines_per_s = 50.0
    service.cluster.image_environment = {"GAITWAY_REQUIREMENTS": "skip", "OMP_NUM_THREADS": "1"}
    monkeypatch.delenv("TRAINING_PATH")


@pytest.mark.slow
def test_cartpole_is_trained_judged_exported_and_registered(service: OsmoService, gaitway: Any, project: Path) -> None:
    ran = gaitway(
        "ship", "--on", "osmo", *WORDS, "-n", "256", "-m", "60", "--eval-episodes", "20", "--follow", "--json"
    )
    assert ran.code == 0, ran.err
    shipped = ran.json
    assert (shipped["status"], shipped["kind"], shipped["passed"]) == ("succeeded", "ship", True)
    assert shipped["registered_model"]["name"] == "isaac-cartpole-v0"
    (workflow,) = service.workflows.values()
    assert [task.status for task in workflow.tasks] == ["COMPLETED"] * 4
    assert gaitway("download", shipped["run"], "--pattern", "[em]*/*", "--into", "here").code == 0
    for name in ("exported/policy.onnx", "exported/policy.pt", "metrics/validation.json"):
        assert (project / "here" / name).stat().st_size > 0, name
    assert list(project.glob("here/model/*/model_*.pt"))


@pytest.mark.slow
def test_a_gate_that_is_not_met_stops_the_chain(service: OsmoService, gaitway: Any) -> None:
    ran = gaitway("ship", "--on", "osmo", *WORDS, "-n", "16", "-m", "2", "--eval-episodes", "4", "--follow", "--json")
    assert (ran.code, ran.json["status"], ran.json["passed"]) == (5, "failed", False), ran.err
    assert "did not pass its gate" in ran.json["detail"]
    (workflow,) = service.workflows.values()
    statuses = {task.spec.name: task.status for task in workflow.tasks}
    assert statuses["isaac-training"] == "COMPLETED"
    assert statuses["isaac-validation"] == "FAILED"
    assert {statuses["isaac-inference"], statuses["isaac-registration"]} == {"FAILED_UPSTREAM"}
