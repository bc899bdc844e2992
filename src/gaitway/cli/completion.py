"""Completion of values in a shell: tasks, runs, checkpoints, platforms, keys. ``gaitway completion SHELL``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class
from gaitway_runtime.spec import catalog
from gaitway_runtime.spec.job import TrainJob

from ..errors import GaitwayError
from ..ledger import Ledger
from ..settings.overrides import OVERRIDES, settable_keys
from ..settings.resolve import declared
from . import output
from .command import VerbCommand

SHELLS = ("bash", "zsh", "fish")
FILES = {
    "bash": '~/.bashrc: eval "$(gaitway completion bash)"',
    "zsh": '~/.zshrc: eval "$(gaitway completion zsh)"',
    "fish": "gaitway completion fish > ~/.config/fish/completions/gaitway.fish",
}
"""Where each shell reads its completions from."""
CONFIGURATIONS = ("agent.", "env.")
"""Beginnings of the keys of ``--set``, of a task that is not known."""
TASK, BACKEND = (declared([TrainJob])[key].default for key in ("task", "backend"))


def complete_setting(key: str, incomplete: str, others: Mapping[str, Any]) -> list[CompletionItem]:
    """Return the values of a setting that begin with what is typed.

    Args:
        key: The setting.
        incomplete: What is typed so far.
        others: Settings that the command line names already.
    """
    if key == OVERRIDES:
        return matching(override_keys(others), incomplete)
    source = SOURCES.get(key)
    return matching(source() if source else (), incomplete)


def override_keys(named: Mapping[str, Any]) -> Iterable[str]:
    """Return the keys of ``--set`` of the task and the learner that a command line names, or by default."""
    task, backend = (str(named.get(key) or default) for key, default in (("task", TASK), ("backend", BACKEND)))
    try:
        return [f"{key}=" for key in settable_keys(task, backend)] if catalog.find(task) else CONFIGURATIONS
    except ModuleNotFoundError:  # NumPy is not installed
        return CONFIGURATIONS


def complete_run(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the runs of this folder that begin with what is typed."""
    return matching(run_names(), incomplete)


def run_names() -> list[str]:
    """Return the names of the runs of this folder."""
    return Ledger.at_home(os.environ).names()


def checkpoint_references() -> list[str]:
    """Return references to the runs of this folder that have checkpoints."""
    ledger = Ledger.at_home(os.environ)
    made = [name for name in ledger.names() if any((ledger.run_dir(name) / "outputs" / "checkpoints").glob("*.pt"))]
    return [f"{name}@{which}" for name in made for which in ("latest", "best")]


def task_names() -> list[str]:
    """Return the names of all tasks."""
    return [task.name for task in catalog.tasks()]


SOURCES: Mapping[str, Callable[[], Iterable[str]]] = {
    "task": task_names,
    "checkpoint_uri": checkpoint_references,
}
"""Values of settings, by key; those with choices complete by themselves."""


def matching(found: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """Return the values that begin with what is typed."""
    try:
        return [CompletionItem(name) for name in found if name.startswith(incomplete)]
    except GaitwayError:
        return []  # a damaged folder is told by the command, not by the completion


def _completion(shell: str) -> None:
    """Print the script that a shell has to read."""
    from .main import cli

    found = get_completion_class(shell)
    assert found
    output.answer(found(cli, {}, "gaitway", "_GAITWAY_COMPLETE").source(), raw=True)
    output.say(f"for every new shell: {FILES[shell]}")


completion = VerbCommand(
    "completion",
    callback=_completion,
    params=[click.Argument(["shell"], type=click.Choice(SHELLS))],
    help="It completes commands, options, tasks, runs, checkpoints, platforms and settings.",
)
