"""``gaitway sweep train`` and ``gaitway sweep show NAME``."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
from gaitway_runtime.spec.job import TrainJob, model_name_for
from gaitway_runtime.spec.types import Json

from .. import variations
from ..errors import UsageError
from ..ledger import Ledger
from ..planning import Prepared
from ..planning import to_document as plan_document
from ..preparation import Asked, prepare
from ..settings.values import document as settings_document
from ..sweep import ranking
from ..sweep.asked import check_variations
from ..sweep.outcome import find_outcome, outcome_here
from ..sweep.study import IDENTITY, SweepFolder
from ..sweep.trials import LocalSweep
from ..variations import SWEEP, SweepDesign
from . import output
from .command import SectionOption, VerbGroup, json_option, typed
from .jobs import FORWARDED, JobCommand, confirmed, submit
from .runs import show
from .serving import termination_as_interrupt

Document = Mapping[str, Any]


class SweepCommand(JobCommand):
    """``sweep train``: what ``train`` takes, and what is varied."""

    def __init__(self) -> None:
        super().__init__(TrainJob, callback=_sweep, more=_sweep_options(), follows=False)
        self.help = "Train a task once for each set of varied values, and rank what comes out."


@click.pass_context
def _sweep(
    ctx: click.Context,
    /,
    *,
    vary: tuple[str, ...],
    seeds: int,
    trials: int | None,
    objective: str,
    direction: str,
    prune: bool,
    parallel: int | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    **_: Any,
) -> int:
    """Plan the sweep, and go through its trials here or submit it."""
    values = typed(ctx)
    design = variations.make_design(
        vary,
        first_seed=_first_seed(values),
        seeds=seeds,
        trials=trials,
        objective=objective,
        direction=direction,
        prune=prune,
        parallel=parallel,
    )
    asked = Asked(TrainJob, values, ctx.meta[FORWARDED], sweep=design)
    check_variations(asked, design, os.environ)
    prepared = _prepared(asked, design)
    if dry_run:
        _show_plan(prepared, design, as_json)
        return 0
    for line in _plan_lines(prepared, design):
        output.say(line)
    if prepared.platform.limits.remote:
        if not yes and not confirmed():
            output.say("nothing is submitted")
            return 130
        started = submit(prepared)
        show(started.document(), as_json)
        return 0
    return _sweep_here(asked, design, prepared, as_json)


def _first_seed(values: Mapping[str, Any]) -> int:
    text = str(values.get("seed") or os.environ.get("SEED") or TrainJob.seed)
    if not text.isdecimal():
        raise UsageError(f"'{text}' is not a seed", source="--seed", allowed="a whole number")
    return int(text)


def _prepared(asked: Asked, design: SweepDesign) -> Prepared:
    """Return the submission: of the whole sweep where a platform does it, of what is varied on this machine."""
    on = prepare(dataclasses.replace(asked, sweep=None), os.environ).platform
    if on.limits.remote:
        return prepare(asked, os.environ)
    given = {key: value for key, value in asked.values.items() if key != "run_name"}
    prepared = prepare(dataclasses.replace(asked, values=given, sweep=None), os.environ)
    name = str(asked.values.get("run_name") or _name_of(asked, design, prepared.submission.job.task))
    return dataclasses.replace(prepared, plan=dataclasses.replace(prepared.plan, run=name, kind=SWEEP))


def _sweep_here(asked: Asked, design: SweepDesign, prepared: Prepared, as_json: bool) -> int:
    ledger = Ledger.at_home(os.environ)
    folder = SweepFolder.of(prepared.plan.run, ledger)
    document: dict[str, Json] = {
        **design.document(),
        "values": json.loads(json.dumps(dict(asked.values))),
        "settings": dict(settings_document(prepared.submission.settings)),
    }
    ledger.make_home()
    with folder.locked(), termination_as_interrupt():
        if folder.begin(document):
            output.say(f"sweep {folder.name} goes on")
        LocalSweep(asked, design, folder, ledger, os.environ, output.say).run()
        outcome = outcome_here(folder)
    _show_outcome(outcome, as_json)
    return 0 if outcome["winner"] else 1


def _name_of(asked: Asked, design: SweepDesign, task: str) -> str:
    """Return the name of a sweep that nobody has named: the same command always gets the same."""
    same = {"values": dict(asked.values), **{key: design.document().get(key) for key in IDENTITY if key != "values"}}
    digest = hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()[:6]
    return f"{model_name_for(task)}-{SWEEP}-{digest}"


def _show(name: str, as_json: bool) -> int:
    """Show how far a sweep is."""
    ledger = Ledger.at_home(os.environ)
    _show_outcome(find_outcome(name, ledger), as_json)
    return 0


def _show_outcome(outcome: Document, as_json: bool) -> None:
    if as_json:
        output.document(outcome)
    else:
        output.answer(f"{outcome['sweep']}: {outcome['done']} of {outcome['trials']} trials, {outcome['status']}")
        trials = outcome["leaderboard"]
        keys = ranking.short_keys([text.partition("=")[0] for text in outcome["vary"]])
        header = ["", outcome["objective"].rpartition("/")[2], *keys.values(), "status", "run"]
        rows = [_row(place, trial, keys) for place, trial in enumerate(trials, 1)]
        if rows:
            output.table([name.upper() for name in header], rows)
        for key, share in (outcome["importances"] or {}).items():
            output.answer(f"importance of {key}: {share:.0%}")
    if outcome["next"]:
        output.say_command("the winner in full:", outcome["next"])
    else:
        output.say("no trial has been completed")


def _row(place: int, trial: Document, keys: Mapping[str, str]) -> tuple[str, ...]:
    value = "" if trial["value"] is None else f"{trial['value']:.4g}"
    value += "" if trial["spread"] is None else f" ± {trial['spread']:.2g}"
    status = f"{trial['status']}: {trial['reason']}" if trial["status"] == ranking.FAILED else trial["status"]
    return (str(place), value, *(trial["values"].get(key, "") for key in keys), status, ", ".join(trial["runs"]))


def _show_plan(prepared: Prepared, design: SweepDesign, as_json: bool) -> None:
    if as_json:
        drawn = design.assignments() if design.is_grid or prepared.platform.limits.remote else None
        output.document(
            {
                "dry_run": True,
                "sweep": {**design.document(), "assignments": [dict(each) for each in drawn] if drawn else None},
                "plan": plan_document(prepared.plan),
                "request": {"platform": prepared.request.platform, "body": prepared.request.body},
            }
        )
        return
    for line in _plan_lines(prepared, design):
        output.answer(line)
    if prepared.platform.limits.remote:
        output.answer("\nRequest")
        for line in prepared.request.body.rstrip().split("\n"):
            output.answer(f"  {line}".rstrip(), raw=True)


def _plan_lines(prepared: Prepared, design: SweepDesign) -> Iterator[str]:
    yield from output.plan(prepared.plan)
    how = "combinations of listed values" if design.is_grid else "values drawn from ranges"
    seeds = f", {len(design.seeds)} seeds each" if len(design.seeds) > 1 else ""
    yield f"  sweep     {design.trials} trials{seeds}: {how}"
    for variation in design.variations:
        yield f"            {variation.text}"
    yield f"            {design.direction} {design.objective}" + (", pruned by the median" if design.prune else "")


def _sweep_options() -> Sequence[SectionOption]:
    def option(*names: str, **attrs: Any) -> SectionOption:
        return SectionOption(list(names), section="Sweep", **attrs)

    count = click.IntRange(min=1)
    return [
        option("--vary", multiple=True, metavar="KEY=VALUES", help=f"What differs between trials: {variations.FORMS}."),
        option("--trials", type=count, metavar="N", help="Trials; all combinations of listed values when omitted."),
        option("--seeds", type=count, default=1, metavar="N", help="Seeds of each trial, from --seed on."),
        option(
            "--objective",
            default=variations.OBJECTIVE,
            metavar="METRIC",
            help=f"Tracked metric that ranks the trials, by its name in MLflow. [{variations.OBJECTIVE}]",
        ),
        option(
            "--direction",
            type=click.Choice([variations.MAXIMIZE, variations.MINIMIZE]),
            default=variations.MAXIMIZE,
            help="Which objective is better: the larger or the smaller. [maximize]",
        ),
        option("--prune", is_flag=True, help="End trials early that do worse than the median of those before."),
        option("--parallel", type=count, metavar="N", help="Trials at a time: one here, elsewhere all, when omitted."),
    ]


def _make_group() -> VerbGroup:
    group = VerbGroup(
        "sweep",
        help="gaitway sweep train takes what gaitway train takes. The same command continues a sweep that was ended.",
    )
    group.add_command(SweepCommand())
    shown = click.Command(
        "show",
        callback=_show,
        params=[click.Argument(["name"], metavar="NAME"), json_option()],
        help="Show a sweep's leaderboard, finished or not.",
    )
    group.add_command(shown)
    return group


sweep = _make_group()
"""The verb."""
