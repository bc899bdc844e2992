"""Verbs that look at runs, end and remove them: ``runs``, ``status``, ``logs``, ``cancel``, ``download``."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem
from gaitway_runtime.spec import catalog

from .. import unpublished
from ..curves import fetch_metrics
from ..errors import GaitwayError, UsageError
from ..ledger import Ledger, RunRecord
from ..platforms.base import FindsRuns, LogSelection, RunStatus, StatusReport, load
from ..run_handle import Run, RunDocument, damaged
from . import output, run_table
from .command import SectionOption, VerbCommand, json_option

STATES = [status.value for status in RunStatus]

QUESTIONS_AT_ONCE = 8
"""Runs whose platforms are asked at the same time."""

LAST_LINES = 10
"""Log lines shown of a run that failed here."""


def find_run(name: str) -> Run:
    """Return a run of this folder by name.

    Raises:
        UsageError: There is none of that name; the error names the nearest.
        ConfigError: Its record is damaged.
    """
    ledger = Ledger.at_home(os.environ)
    return Run(ledger.read(name), ledger)


def show(document: Mapping[str, Any], as_json: bool, *, told: bool = False) -> None:
    """Print how a run stands, why it failed, and the next command.

    Args:
        document: The run's JSON document.
        as_json: Whether to print that document instead.
        told: Whether the log, with the reason of a failure, was on the screen already.
    """
    if as_json:
        output.document(document)
    else:
        for line in output.run(document):
            output.answer(line)
    for line in output.failure(document, told=told):
        output.say(line)
    output.say_command("next:", document["next"])


@dataclass(frozen=True, kw_only=True)
class RunFilter:
    """Which runs are listed, and how."""

    task: str | None
    status: str | None
    sort: str | None
    limit: int | None
    platform: str | None = None

    def records(self, records: Sequence[RunRecord]) -> list[RunRecord]:
        """Return the records that may be listed; no platform is asked about the others."""
        records = [record for record in records if self.platform in (None, record.platform)]
        if self.task is None:
            return records
        known = catalog.find(self.task)
        return [record for record in records if fnmatchcase(record.task, known.name if known else self.task)]

    def documents(self, documents: Sequence[RunDocument]) -> list[RunDocument]:
        """Return the runs that are listed: the newest last, or sorted by a column."""
        found = [one for one in documents if self.status in (None, one["status"])]
        if self.sort:
            return run_table.in_order(found, self.sort)[: self.limit]
        return found[-self.limit :] if self.limit else found


def _runs(
    words: tuple[str, ...],
    task: str | None,
    status: str | None,
    sort: str | None,
    limit: int | None,
    columns: str | None,
    platform: str | None,
    everything: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """List the runs of this folder, newest last, or remove some."""
    ledger = Ledger.at_home(os.environ)
    if everything:
        _list_everything(ledger, platform, limit, as_json)
        return
    match words:
        case ():
            if sort:
                run_table.check_column(sort, "--sort")
            wanted = RunFilter(task=task, status=status, sort=sort, limit=limit, platform=platform)
            _list(ledger, wanted, run_table.columns_named(columns), as_json)
        case ("rm", _, *_):
            _remove(ledger, words[1:], yes, as_json)
        case _:
            raise UsageError(f"unexpected '{' '.join(words)}'", allowed="rm RUN ...", hint="gaitway runs --help")


def _list(ledger: Ledger, wanted: RunFilter, columns: Sequence[str], as_json: bool) -> None:
    records, damages = ledger.all()
    with ThreadPoolExecutor(QUESTIONS_AT_ONCE) as pool:
        asked = pool.map(_document, [Run(record, ledger) for record in wanted.records(records)])
        documents = wanted.documents(list(asked))
    if as_json:
        output.document([*(damaged(damage, ledger) for damage in damages), *documents])
    elif documents:
        header = [name.upper() for name in columns]
        output.table(header, [run_table.row(document, columns) for document in documents])
    elif records:
        output.say(f"none of {len(records)} runs is of that kind: gaitway runs")
    else:
        output.say(f"no runs in {ledger.home}; the first: gaitway train --task Isaac-Cartpole-v0")
    if not as_json:
        send_leftovers(ledger)
    for damage in damages:
        output.say(f"warning: run '{damage.name}' is damaged: {damage.reason} ({ledger.run_dir(damage.name)})")


def send_leftovers(ledger: Ledger) -> None:
    """Begin to send what earlier runs have left to tell their tracking servers, in the background, and say so."""
    if unpublished.begin_delivery(ledger):
        output.say("results of earlier runs wait for their tracking server and are being sent: gaitway sync")


def _list_everything(ledger: Ledger, name: str | None, limit: int | None, as_json: bool) -> None:
    """List the runs that a platform knows, whoever submitted them from wherever.

    Raises:
        UsageError: No platform is named, or it cannot be asked.
        GaitwayError: The platform does not answer.
    """
    if name is None:
        raise UsageError("the runs of which platform?", source="--all", hint="gaitway runs --on osmo --all")
    platform = load(name)
    if not isinstance(platform, FindsRuns):
        raise UsageError(f"{name} cannot list runs that this folder has no record of", source="--all")
    records, _ = ledger.all()
    here = {record.id: record.name for record in records if record.platform == name}
    found = platform.list_runs({})[-limit:] if limit else platform.list_runs({})
    if as_json:
        output.document([{**dataclasses.asdict(one), "run": here.get(one.id)} for one in found])
        return
    output.table(
        ["ID", "STATUS", "CREATED", "USER", "RUN"],
        [[one.id, one.status.value, one.created, one.user, here.get(one.id, "")] for one in found],
    )
    output.say("gaitway adopt ID makes a run of this folder of one")


def _remove(ledger: Ledger, names: Sequence[str], yes: bool, as_json: bool) -> None:
    """Remove runs from this folder, all or none.

    Raises:
        UsageError: There is no such run, it goes on, its model is registered, or nobody confirms.
    """
    for name in names:
        _check_removable(ledger, name)
    if not yes:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError("nobody can be asked whether to remove the runs", hint="--yes removes them")
        question = f"Remove {', '.join(names)} with all outputs from {ledger.runs}?"
        if not click.confirm(question, default=False, err=True):
            output.say("nothing is removed")
            return
    for name in names:
        ledger.remove(name)
    if as_json:
        output.document({"removed": list(names)})
    else:
        output.say(f"removed: {', '.join(names)}; what they sent to MLflow is kept")


def _check_removable(ledger: Ledger, name: str) -> None:
    _, damages = ledger.all()
    if name in [damage.name for damage in damages]:
        return
    document = _document(Run(ledger.read(name), ledger))
    if document["status"] not in ("succeeded", "failed", "cancelled"):
        raise UsageError(f"run '{name}' is {document['status']}", source="RUN", hint=f"gaitway cancel {name}")
    model = document["registered_model"]
    if model:
        raise UsageError(
            f"run '{name}' made {model['name']} version {model['version']}, which is registered",
            source="RUN",
            hint="a registered model's run is never removed; delete the model version first",
        )


def _document(listed: Run) -> RunDocument:
    try:
        return listed.document()
    except GaitwayError as error:
        return listed.document(StatusReport(RunStatus.UNKNOWN, detail=error.message))


def _status(name: str, as_json: bool) -> None:
    """Show how a run is doing."""
    found = find_run(name)
    report = found.status()
    if report.status is RunStatus.FAILED and not found.platform.limits.remote:
        for line in deque(found.logs(), LAST_LINES):
            output.say(f"| {line}", raw=True)
    if report.status is RunStatus.RUNNING:
        fetch_metrics(found, report, quick=True)  # what of it cannot be had now, is not shown
    show(found.document(report), as_json)
    if not as_json:
        send_leftovers(found.ledger)


def _logs(name: str, follow: bool, attempt: int | None, task: str | None, error: bool) -> None:
    """Print a run's log, or a part of it."""
    selection = LogSelection(task=task, attempt=attempt, error=error)
    whole = selection == LogSelection()
    if follow and not whole:
        raise UsageError("a part of a log is not followed", source="--follow", allowed="--attempt, --task, --error")
    found = find_run(name)
    if follow:
        _say_what_it_waits_for(found)
    empty = True
    for line in found.logs(follow) if whole else found.logs_of(selection):
        empty = False
        if not output.answer(line, raw=True):
            return
    if whole and empty and not follow:
        _say_what_it_waits_for(found)


def _say_what_it_waits_for(found: Run) -> None:
    """Say why a run is queued, if it is: it has no log yet."""
    report = found.status()
    if report.status is RunStatus.QUEUED:
        output.say(f"{found.record.name} is queued" + (f": {report.detail}" if report.detail else ""))


def _cancel(name: str, as_json: bool) -> None:
    """Ask a run to save and stop."""
    found = find_run(name)
    before = found.status()
    if before.status.ended:
        found.cancel()  # a process of its group may have outlived the first
        raise UsageError(
            f"run '{name}' has already ended: {before.status.value}", hint=f"gaitway status {name}", source="RUN"
        )
    if found.platform.limits.saves_on_cancel:
        output.say(f"asking {name} to save and stop; this may take a minute")
    else:
        output.say(f"{found.record.platform} ends {name} at once, unasked to save: what it has uploaded is kept")
    show(found.document(found.cancel()), as_json)


def _download(name: str, into: str | None, pattern: str, as_json: bool) -> None:
    """Copy a run's outputs here."""
    found = find_run(name)
    target = Path(into or name).expanduser()
    paths = found.fetch(target, pattern)
    if not paths:
        raise UsageError(
            f"run '{name}' has no output that matches '{pattern}'", source="--pattern", hint=f"gaitway status {name}"
        )
    if as_json:
        output.document({"run": name, "into": str(target), "files": [str(path) for path in paths]})
        return
    for path in paths:
        output.answer(str(path))


def _filter(*names: str, **attrs: Any) -> SectionOption:
    return SectionOption(list(names), section="Core", **attrs)


def run_argument() -> click.Argument:
    """Return the argument that names a run."""
    return click.Argument(["name"], metavar="RUN", shell_complete=_complete_run)


def _complete_run(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from .completion import complete_run

    return complete_run(ctx, param, incomplete)


runs = VerbCommand(
    "runs",
    callback=_runs,
    params=[
        click.Argument(["words"], nargs=-1, metavar="[rm RUN ...]"),
        _filter("--task", "-t", metavar="NAME", help="Those of a task, or of a pattern: '*Flat*'."),
        _filter("--status", type=click.Choice(STATES), metavar="STATE", help=f"Those in a state: {', '.join(STATES)}."),
        _filter("--sort", metavar="COLUMN", help="Sort by a column, largest number first; else the newest is last."),
        _filter("--limit", type=click.IntRange(min=1), metavar="N", help="Show at most N: the newest, or the first."),
        _filter("--columns", metavar="A,B,...", help=f"Columns to show, of {', '.join(run_table.COLUMNS)}."),
        _filter("platform", "--on", metavar="NAME", help="Those on a platform."),
        _filter("everything", "--all", is_flag=True, help="With --on: all that the platform knows, also of others."),
        SectionOption(["--yes", "-y"], is_flag=True, help="Remove without asking."),
        json_option(),
    ],
    help="gaitway runs rm RUN ... removes runs and their outputs from this folder. It asks first, and never removes a "
    "run that has not ended or whose model is registered.",
)
status = VerbCommand("status", callback=_status, params=[run_argument(), json_option()])
logs = VerbCommand(
    "logs",
    callback=_logs,
    params=[
        run_argument(),
        SectionOption(["--follow", "-f"], is_flag=True, help="Go on until the run ends; Ctrl-C leaves it alone."),
        SectionOption(
            ["--attempt"], type=click.IntRange(min=0), metavar="N", help="That of one start of the run only."
        ),
        SectionOption(["--task"], metavar="NAME", help="That of one task of the run only."),
        SectionOption(["--error"], is_flag=True, help="The platform's own log of what went wrong."),
    ],
)
cancel = VerbCommand("cancel", callback=_cancel, params=[run_argument(), json_option()])
download = VerbCommand(
    "download",
    callback=_download,
    params=[
        run_argument(),
        SectionOption(["--into"], metavar="DIR", help="Folder to copy to; one named like the run when omitted."),
        SectionOption(
            ["--pattern"],
            metavar="GLOB",
            default="*",
            help="Files to copy, as in 'exported/*' or '*.mp4'; all when omitted.",
        ),
        json_option(),
    ],
)
