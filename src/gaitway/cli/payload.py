"""``gaitway payload``."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import click

from ..options import RunOptions
from ..payload.manifest import Payload, to_document
from ..payload.pack import pack
from ..payload.select import select
from ..platforms.base import load, present
from ..settings.resolve import resolve
from . import render, views
from .command import VerbCommand, json_option
from .options import setting_options, typed

SETTINGS = ("training_path", "with_paths")
"""Settings that choose the files."""


@click.pass_context
def run(ctx: click.Context, /, as_json: bool, **_: Any) -> None:
    """Show what would be shipped."""
    settings = resolve([RunOptions], typed(ctx), environ=os.environ, terraform_dir=None)
    training_path = settings["training_path"]
    payload = select(training_path.value, settings["with_paths"].value, named=training_path.origin.layer != "default")
    archive = _archive_size(payload)
    verdicts = [_verdict(name, archive) for name in present()]
    if as_json:
        render.document({**to_document(payload), "archive_size": archive, "platforms": verdicts})
        return
    render.table(("FILE", "SIZE"), [(file.path, render.file_size(file.size)) for file in payload.files])
    render.answer()
    for line in views.payload_summary(payload):
        render.answer(line)
    render.answer(f"archive {render.file_size(archive)}")
    for verdict in verdicts:
        render.answer(f"  {verdict['platform']:<8}  {verdict['verdict']}")
    for left in payload.left_out:
        render.say(f"left out: {left.path}  ({left.reason})")
    for note in payload.notes:
        render.say(f"note: {note}")


def _archive_size(payload: Payload) -> int:
    with tempfile.TemporaryFile() as archive:
        pack(payload, archive)
        return archive.tell()


def _verdict(name: str, size: int) -> dict[str, Any]:
    limit = load(name).limits.inline_bytes
    if limit is None:
        verdict = "fits: no limit"
    elif size <= limit:
        verdict = f"fits: {render.file_size(size)} of {render.file_size(limit)} inline"
    else:
        verdict = f"over the {render.file_size(limit)} that travel inline: it goes as an upload"
    return {"platform": name, "limit": limit, "fits": limit is None or size <= limit, "verdict": verdict}


command = VerbCommand(
    "payload",
    callback=run,
    params=[
        *(
            option
            for option in setting_options({"Core": [RunOptions]})
            if option.item.key not in ("platform", "run_name")
        ),
        json_option(),
    ],
    help="Files come from git (tracked, and new ones that are not ignored) less .gaitwayignore; secrets never go.",
)
