"""``gaitway export``."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from gaitway_runtime.job import Job

from ..checkpoints import references
from ..errors import ConfigError
from ..ledger import Ledger
from ..settings.fields import declared
from ..settings.resolve import choose
from ..settings.sources import candidates
from . import render
from .command import VerbCommand, json_option
from .options import SectionOption, SettingOption, typed

if TYPE_CHECKING:
    from gaitway_runtime.policies.standalone import StandaloneExport

SETTINGS = {key: item for key, item in declared([Job]).items() if key in ("activation", "checkpoint_sha256")}
"""What a job may also say of a checkpoint, and means the same here."""


@click.pass_context
def run(ctx: click.Context, /, checkpoint: str, output: str, as_json: bool, **_: Any) -> None:
    """Export a checkpoint, proven or not at all."""
    cli = typed(ctx)
    said = {key: choose(item, candidates(item, cli, os.environ, None)).value for key, item in SETTINGS.items()}
    made = _export(references.resolve(checkpoint, Ledger.at_home(os.environ)), Path(output), said)
    document = made.as_dict()
    document["next"] = f"gaitway infer --checkpoint-uri {checkpoint} --task {document['task'] or 'TASK'}"
    if as_json:
        render.document(document)
    else:
        _show(document)
    render.say(f"next: {document['next']}")


def _export(checkpoint: str, output: Path, said: Mapping[str, str | None]) -> StandaloneExport:
    """Do the work; what it needs is heavy and is imported here."""
    try:
        from gaitway_runtime.policies.standalone import export_checkpoint
        from gaitway_runtime.tracking.fetch import fetch

        with tempfile.TemporaryDirectory(prefix="gaitway-") as folder:
            fetched = fetch(checkpoint, Path(folder), expected_sha256=said["checkpoint_sha256"])
            if fetched.note:
                render.say(fetched.note)
            return export_checkpoint(fetched.path, output, activation=said["activation"])
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"export needs a package that is not installed: {error.name}", hint="pip install 'gaitway[local]'"
        ) from None


def _show(document: Mapping[str, Any]) -> None:
    network, parity = document["network"], document["parity"]
    sizes, names = "-".join(map(str, network["layer_sizes"])), ", ".join(dict.fromkeys(network["activations"]))
    ends = f"{document['observation_size']} observations, {document['action_size']} actions"
    render.answer(f"policy      {network['kind']}: {ends}; layers {sizes}, {names}")
    render.answer(f"            activation from: {network['activation_source']}")
    render.answer(f"            normaliser: {network['normalizer'] or 'none in the checkpoint'}")
    render.answer(f"            written by: {document['library']}")
    for name, path in document["files"].items():
        render.answer(f"{name:<12}{path}")
    worst = f"{parity['max_abs_error']:.2g}"
    render.answer(f"parity      largest difference {worst} on {parity['observations']} observations")


command = VerbCommand(
    "export",
    callback=run,
    params=[
        click.Argument(["checkpoint"]),
        SectionOption(
            ["output", "--output", "-o"],
            default="exported",
            metavar="DIR",
            section="Core",
            show_default=True,
            help="Folder for policy.onnx, policy.pt and contract.json.",
        ),
        *(SettingOption(item, "Core") for item in SETTINGS.values()),
        json_option(),
    ],
    help="CHECKPOINT is a file of rsl_rl 2.x to 5.x or skrl 1.4 and 2.x, or an address of one: runs:/, models:/, "
    "https://. No task, simulator or tracking server is needed for a file. Both exports hold the normaliser, the "
    "output clamp and the policy contract, and are compared with the checkpoint before they appear.",
)
