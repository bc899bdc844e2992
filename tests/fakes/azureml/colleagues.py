"""Other people's things in the workspace: runs of the same names, in the same experiments, and models."""

from __future__ import annotations

import json

from .tracking import Tracking

NAMES = ("ada", "ben", "cleo", "dora", "emil")


def add_runs(tracking: Tracking, experiment: str, run: str, *, iterations: tuple[int, ...] = (0, 50, 999)) -> list[str]:
    """Make five colleagues' runs that are called ``run``, each with checkpoints that are better by their metrics."""
    jobs = []
    for index, name in enumerate(NAMES):
        job = f"{run}-{name:0>8}"
        tracking.open_run(job, experiment, {"gaitway.run": run, "gaitway.platform": "azureml", "owner": name})
        for iteration in iterations:
            path = f"checkpoints/model_{iteration}.pt"
            tracking.artifacts.put(job, path, f"{name}'s, not yours".encode())
            tracking.log_metric(job, "Train/mean_reward", 1000.0 + index, iteration)
        tracking.artifacts.put(job, "checkpoints/final/model_999.pt", f"{name}'s, not yours".encode())
        tracking.artifacts.put(job, "run.json", json.dumps({"run": run, "owner": name}).encode())
        tracking.end_run(job, "FINISHED")
        jobs.append(job)
    return jobs


def add_model(tracking: Tracking, name: str) -> str:
    """Register a colleague's model under a name and return its version."""
    job = f"{name}-{NAMES[0]:0>8}"
    tracking.open_run(job, "colleagues", {"owner": NAMES[0]})
    tracking.artifacts.put(job, "checkpoints/final/model_1.pt", b"a colleague's, not yours")
    return tracking.add_version(name, job, "checkpoints/final", {"owner": NAMES[0]})
