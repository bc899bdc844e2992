"""``gaitway watch RUN``: a run's curves in a browser, as they grow."""

from __future__ import annotations

import click

from ..watch.server import TrainingServer
from . import output
from .command import SectionOption, VerbCommand
from .runs import find_run, run_argument
from .serving import show_in_browser, termination_as_interrupt


def _watch(name: str, port: int, browser: bool) -> None:
    """Serve the page until Ctrl-C; the run goes on."""
    with TrainingServer(find_run(name), port) as server:
        output.say(f"{name} is shown at {server.address} until Ctrl-C, which leaves the run alone")
        if browser:
            show_in_browser(server.address)
        try:
            with termination_as_interrupt():
                server.serve_forever()
        except KeyboardInterrupt:
            return


watch = VerbCommand(
    "watch",
    callback=_watch,
    params=[
        run_argument(),
        SectionOption(
            ["--port"],
            type=click.IntRange(0, 65535),
            default=0,
            metavar="N",
            section="Core",
            help="Port to serve on; a free one when omitted.",
        ),
        SectionOption(
            ["--browser/--no-browser"], default=True, section="Core", help="Open the page in a browser, or do not."
        ),
    ],
    help="Curves of reward, reward terms, losses and speed, time left, films and the log; a button stops the run. "
    "The same page stays among a run's outputs as training.html.",
)
