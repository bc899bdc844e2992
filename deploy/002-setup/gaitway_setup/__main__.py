"""Command line of the set-up (``python -m gaitway_setup STEP``), called by the numbered scripts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import click
from gaitway_runtime.spec.files import default_home

from gaitway.cli import output
from gaitway.cli.command import CONTEXT_SETTINGS, setting_options, typed
from gaitway.errors import ConfigError, GaitwayError, Interrupted, UsageError, nearest
from gaitway.settings.resolve import Sources

from .actions import Plan
from .deployment import Deployment, SetupOptions, check_needs, read_deployment
from .record import Record, read_record
from .runner import PlanRun
from .steps import STEPS
from .steps.base import Step


@click.pass_context
def run(ctx: click.Context, /, step: str, dry_run: bool, again: bool, remove: bool, **_: Any) -> None:
    """Run one step of the cluster's set-up, or remove what it made. Every step can be run again safely."""
    chosen = _step(step)
    deployment = read_deployment(typed(ctx), os.environ, default_home(os.environ).absolute() / "setup")
    check_needs(deployment, chosen.needs, chosen.pools)
    plan = chosen.removal(deployment) if remove else chosen.plan(deployment)
    if dry_run:
        _show(chosen, plan, remove)
        return
    record = read_record(deployment.home, deployment["cluster_name"], deployment["azure_resource_group"])
    if remove:
        _remove(chosen, plan, record)
    else:
        _do(chosen, plan, deployment, record, again)


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
    """Print the commands of a plan; nothing is run, read or written."""
    output.answer(f"# {step.number:02d} {'remove ' if remove else ''}{step.title}")
    if step.after and not remove:
        output.answer(f"# comes after: {', '.join(STEPS[name].script for name in step.after)}")
    for action in plan.actions:
        output.answer(f"\n# {action.says}\n{action.shown()}")


def _do(step: Step, plan: Plan, deployment: Deployment, record: Record, again: bool) -> None:
    known = record.steps.get(step.name)
    if known and known.finished and known.plan == plan.key and not again:
        output.say(f"nothing to do: {step.title} was set up at {known.finished}; --again repeats it")
        return
    deployment.home.mkdir(parents=True, exist_ok=True)
    _check_order(step, deployment, record)
    done = record.begin(step.name, plan.key)
    PlanRun(plan, output.say).go(done, lambda key: record.note(step.name, key))
    record.finish(step.name)
    output.say(f"done: {step.title}")
    if step.then:
        output.say(f"next: {step.then}")


def _remove(step: Step, plan: Plan, record: Record) -> None:
    """Remove what a step made.

    Raises:
        ConfigError: A step that depends on this one is still installed.
    """
    standing = [other for other in STEPS.values() if step.name in other.after and record.is_done(other.name)]
    if standing:
        raise ConfigError(
            f"{standing[-1].title} still depends on {step.title}",
            hint=f"first: {standing[-1].script.replace('002-setup/', '002-setup/cleanup/')}",
        )
    record.path.parent.mkdir(parents=True, exist_ok=True)
    PlanRun(plan, output.say).go((), lambda key: None)
    record.forget(step.name)
    output.say(f"removed: {step.title}")


def _check_order(step: Step, deployment: Deployment, record: Record) -> None:
    """Check that the steps before this one are done, by the record or by the state of the cluster.

    Raises:
        ConfigError: One is not.
    """
    for name in step.after:
        before = STEPS[name]
        if not record.is_done(name) and not _succeeds(before.there(deployment)):
            raise ConfigError(
                f"{step.title} needs {before.title} first",
                source=f"it is neither in {record.path} nor on the cluster",
                hint=f"{before.script}, then this again",
            )


def _succeeds(command: Sequence[str]) -> bool:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


class _Command(click.Command):
    def __init__(self) -> None:
        options: list[click.Parameter] = [
            click.Argument(["step"], metavar="|".join(STEPS)),
            *setting_options({"Platform": [SetupOptions, Sources]}),
            click.Option(["--dry-run"], is_flag=True, help="Print every command; run nothing."),
            click.Option(["--again"], is_flag=True, help="Run the step again although it is done."),
            click.Option(["--remove"], is_flag=True, help="Remove what the step has made."),
        ]
        super().__init__("gaitway_setup", callback=run, params=options, help=run.__doc__)
        self.context_settings = CONTEXT_SETTINGS


def main(argv: Sequence[str] | None = None) -> int:
    """Run a step and return the exit code: 0 done, 2 usage, 3 configuration, 4 a command failed."""
    try:
        _Command().main(list(sys.argv[1:] if argv is None else argv), standalone_mode=False)
    except GaitwayError as problem:
        output.error(problem)
        return problem.exit_code
    except click.ClickException as problem:
        output.error(UsageError(problem.format_message().rstrip("."), hint="--help lists the options"))
        return UsageError.exit_code
    except (KeyboardInterrupt, click.Abort):
        output.error(Interrupted("interrupted", hint="the same command continues from here"))
        return Interrupted.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
