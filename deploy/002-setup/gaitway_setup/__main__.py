"""``python -m gaitway_setup STEP``: what the numbered scripts call."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import click
from gaitway_runtime.tracking.store import default_home

from gaitway.cli import render
from gaitway.cli.command import CONTEXT_SETTINGS
from gaitway.cli.options import setting_options, typed
from gaitway.errors import ConfigError, GaitwayError, Interrupted, UsageError, nearest
from gaitway.settings.fields import Sources

from .actions import Plan
from .ground import Choices, Ground, check, read_ground
from .record import Record, read_record
from .runner import Run
from .steps import STEPS
from .steps.base import Step


@click.pass_context
def run(ctx: click.Context, /, step: str, dry_run: bool, again: bool, remove: bool, **_: Any) -> None:
    """Do one step of the cluster's set-up, or take it away again. Every step can be run again safely."""
    chosen = _step(step)
    ground = read_ground(typed(ctx), os.environ, default_home(os.environ).absolute() / "setup")
    check(ground, chosen.needs, chosen.pools)
    plan = chosen.removal(ground) if remove else chosen.plan(ground)
    if dry_run:
        _show(chosen, plan, remove)
        return
    record = read_record(ground.home, ground["cluster_name"], ground["azure_resource_group"])
    if remove:
        _remove(chosen, plan, record)
    else:
        _do(chosen, plan, ground, record, again)


def _step(word: str) -> Step:
    """Return a step by its name or number.

    Raises:
        UsageError: There is none.
    """
    for step in STEPS.values():
        if word in (step.name, str(step.number), f"{step.number:02d}"):
            return step
    close = nearest(word, STEPS)
    raise UsageError(
        f"unknown step '{word}'",
        allowed=", ".join(f"{step.number:02d} {step.name}" for step in STEPS.values()),
        hint=f"did you mean {close}?" if close else None,
    )


def _show(step: Step, plan: Plan, remove: bool) -> None:
    """Print what would be run; nothing is run, looked at or written for it."""
    render.answer(f"# {step.number:02d} {'remove ' if remove else ''}{step.title}")
    if step.after and not remove:
        render.answer(f"# comes after: {', '.join(STEPS[name].script for name in step.after)}")
    for action in plan.actions:
        render.answer(f"\n# {action.says}\n{action.shown()}")


def _do(step: Step, plan: Plan, ground: Ground, record: Record, again: bool) -> None:
    known = record.steps.get(step.name)
    if known and known.finished and known.plan == plan.key and not again:
        render.say(f"nothing to do: {step.title} was set up at {known.finished}; --again does it anew")
        return
    ground.home.mkdir(parents=True, exist_ok=True)
    _in_order(step, ground, record)
    done = record.begin(step.name, plan.key)
    Run(plan, render.say).go(done, lambda key: record.note(step.name, key))
    record.finish(step.name)
    render.say(f"done: {step.title}")
    if step.then:
        render.say(f"next: {step.then}")


def _remove(step: Step, plan: Plan, record: Record) -> None:
    """Take a step away, from the last that needs it to itself.

    Raises:
        ConfigError: A step that stands on this one is still there.
    """
    standing = [other for other in STEPS.values() if step.name in other.after and record.stands(other.name)]
    if standing:
        raise ConfigError(
            f"{standing[-1].title} still stands on {step.title}",
            hint=f"first: {standing[-1].script.replace('002-setup/', '002-setup/cleanup/')}",
        )
    record.path.parent.mkdir(parents=True, exist_ok=True)
    Run(plan, render.say).go((), lambda key: None)
    record.forget(step.name)
    render.say(f"removed: {step.title}")


def _in_order(step: Step, ground: Ground, record: Record) -> None:
    """See that what must come first stands, by the record, or else by a look at the cluster itself.

    Raises:
        ConfigError: It does not.
    """
    for name in step.after:
        before = STEPS[name]
        if not record.stands(name) and not _looks(before.there(ground)):
            raise ConfigError(
                f"{step.title} needs {before.title} first",
                source=f"neither {record.path} nor the cluster knows of it",
                hint=f"{before.script}, then this again",
            )


def _looks(command: Sequence[str]) -> bool:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


class _Door(click.Command):
    def __init__(self) -> None:
        options: list[click.Parameter] = [
            click.Argument(["step"], metavar="|".join(STEPS)),
            *setting_options({"Platform": [Choices, Sources]}),
            click.Option(["--dry-run"], is_flag=True, help="Print every command; run nothing."),
            click.Option(["--again"], is_flag=True, help="Do the step anew although it is done."),
            click.Option(["--remove"], is_flag=True, help="Take away what the step has made."),
        ]
        super().__init__("gaitway_setup", callback=run, params=options, help=run.__doc__)
        self.context_settings = CONTEXT_SETTINGS


def main(argv: Sequence[str] | None = None) -> int:
    """Run a step and return the exit code: 0 done, 2 usage, 3 configuration, 4 a command failed."""
    try:
        _Door().main(list(sys.argv[1:] if argv is None else argv), standalone_mode=False)
    except GaitwayError as problem:
        render.error(problem)
        return problem.exit_code
    except click.ClickException as problem:
        render.error(UsageError(problem.format_message().rstrip("."), hint="--help lists the options"))
        return UsageError.exit_code
    except (KeyboardInterrupt, click.Abort):
        render.error(Interrupted("interrupted", hint="the same command goes on from here"))
        return Interrupted.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
