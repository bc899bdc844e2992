"""``gaitway tasks``."""

from __future__ import annotations

import dataclasses
from typing import Any

from gaitway_runtime.catalog import TASKS, TaskInfo

from . import render
from .command import VerbCommand, json_option


def run(as_json: bool) -> None:
    """List the tasks."""
    if as_json:
        render.document([_document(info) for info in TASKS])
        return
    for info in TASKS:
        bounds = ", ".join(map(str, info.gate.thresholds))
        render.answer(info.name)
        render.answer(f"  {info.summary}")
        render.answer(
            f"  {info.observations} observations, {info.actions} actions at {info.control_hz:g} Hz, "
            f"episodes of {info.episode_length_s:g} s"
        )
        render.answer(f"  success: {info.gate.success}")
        render.answer(f"  gate: {info.gate.success_rate:.0%} of episodes succeed; {bounds}")
        if info.aliases:
            render.answer(f"  also called {', '.join(info.aliases)}")
        render.answer()
    render.say(f"next: gaitway train --task {TASKS[0].name}")


def _document(info: TaskInfo) -> dict[str, Any]:
    return dataclasses.asdict(info)


command = VerbCommand("tasks", callback=run, params=[json_option()])
