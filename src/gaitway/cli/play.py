"""``gaitway play``: drive a policy in a browser."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

import click

from ..errors import UsageError
from ..ledger import Ledger
from ..play.sources import PAGE, page_of, page_of_run, policy_of
from ..run_handle import Run
from . import output
from .command import SectionOption, VerbCommand, json_option
from .jobs import publish
from .serving import show_in_browser, termination_as_interrupt


def _play(
    target: str, task: str | None, file: str | None, live: bool, port: int | None, browser: bool, as_json: bool
) -> None:
    """Write the page and open it, or show the Python simulation itself."""
    ledger = Ledger.at_home(os.environ)
    if live:
        _check_live(file, as_json)
        _show_live(target, ledger, task, port or 0, browser)
        return
    if port is not None:
        raise UsageError("the page is a file and has no port", source="--port", hint="--live --port N")
    if target in ledger.names() and file is None:
        run = Run(ledger.read(target), ledger)
        page = page_of_run(run, task, output.say)
        if run.platform.limits.remote:
            publish(run, page, run.status())
    else:
        page = page_of(target, ledger, Path(file or PAGE).expanduser(), task, output.say)
    if as_json:
        output.document({"page": str(page), "bytes": page.stat().st_size})
    else:
        output.answer(str(page))
    if not (browser and show_in_browser(page.absolute().as_uri())):
        output.say("open it in a browser; it needs no network")


def _check_live(file: str | None, as_json: bool) -> None:
    if file is not None or as_json:
        raise UsageError(
            "the live view is served until Ctrl-C; it writes no file", source="--output" if file else "--json"
        )


def _show_live(target: str, ledger: Ledger, task: str | None, port: int, browser: bool) -> None:
    """Serve the view of the Python simulation until Ctrl-C.

    Raises:
        GaitwayError: There is no such policy, or the port cannot be used.
    """
    with policy_of(target, ledger, task, output.say) as (policy, its_task):
        from gaitway_runtime.evaluation.live_view import live_view

        # MuJoCo's viewer prints as it likes
        with (
            contextlib.suppress(KeyboardInterrupt),
            termination_as_interrupt(),
            contextlib.redirect_stdout(io.StringIO()),
            live_view(policy, its_task, port) as view,
        ):
            output.say(f"the Python simulation of {its_task} is shown at {view.address} until Ctrl-C")
            if browser:
                show_in_browser(view.address)
            view.run()


play = VerbCommand(
    "play",
    callback=_play,
    params=[
        click.Argument(["target"], metavar="RUN|CHECKPOINT|policy.onnx"),
        SectionOption(["--task", "-t"], metavar="NAME", section="Core", help="Task; the policy's own when omitted."),
        SectionOption(
            ["file", "--output", "-o"],
            metavar="FILE",
            section="Core",
            help=f"File to write; a run's outputs/{PAGE}, else {PAGE} here, when omitted.",
        ),
        SectionOption(
            ["--live"],
            is_flag=True,
            section="Core",
            help="Show the Python simulation itself, in MuJoCo's viewer on 127.0.0.1, until Ctrl-C.",
        ),
        SectionOption(
            ["--port"],
            type=click.IntRange(0, 65535),
            metavar="N",
            section="Core",
            help="Port of the live view; a free one when omitted.",
        ),
        SectionOption(
            ["--browser/--no-browser"], default=True, section="Core", help="Open the page in a browser, or do not."
        ),
        json_option(),
    ],
    help="The page is one file that works offline: MuJoCo steps the task's robot in the browser, the policy computes "
    "the actions, and you drive with keys, sliders or an on-screen stick.",
)
