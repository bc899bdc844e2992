"""Verbs that submit a job: ``train``, ``validate``, ``infer`` and ``dump-contract``."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from gaitway_runtime.spec.job import JOB_KINDS, THIS_MACHINE, Job, TrainJob
from gaitway_runtime.spec.run_context import AzureContext

from ..errors import GaitwayError, Interrupted, UsageError
from ..ledger import Ledger
from ..planning import Prepared, launch
from ..planning import to_document as plan_document
from ..platforms.base import PLATFORMS, RunOptions, RunStatus, StatusReport
from ..preparation import Asked, prepare
from ..run_handle import Run, exit_code
from ..settings.resolve import Sources, declared
from . import live, output
from .command import (
    NEEDED_FIRST,
    NEEDED_ON,
    SectionOption,
    SettingOption,
    VerbCommand,
    json_option,
    setting_options,
    typed,
)
from .runs import show
from .serving import show_in_browser, termination_as_interrupt

PLATFORM = "gaitway.platform"
"""Key of the click context under which the platform that ``--help`` is about is kept."""

DRIVEN_KINDS = ("infer", "validate")
"""Kinds of job whose policy gets a page to drive it in."""

FORWARDED = "gaitway.forwarded"
"""Key of the click context under which the words after ``--`` are kept."""


def __getattr__(name: str) -> click.Command:
    """Return the verb of a job kind, ``train`` for example: its many options are built when it is used."""
    kind = name.replace("_", "-")
    if kind not in JOB_KINDS:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return JobCommand(JOB_KINDS[kind])


class JobCommand(VerbCommand):
    """A verb that submits a job: what follows ``--`` is handed to the platform, and nothing else is.

    Args:
        job: The kind of job.
        callback: What does it; :func:`_run` when omitted.
        more: Options beside those of the job.
        follows: Whether there are options to follow the run, or not to.
    """

    def __init__(
        self,
        job: type[Job],
        *,
        callback: Callable[..., int] | None = None,
        more: Sequence[click.Option] = (),
        follows: bool = True,
    ) -> None:
        self.own = {name: declared([platform.options]).keys() for name, platform in PLATFORMS.working()}
        """Keys of each platform's own settings."""
        platforms = {f"On {name}": [platform.options] for name, platform in PLATFORMS.working()}
        settings = setting_options(
            {"Core": [job], "Platform": [RunOptions], **platforms, "Azure": [AzureContext], "Advanced": [Sources]}
        )
        taken = {flag for option in settings for flag in option.opts}
        watching = [_watch_option()] if job is TrainJob and follows else []
        super().__init__(
            job.kind,
            brief=True,
            callback=callback or _run,
            params=[*settings, *more, *_output_options(taken, follows), *watching],
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
        ctx.meta[PLATFORM] = _platform_at_hand(own)
        ctx.meta[FORWARDED] = tuple(word for word in forwarded if word != "--dry-run")
        return super().parse_args(ctx, own)

    def is_needed_first(self, ctx: click.Context, param: click.Parameter) -> bool:
        """Whether the one screen of ``--help`` shows a parameter: the first of all jobs, and the platform's own."""
        if not isinstance(param, SettingOption):
            return True
        platform = ctx.meta[PLATFORM]
        return param.item.key in NEEDED_FIRST or param.item.key in NEEDED_ON.get(platform, self.own.get(platform, ()))


def _platform_at_hand(args: Sequence[str]) -> str:
    """Return the platform that is named in a command line, read before it is parsed: ``--help`` ends the parsing."""
    for number, word in enumerate(args):
        if word == "--on" and number + 1 < len(args):
            return args[number + 1]
        if word.startswith("--on="):
            return word.removeprefix("--on=")
    return os.environ.get("GAITWAY_PLATFORM") or THIS_MACHINE


def _output_options(taken: set[str], follows: bool) -> list[click.Option]:
    def flag(*names: str, help: str) -> SectionOption:
        return SectionOption([name for name in names if name not in taken], is_flag=True, help=help)

    following = [
        flag("--follow", "-f", "--stream", help="Follow a remote run's log; a run here is followed anyway."),
        flag("--detach", help="Do not follow a run here: it lives on when this command ends."),
    ]
    return [
        flag("--dry-run", help="Show the plan and the exact request; write nothing, contact nobody."),
        flag("--yes", "-y", help="Submit without asking."),
        *(following if follows else ()),
        json_option(),
    ]


def _watch_option() -> click.Option:
    return SectionOption(
        ["--watch"], is_flag=True, help="Open the training page while the run is followed, and film it (--no-films)."
    )


@click.pass_context
def _run(
    ctx: click.Context,
    /,
    *,
    dry_run: bool,
    yes: bool,
    follow: bool,
    detach: bool,
    as_json: bool,
    watch: bool = False,
    **_: Any,
) -> int:
    """Do the job that was asked for and return its exit code."""
    if detach and (follow or watch):
        raise UsageError(f"--{'follow' if follow else 'watch'} and --detach exclude each other")
    assert isinstance(ctx.command, JobCommand)
    asked = {**({"films": True} if watch else {}), **typed(ctx)}
    prepared = prepare(Asked(ctx.command.job, asked, ctx.meta[FORWARDED]), os.environ)
    if dry_run:
        _show_only(prepared, as_json)
        return 0
    remote = prepared.platform.limits.remote
    for line in output.plan(prepared.plan):
        output.say(line)
    if remote and not yes and not confirmed():
        output.say("nothing is submitted")
        return Interrupted.exit_code
    started = submit(prepared)
    followed = follow or watch or not (remote or detach)
    with _watched(started) if watch else contextlib.nullcontext():
        report = follow_to_the_end(started) if followed else _state_of(started)
    add_pages(started, report)
    show(started.document(report), as_json, told=followed)
    return exit_code(report) or 0


def _state_of(started: Run) -> StatusReport:
    """Return how a run is doing that has just been submitted, which it stays if nobody can tell."""
    try:
        return started.status()
    except GaitwayError as error:
        return StatusReport(RunStatus.UNKNOWN, detail=error.message)


@contextlib.contextmanager
def _watched(started: Run) -> Iterator[None]:
    """Serve the run's training page, and open it."""
    from ..watch.server import serving

    with serving(started) as server:
        output.say(f"{started.name} is shown at {server.address} while this command follows it")
        show_in_browser(server.address)
        yield


def confirmed() -> bool:
    """Return whether a job may be submitted: asked for on a terminal, else taken as said."""
    return not (sys.stdin.isatty() and sys.stderr.isatty()) or click.confirm("Submit?", default=True, err=True)


def submit(prepared: Prepared) -> Run:
    """Submit what was prepared and say so."""
    record = launch(prepared, os.environ)
    started = Run(record, Ledger.at_home(os.environ))
    output.say(f"{record.name} submitted to {record.platform}" + (f": {record.url}" if record.url else ""))
    return started


def add_pages(ended: Run, report: StatusReport) -> None:
    """Write what the client adds to the outputs of a run here: training.html of a training, drive.html of a policy."""
    if not report.status.ended or ended.platform.limits.remote:
        return
    if ended.record.kind == "train":
        _add_training_page(ended)
    elif ended.record.kind in DRIVEN_KINDS and report.status is RunStatus.SUCCEEDED:
        from ..play.sources import add_page

        page = add_page(ended, output.say)
        if page:
            output.say(f"drive it: {page}")
            publish(ended, page, report)


def publish(ended: Run, page: Path, report: StatusReport) -> None:
    """Put a drive page beside the run's other artifacts in MLflow, or say why not."""
    from ..play.publishing import publish_page

    problem = publish_page(ended, page, report.result.mlflow_run_id if report.result else None)
    if problem:
        output.say(f"{page.name} is not in MLflow: {problem}")


def _add_training_page(ended: Run) -> None:
    """Write how a training learned, if it came to that."""
    from ..watch.data import read_training
    from ..watch.page import write_training_page

    try:
        data = read_training(ended)
        if not (data["curves"] or data["films"]):
            return
        page = write_training_page(data, ended.run_dir / "outputs")
    except GaitwayError as error:
        output.say(f"no training.html: {error.message}")
        return
    output.say(f"how it learned: {page}")


def follow_to_the_end(started: Run) -> StatusReport:
    """Show a run's log and progress until it ends.

    Ctrl-C (and SIGTERM) stops a run on this machine, which saves first, and detaches from one that is elsewhere.
    """
    remote = started.platform.limits.remote
    try:
        with termination_as_interrupt():
            return live.follow(started)
    except KeyboardInterrupt:
        if remote:
            output.say_command(f"{started.name} goes on; to follow it:", ("gaitway", "logs", started.name, "-f"))
            output.say_command("to cancel it:", ("gaitway", "cancel", started.name))
            raise
        output.say("stopping: the run saves first; Ctrl-C again kills it")
        return started.cancel()
    except GaitwayError:
        if remote:
            output.say_command(
                f"{started.name} is followed no longer; how it is doing:", ("gaitway", "status", started.name)
            )
        raise


def _show_only(prepared: Prepared, as_json: bool) -> None:
    if as_json:
        output.document(
            {
                "dry_run": True,
                "plan": plan_document(prepared.plan),
                "request": {"platform": prepared.request.platform, "body": prepared.request.body},
            }
        )
        return
    output.answer("\n".join(output.plan(prepared.plan)))
    body = prepared.request.body.rstrip().split("\n")
    output.answer("\n".join(("", "Request", *(f"  {line}".rstrip() for line in body))), raw=True)
