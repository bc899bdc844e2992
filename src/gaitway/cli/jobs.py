"""What ``train``, ``validate`` and ``infer`` have in common: options, plan, submission, following."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import click
from gaitway_runtime.job import AzureContext, Job

from ..errors import UsageError
from ..handles import Run, exit_code
from ..launch import Asked, Prepared, launch, prepare
from ..ledger import Ledger
from ..options import RunOptions
from ..planning import to_document as plan_document
from ..platforms.base import StatusReport, load, present
from ..settings.fields import Sources
from . import live, render, views
from .command import VerbCommand, json_option
from .common import show
from .options import SectionOption, setting_options, typed

FORWARDED = "gaitway.forwarded"
"""Key of the click context under which the words after ``--`` are kept."""


class JobCommand(VerbCommand):
    """A verb that submits a job: what follows ``--`` is handed to the platform, and nothing else is."""

    def __init__(self, job: type[Job]) -> None:
        platforms = {f"On {name}": [load(name).options] for name in present()}
        settings = setting_options(
            {"Core": [job], "Platform": [RunOptions], **platforms, "Azure": [AzureContext], "Advanced": [Sources]}
        )
        taken = {flag for option in settings for flag in option.opts}
        super().__init__(
            job.kind,
            callback=run,
            params=[*settings, *_output_options(taken)],
            options_metavar="[OPTIONS] [-- KEY=VALUE ...]",
        )
        self.job = job

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse what stands before ``--`` and keep what stands after it. ``--dry-run`` counts on either side."""
        own, forwarded = args, []
        if "--" in args:
            own, forwarded = args[: args.index("--")], args[args.index("--") + 1 :]
        if "--dry-run" in forwarded:
            own = ["--dry-run", *own]
        ctx.meta[FORWARDED] = tuple(word for word in forwarded if word != "--dry-run")
        return super().parse_args(ctx, own)


def _output_options(taken: set[str]) -> list[click.Option]:
    def flag(*names: str, help: str) -> SectionOption:
        return SectionOption([name for name in names if name not in taken], is_flag=True, help=help)

    return [
        flag("--dry-run", help="Show the plan and the exact request; write nothing, contact nobody."),
        flag("--yes", "-y", help="Submit without asking."),
        flag("--follow", "-f", "--stream", help="Follow a remote run's log; a run here is followed anyway."),
        flag("--detach", help="Do not follow a run here: it lives on when this command ends."),
        json_option(),
    ]


@click.pass_context
def run(ctx: click.Context, /, *, dry_run: bool, yes: bool, follow: bool, detach: bool, as_json: bool, **_: Any) -> int:
    """Do the job that was asked for and return its exit code."""
    if follow and detach:
        raise UsageError("--follow and --detach exclude each other")
    assert isinstance(ctx.command, JobCommand)
    prepared = prepare(Asked(ctx.command.job, typed(ctx), ctx.meta[FORWARDED]), os.environ)
    if dry_run:
        _show_only(prepared, as_json)
        return 0
    remote = prepared.platform.limits.remote
    for line in views.plan(prepared.plan):
        render.say(line)
    if remote and not yes and sys.stdin.isatty() and sys.stderr.isatty():
        click.confirm("Submit?", default=True, abort=True, err=True)
    started = submit(prepared)
    followed = follow or not (remote or detach)
    report = follow_to_the_end(started) if followed else started.status()
    show(started.document(report), as_json, told=followed)
    return exit_code(report) or 0


def submit(prepared: Prepared) -> Run:
    """Submit what was prepared and say so."""
    record = launch(prepared, os.environ)
    started = Run(record, Ledger.at_home(os.environ))
    render.say(f"{record.name} submitted to {record.platform}" + (f": {record.url}" if record.url else ""))
    return started


def follow_to_the_end(started: Run) -> StatusReport:
    """Show a run's log and progress until it ends.

    Ctrl-C (and SIGTERM) stops a run on this machine, which saves first, and detaches from one that is elsewhere.
    """
    remote = started.platform.limits.remote
    try:
        with _termination_as_interrupt():
            return live.follow(started)
    except KeyboardInterrupt:
        if remote:
            render.say(f"{started.name} goes on; to follow it: {shlex.join(('gaitway', 'logs', started.name, '-f'))}")
            render.say(f"to cancel it: {shlex.join(('gaitway', 'cancel', started.name))}")
            raise
        render.say("stopping: the run saves first; Ctrl-C again kills it")
        return started.cancel()


def _show_only(prepared: Prepared, as_json: bool) -> None:
    if as_json:
        render.document(
            {
                "dry_run": True,
                "plan": plan_document(prepared.plan),
                "request": {"platform": prepared.request.platform, "body": prepared.request.body},
            }
        )
        return
    for line in views.plan(prepared.plan):
        render.answer(line)
    render.answer("\nRequest")
    for line in prepared.request.body.rstrip().split("\n"):
        render.answer(f"  {line}".rstrip())


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Treat SIGTERM and SIGHUP as Ctrl-C: a run that this command waits for is to be stopped with it."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before: Mapping[int, Any] = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
