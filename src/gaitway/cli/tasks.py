"""``gaitway tasks``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TypedDict

import click
from click.shell_completion import CompletionItem
from gaitway_runtime.spec import catalog
from gaitway_runtime.spec.catalog import Task
from gaitway_runtime.spec.learners import LEARNERS
from gaitway_runtime.spec.packages import missing_package
from gaitway_runtime.spec.types import JsonObject

from ..settings.overrides import RECIPES, override_text, settable_keys
from ..settings.values import plain
from ..user_tasks import import_user_tasks
from . import output
from .command import SectionOption, VerbCommand, json_option
from .completion import matching, task_names


def _tasks(
    task: str | None, backend: str, with_paths: tuple[str, ...], imports: tuple[str, ...], as_json: bool
) -> None:
    """List the tasks, or show one with everything that can be set."""
    import_user_tasks(imports, with_paths)
    if task:
        _show(task, catalog.embedded(task, "TASK", imports), backend, as_json)
        return
    if as_json:
        output.document([_document(info) for info in catalog.tasks()])
        return
    for info in catalog.tasks():
        _summary(info)
        output.answer()
    output.say_command("next:", ("gaitway", "tasks", catalog.tasks()[0].name))


def _summary(info: Task) -> None:
    bounds = ", ".join(map(str, info.gate.thresholds))
    output.answer(info.name)
    output.answer(f"  {info.summary}")
    output.answer(
        f"  {info.observations} observations, {info.actions} actions at {info.control_hz:g} Hz, "
        f"episodes of {info.episode_length_s:g} s"
    )
    output.answer(f"  success: {info.success.sentence}")
    output.answer(f"  gate: {info.gate.success_rate:.0%} of episodes succeed; {bounds}")
    if info.aliases:
        output.answer(f"  also called {', '.join(info.aliases)}")


def _show(name: str, info: Task, backend: str, as_json: bool) -> None:
    """Print a task with its configuration: each line below a heading is what ``--set`` takes."""
    try:
        values = settable_keys(name, backend)
    except ModuleNotFoundError as error:
        raise missing_package("the configuration of a task", error, "local") from None
    if as_json:
        output.document({**_document(info), "settable": {key: plain(value) for key, value in values.items()}})
        return
    _summary(info)
    group = None
    for key, value in values.items():
        if key.split(".")[:2] != group and (key.count(".") > 1 or group is None):
            group = key.split(".")[:2]
            output.answer()
        off = value is None and key.startswith("env.events.")
        output.answer(f"{key}={'LOW,HIGH (off)' if off else override_text(value)}", raw=not off)
    output.say_command("next:", ("gaitway", "train", "--task", name, "--set", "KEY=VALUE"))


def _own_tasks() -> list[SectionOption]:
    """Return the options that bring the user's own tasks, as every submission has them."""
    return [
        SectionOption(
            ["--with", "with_paths"], multiple=True, metavar="PATH", section="Core", help="Folder or file of your own."
        ),
        SectionOption(
            ["--import", "imports"],
            multiple=True,
            metavar="NAME",
            section="Core",
            help="Python module in it that registers tasks when imported; repeatable.",
        ),
    ]


class TaskDocument(TypedDict):
    """One task as ``gaitway tasks --json`` prints it."""

    name: str
    summary: str
    robot: str
    observations: int
    actions: int
    control_hz: float
    episode_length_s: float
    gate: JsonObject
    local: JsonObject
    aliases: list[str]


def _document(info: Task) -> TaskDocument:
    return TaskDocument(
        name=info.name,
        summary=info.summary,
        robot=info.robot,
        observations=info.observations,
        actions=info.actions,
        control_hz=info.control_hz,
        episode_length_s=info.episode_length_s,
        gate={"success": info.success.sentence, **asdict(info.gate)},
        local=asdict(info.local),
        aliases=list(info.aliases),
    )


def _complete_task(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return matching(task_names(), incomplete)


tasks = VerbCommand(
    "tasks",
    callback=_tasks,
    params=[
        click.Argument(["task"], required=False, shell_complete=_complete_task),
        SectionOption(
            ["--backend"],
            type=click.Choice(list(LEARNERS)),
            default=RECIPES[0],
            section="Core",
            help="Learner whose settings are shown with the task's.",
        ),
        *_own_tasks(),
        json_option(),
    ],
    help="With TASK: that task alone, and everything of it and of its learner that --set KEY=VALUE changes.",
)
