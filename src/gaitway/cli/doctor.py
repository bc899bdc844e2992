"""``gaitway doctor``."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import click
from gaitway_runtime.job import AzureContext
from gaitway_runtime.tracking.store import default_home

from ..doctor.examine import examine, missing
from ..doctor.surroundings import look_around
from ..errors import ConfigError
from ..findings import Finding
from ..options import RunOptions
from ..settings.fields import Sources
from ..settings.resolve import resolve, terraform_folder
from . import render
from .command import VerbCommand, json_option
from .options import setting_options, typed


@click.pass_context
def run(ctx: click.Context, /, as_json: bool, **_: Any) -> int:
    """Look at everything a job on the platform will need."""
    cli, environ = typed(ctx), os.environ
    platform = resolve([RunOptions], cli, environ=environ, terraform_dir=None)["platform"].value
    folder = terraform_folder(cli, environ)
    findings = []
    for finding in examine(look_around(platform, default_home(environ), cli, environ, folder)):
        findings.append(finding)
        if not as_json:
            _show(finding)
    lacking = missing(findings)
    if as_json:
        shown = [dataclasses.asdict(finding) for finding in findings]
        render.document({"platform": platform, "ok": not lacking, "findings": shown})
    else:
        _conclude(platform, lacking)
    return ConfigError.exit_code if lacking else 0


def _show(finding: Finding) -> None:
    word = "ok" if finding.ok else "MISSING" if finding.required else "note"
    render.answer(f"{word:<8}{finding.check:<22}{finding.message}")
    if not finding.ok and finding.fix:
        render.answer(f"{'':<30}fix: {finding.fix}")


def _conclude(platform: str, lacking: Sequence[Finding]) -> None:
    if lacking:
        render.say(f"{platform} lacks: {', '.join(finding.check for finding in lacking)}")
    else:
        render.say(f"{platform} has what it needs")


def _options() -> list[click.Parameter]:
    found = setting_options({"Platform": [RunOptions, Sources], "Azure": [AzureContext]})
    return [option for option in found if option.item.cls is not RunOptions or option.item.key == "platform"]


command = VerbCommand("doctor", callback=run, params=[*_options(), json_option()])
