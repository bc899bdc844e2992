"""``gaitway demo``."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping
from typing import Any

import click
from gaitway_runtime.spec import catalog
from gaitway_runtime.spec.job import THIS_MACHINE, InferJob, Job, TrainJob

from ..platforms.base import RunStatus, StatusReport
from ..preparation import Asked, prepare
from ..run_handle import Run, exit_code
from . import output
from .command import SettingOption, VerbCommand, json_option, setting_options, typed
from .jobs import add_pages, follow_to_the_end, submit
from .runs import show

TASK = "Isaac-Velocity-Flat-Anymal-C-v0"
"""What the demo shows unless a task is named."""

ITERATIONS = {TASK: 120}
"""Iterations where the task's own number is more than a first look needs; the policy passes its gate by then."""

EPISODES = 64
"""Episodes that each exported format is judged over."""

SETTINGS = ("task", "num_envs", "max_iterations", "seed")
"""Settings of the training that can be named."""


@click.pass_context
def _demo(ctx: click.Context, /, as_json: bool, **_: Any) -> int:
    """Train, then infer."""
    began = time.monotonic()
    named = typed(ctx)
    asked = {"task": os.environ.get("TASK") or TASK, **named}
    trained, report = _do(TrainJob, {**_shortened(asked["task"]), **asked}, named)
    documents = {"train": trained.document(report)}
    final = documents["train"]["final_checkpoint"]
    if report.status is RunStatus.SUCCEEDED and final is not None:
        # The file: an address in MLflow would be waited for.
        played, report = _do(InferJob, _whole_episodes(asked["task"], final["path"] or str(final["uri"])), {})
        documents["infer"] = played.document(report)
    seconds = time.monotonic() - began
    if as_json:
        output.document({**documents, "seconds": seconds})
    else:
        for document in documents.values():
            show(document, as_json=False, told=True)
    output.say(f"the demo took {output.duration(seconds)}")
    return exit_code(report) or 0


def _shortened(task: str) -> dict[str, object]:
    """Return the length of the training, where the environment names none and the demo's is shorter than usual."""
    info = catalog.find(task)
    if info is None or info.name not in ITERATIONS or os.environ.get("MAX_ITERATIONS"):
        return {}
    return {"max_iterations": ITERATIONS[info.name]}


def _whole_episodes(task: str, checkpoint: str) -> dict[str, object]:
    """Return the settings of an inference whose episodes end, so that it has a reward per episode to show."""
    info = catalog.embedded(task)
    steps = round(info.episode_length_s * info.control_hz)
    return {"task": task, "checkpoint_uri": checkpoint, "num_envs": EPISODES, "max_steps": steps}


def _options() -> list[SettingOption]:
    """Return the options of the training that can be named, with the demo's own defaults in their help."""
    found = [option for option in setting_options({"Core": [TrainJob]}) if option.item.key in SETTINGS]
    shown = {"task": TASK, "num_envs": "the task's own", "max_iterations": f"{ITERATIONS[TASK]} for that task"}
    for option in found:
        option.shown_default = shown.get(option.item.key)
    return found


def _do(job: type[Job], values: Mapping[str, object], named: Collection[str]) -> tuple[Run, StatusReport]:
    """Submit a job with some values, of which the user has named some, and follow it."""
    values = {**values, "platform": THIS_MACHINE}
    prepared = prepare(Asked(job, values, by_demo=frozenset(values) - set(named)), os.environ)
    for line in output.plan(prepared.plan):
        output.say(line)
    started = submit(prepared)
    report = follow_to_the_end(started)
    add_pages(started, report)
    return started, report


demo = VerbCommand(
    "demo",
    callback=_demo,
    params=[*_options(), json_option()],
)
