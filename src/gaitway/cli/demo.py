"""``gaitway demo``."""

from __future__ import annotations

import os
import time
from typing import Any

import click
from gaitway_runtime import catalog
from gaitway_runtime.job import InferJob, Job, TrainJob

from ..handles import Run, exit_code
from ..launch import Asked, prepare
from ..platforms.base import RunStatus, StatusReport
from . import render, views
from .command import VerbCommand, json_option
from .common import show
from .jobs import follow_to_the_end, submit
from .options import setting_options, typed

TASK = "Isaac-Velocity-Flat-Anymal-C-v0"
"""What the demo shows unless a task is named."""

ITERATIONS = {TASK: 125}
"""Iterations where the task's own number is more than a first look needs; the policy passes its gate by then."""

EPISODES = 64
"""Episodes that each exported format is judged over."""

SETTINGS = ("task", "num_envs", "max_iterations", "seed")
"""Settings of the training that can be named."""


@click.pass_context
def run(ctx: click.Context, /, as_json: bool, **_: Any) -> int:
    """Train, then infer."""
    began = time.monotonic()
    asked = {"task": os.environ.get("TASK") or TASK, **typed(ctx)}
    trained, report = _do(TrainJob, {**_shortened(asked["task"]), **asked})
    documents = {"train": trained.document(report)}
    final = documents["train"]["final_checkpoint"]
    if report.status is RunStatus.SUCCEEDED:
        played, report = _do(InferJob, _whole_episodes(asked["task"], final["uri"] or final["path"]))
        documents["infer"] = played.document(report)
    seconds = time.monotonic() - began
    if as_json:
        render.document({**documents, "seconds": seconds})
    else:
        for document in documents.values():
            show(document, as_json=False, told=True)
    render.say(f"the demo took {render.duration(seconds)}")
    return exit_code(report) or 0


def _shortened(task: str) -> dict[str, Any]:
    """Return the length of the training, where the environment names none and the demo's is shorter than usual."""
    info = catalog.find(task)
    if info is None or info.name not in ITERATIONS or os.environ.get("MAX_ITERATIONS"):
        return {}
    return {"max_iterations": ITERATIONS[info.name]}


def _whole_episodes(task: str, checkpoint: str) -> dict[str, Any]:
    """Return the settings of an inference whose episodes end, so that it has a reward per episode to show."""
    info = catalog.embedded(task)
    steps = round(info.episode_length_s * info.control_hz)
    return {"task": task, "checkpoint_uri": checkpoint, "num_envs": EPISODES, "max_steps": steps}


def _do(job: type[Job], values: dict[str, Any]) -> tuple[Run, StatusReport]:
    prepared = prepare(Asked(job, {**values, "platform": "local"}), os.environ)
    for line in views.plan(prepared.plan):
        render.say(line)
    started = submit(prepared)
    return started, follow_to_the_end(started)


command = VerbCommand(
    "demo",
    callback=run,
    params=[
        *(option for option in setting_options({"Core": [TrainJob]}) if option.item.key in SETTINGS),
        json_option(),
    ],
)
