"""Verbs that reach into and around a run on its platform.

``exec``, ``port-forward``, ``events``, ``restart``, ``adopt``.
"""

from __future__ import annotations

import os
from typing import Any

import click

from ..adoption import adopt as adopt_run
from ..errors import UsageError
from ..ledger import Ledger
from ..platforms.base import PLATFORMS, Executes, ForwardsPorts, Restarts, SyncsFiles, TellsEvents, load
from ..run_handle import Run
from . import output
from .command import SectionOption, VerbCommand, json_option
from .runs import find_run, show


def _cannot(found: Run, ability: Any, verb: str) -> UsageError:
    """Return the error of a run whose platform cannot do something, with those that can."""
    able = [name for name, platform in PLATFORMS.working() if isinstance(platform, ability)]
    return UsageError(
        f"{found.record.platform} has no way to {verb}",
        source=f"run {found.name}",
        allowed=f"runs on {', '.join(able) or 'no platform'}",
        hint=found.record.url if found.platform.limits.remote else f"it runs on this machine, in {found.run_dir}",
    )


def _exec(name: str, command: tuple[str, ...]) -> int:
    """Run a command where a run runs."""
    found = find_run(name)
    platform = found.platform
    if not isinstance(platform, Executes):
        raise _cannot(found, Executes, "run a command in a run")
    return platform.execute(found.located(), found.run_dir, command)


def _port_forward(name: str, port: str) -> int:
    """Make a port of a run one of this machine."""
    local, _, remote = port.partition(":")
    try:
        numbers = int(local), int(remote or local)
    except ValueError:
        numbers = (0, 0)
    if not all(0 < number < 65536 for number in numbers):
        raise UsageError(f"'{port}' is no port", source="PORT", allowed="PORT or LOCAL:REMOTE, 1 to 65535")
    found = find_run(name)
    platform = found.platform
    if not isinstance(platform, ForwardsPorts):
        raise _cannot(found, ForwardsPorts, "forward a port")
    return platform.forward_port(found.located(), found.run_dir, *numbers)


def copy_files(name: str, source: str, target: str, include: tuple[str, ...]) -> int:
    """Copy files to or from a run that has not ended."""
    found = find_run(name)
    platform = found.platform
    if not isinstance(platform, SyncsFiles):
        raise _cannot(found, SyncsFiles, "carry files to or from a run that has not ended")
    return platform.sync(found.located(), found.run_dir, source, target, include)


def _events(name: str) -> None:
    """Print what happened to a run beside its log."""
    found = find_run(name)
    platform = found.platform
    if not isinstance(platform, TellsEvents):
        raise _cannot(found, TellsEvents, "tell events")
    for line in platform.events(found.located(), found.run_dir):
        if not output.answer(line, raw=True):
            return


def _restart(name: str, as_json: bool) -> None:
    """Start again what has not succeeded."""
    found = find_run(name)
    if not isinstance(found.platform, Restarts):
        raise _cannot(found, Restarts, "start a run again")
    again = found.restart()
    output.say(f"{name} goes on" + (f": {again.record.url}" if again.record.url else ""))
    show(again.document(), as_json)


def _adopt(id: str, platform: str | None, name: str | None, as_json: bool) -> None:
    """Make a record of a run that was submitted elsewhere."""
    ledger = Ledger.at_home(os.environ)
    record = adopt_run(ledger, load(platform or os.environ.get("GAITWAY_PLATFORM") or "osmo"), id, name)
    output.say(f"{id} is run {record.name} of this folder")
    show(Run.of(record, ledger).document(), as_json)


def _verb(name: str, callback: Any, *params: click.Parameter, **attrs: Any) -> VerbCommand:
    return VerbCommand(name, callback=callback, params=[click.Argument(["name"], metavar="RUN"), *params], **attrs)


execute = _verb(
    "exec",
    _exec,
    click.Argument(["command"], nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND ...]"),
    help="A shell when no command is named.",
)
port_forward = _verb("port-forward", _port_forward, click.Argument(["port"], metavar="PORT|LOCAL:REMOTE"))
events = _verb("events", _events)
restart = _verb("restart", _restart, json_option())
adopt = VerbCommand(
    "adopt",
    callback=_adopt,
    params=[
        click.Argument(["id"], metavar="ID"),
        SectionOption(["platform", "--on"], metavar="NAME", help="Platform that has the run.  [default: osmo]"),
        SectionOption(["--name"], metavar="NAME", help="Name of the run here; its own when omitted."),
        json_option(),
    ],
)
