"""A sweep on OSMO: one workflow of parallel tasks, and a leaderboard read from its log."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from fakes.osmo import OsmoService
from gaitway_runtime.spec.result import RESULT_MARK

RATE = "agent.algorithm.learning_rate"
WORDS = ("sweep", "train", "--on", "osmo", "--task", "Isaac-Cartpole-v0", "--accept-loss", "--yes", "--name", "rates")


def trained(pod: Any, log: Callable[[str], None]) -> int:
    """Write the result of a training that is the better, the larger its learning rate; at 1 it fails."""
    job = json.loads(pod.files["/tmp/gaitway/job.json"])["job"]
    rate = float(job["overrides"][-1].partition("=")[2])
    result = {"kind": "train", "task": job["task"], "status": "succeeded", "metrics": {"mean_reward": rate}}
    if rate == 1:
        error = {
            "message": "Loss/value stopped being finite in iteration 3",
            "from": None,
            "allowed": None,
            "hint": None,
        }
        result |= {"status": "failed", "exit_code": 1, "error": error}
    log(f"{RESULT_MARK} {json.dumps(result)}")
    return int(result.get("exit_code", 0))


def test_a_sweep_is_a_workflow_whose_tasks_are_ranked(service: OsmoService, gaitway: Any) -> None:
    service.cluster.runner = trained
    ran = gaitway(*WORDS, "--vary", f"{RATE}=0.01,0.03,0.02", "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["run"], ran.json["kind"], ran.json["next"]) == ("rates", "sweep", "gaitway sweep show rates")
    (workflow,) = service.workflows
    service.wait(workflow)
    status = gaitway("status", "rates", "--json").json
    assert (status["status"], status["detail"]) == ("succeeded", "3 of 3 runs completed")
    shown = gaitway("sweep", "show", "rates", "--json").json
    assert (shown["status"], shown["done"]) == ("succeeded", 3)
    assert [trial["values"][RATE] for trial in shown["leaderboard"]] == ["0.03", "0.02", "0.01"]
    assert shown["next"] == f"gaitway train --task Isaac-Cartpole-v0 --on osmo --accept-loss --set {RATE}=0.03"


def test_a_trial_that_fails_does_not_hide_the_others(service: OsmoService, gaitway: Any) -> None:
    service.cluster.runner = trained
    ran = gaitway(*WORDS, "--vary", f"{RATE}=0.01,1", "--json")
    (workflow,) = service.workflows
    service.wait(workflow)
    assert gaitway("status", ran.json["run"], "--json").json["status"] == "failed"
    shown = gaitway("sweep", "show", "rates", "--json").json
    assert [trial["status"] for trial in shown["leaderboard"]] == ["completed", "failed"]
    assert shown["leaderboard"][1]["reason"] == "Loss/value stopped being finite in iteration 3"


def test_a_sweep_that_is_restarted_keeps_the_trials_that_were_done(service: OsmoService, gaitway: Any) -> None:
    service.cluster.runner = trained
    gaitway(*WORDS, "--vary", f"{RATE}=0.01,1")
    service.wait("isaaclab-sweep-1")
    result = {"kind": "train", "task": "Isaac-Cartpole-v0", "status": "succeeded", "metrics": {"mean_reward": 1.0}}
    service.cluster.runner = lambda pod, log: log(f"{RESULT_MARK} {json.dumps(result)}") or 0  # type: ignore[func-returns-value]
    again = gaitway("restart", "rates", "--json")
    assert again.code == 0, again.err
    service.wait("isaaclab-sweep-2")
    assert len(service.workflows["isaaclab-sweep-2"].tasks) == 1
    assert gaitway("status", "rates", "--json").json["detail"] == "2 of 2 runs completed"
    shown = gaitway("sweep", "show", "rates", "--json").json
    assert sorted((trial["status"], trial["values"][RATE]) for trial in shown["leaderboard"]) == [
        ("completed", "0.01"),
        ("completed", "1"),
    ]
