"""``gaitway export``."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from gaitway_runtime.spec.export_targets import EXPORT_TARGETS
from gaitway_runtime.spec.job import InferJob
from gaitway_runtime.spec.settings import flag_words

from ..checkpoints import references
from ..exporting import export_checkpoint
from ..ledger import Ledger
from ..planning import place_flags_of
from ..platforms.base import load
from ..settings.resolve import candidates, choose, declared
from ..settings.values import Setting, origins_named
from . import output
from .command import SectionOption, SettingOption, VerbCommand, json_option, typed

SETTINGS = {
    key: item
    for key, item in declared([InferJob]).items()
    if key in ("format", "contract", "activation", "checkpoint_sha256")
}
"""Settings of a job that mean the same here."""


@click.pass_context
def _export(
    ctx: click.Context,
    /,
    checkpoint: str,
    folder: str,
    targets: tuple[str, ...],
    network: str | None,
    as_json: bool,
    **_: Any,
) -> None:
    """Export a checkpoint; nothing is written unless every file computes what the checkpoint does."""
    cli, ledger = typed(ctx), Ledger.at_home(os.environ)
    settings = {key: choose(item, candidates(item, cli, os.environ, None)) for key, item in SETTINGS.items()}
    said = {key: setting.value for key, setting in settings.items()}
    with origins_named(settings):
        made = export_checkpoint(
            references.resolve(checkpoint, ledger, source_of=load),
            Path(folder),
            format=str(said["format"]),
            activation=said["activation"],
            sha256=said["checkpoint_sha256"],
            contract_file=Path(said["contract"]).expanduser() if said["contract"] else None,
            targets=tuple(name.strip() for text in targets for name in text.split(",") if name.strip()),
            network_file=Path(network).expanduser() if network else None,
            say=output.say,
        )
    document = made.as_dict()
    place = place_flags_of(checkpoint.partition("@")[0], ledger)
    words = ("gaitway", "infer", "--checkpoint-uri", checkpoint, "--task", document["task"] or "TASK", *place)
    document["next"] = shlex.join((*words, *_typed_flags(settings.values())))
    if as_json:
        output.document(document)
    else:
        _show(document)
    output.say_command("next:", document["next"])


def _typed_flags(settings: Iterable[Setting]) -> Iterator[str]:
    """Yield the flags that were typed; what the environment says, it says to the next command too."""
    for setting in settings:
        if setting.origin.layer == "cli":
            yield from flag_words(setting.origin.detail, setting.value)


def _show(document: Mapping[str, Any]) -> None:
    network, parity = document["network"], document["parity"]
    sizes, names = "-".join(map(str, network["layer_sizes"])), ", ".join(dict.fromkeys(network["activations"]))
    ends = f"{document['observation_size']} observations, {document['action_size']} actions"
    output.answer(f"policy      {network['kind']}: {ends}; layers {sizes}, {names}")
    output.answer(f"            activation from: {network['activation_source']}")
    output.answer(f"            normaliser: {network['normalizer'] or 'none in the checkpoint'}")
    output.answer(f"            written by: {document['library']}")
    for assumption in document["assumptions"]:
        output.answer(f"            assumed: {assumption}")
    for name, path in document["files"].items():
        output.answer(f"{name:<12}{path}")
    for name, path in document["deploy"].items():
        output.answer(f"deploy      {name}: {path}")
    worst = f"{parity['max_abs_error']:.2g}"
    output.answer(f"parity      largest difference {worst} on {parity['observations']} observations")


export = VerbCommand(
    "export",
    callback=_export,
    params=[
        click.Argument(["checkpoint"]),
        SectionOption(
            ["folder", "--output", "-o"],
            default="exported",
            metavar="DIR",
            section="Core",
            show_default=True,
            help="Folder for the exported files and contract.json.",
        ),
        SectionOption(
            ["targets", "--for"],
            multiple=True,
            metavar="TARGET",
            section="Core",
            help="Deployer to write files for, in deploy/TARGET; may be repeated. One of: "
            + ", ".join(EXPORT_TARGETS.names())
            + ".",
        ),
        SectionOption(
            ["network", "--network"],
            metavar="FILE",
            section="Core",
            help="Description of a network that no known library wrote; by default network.yaml beside the checkpoint.",
        ),
        *(SettingOption(item, "Core") for item in SETTINGS.values()),
        json_option(),
    ],
    help="CHECKPOINT is a file of rsl_rl, skrl, rl_games or Stable-Baselines3, or of any network that a network.yaml "
    "describes, or an address of one: runs:/, models:/, https://. No task, simulator or tracking server is needed for "
    "a file. Each export holds the normaliser, the output clamp and the policy contract, and is compared with the "
    "checkpoint before it appears.",
)
