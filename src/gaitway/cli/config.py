"""Verbs that show what a submission is made of: ``config``, ``config explain KEY`` and ``payload``."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import click

from ..all_settings import Chain, chains, entries, named, scopes
from ..errors import UsageError
from ..payload.archive import Payload, pack, to_document
from ..payload.select import select
from ..platforms.base import RunOptions, load, present
from ..settings.resolve import Candidate, resolve, terraform_folder
from ..settings.terraform import Outputs
from ..settings.values import LAYERS, plain
from . import output
from .command import VerbCommand, json_option, setting_options, typed

NOTHING = "—"


@click.pass_context
def _config(ctx: click.Context, /, words: tuple[str, ...], as_json: bool, **_: Any) -> int:
    """List every setting, or explain one."""
    cli, environ = typed(ctx), os.environ
    folder = terraform_folder(cli, environ)
    match words:
        case ():
            found, outputs = chains(entries(), cli, environ, folder, whole=False)
        case ("explain", word):
            found, outputs = chains(named(word), cli, environ, folder, whole=True)
        case ("explain",):
            raise UsageError("no setting is named", hint="gaitway config explain num_envs")
        case _:
            raise UsageError(f"unexpected '{' '.join(words)}'", allowed="explain KEY", hint="gaitway config --help")
    if as_json:
        output.document([_document(chain) for chain in found])
    elif words:
        for chain in found:
            _explain(chain, outputs)
    else:
        _list(found, outputs)
    return next((chain.used.error.exit_code for chain in found if chain.used.error), 0)


def _list(found: list[Chain], outputs: Outputs | None) -> None:
    output.table(
        ("SETTING", "OF", "VALUE", "FROM", "SHADOWS"),
        [
            (
                chain.entry.item.key,
                chain.entry.scope,
                chain.shown(chain.used) or NOTHING,
                _origin(chain.used),
                str(sum(offer.origin.layer != "default" for offer in chain.offers[1:]) or ""),
            )
            for chain in found
        ],
    )
    if outputs and outputs.finding:
        output.say(f"terraform: {outputs.finding.message}; {outputs.finding.fix}")
    output.say("next: gaitway config explain KEY")


def _explain(chain: Chain, outputs: Outputs | None) -> None:
    item, used = chain.entry.item, chain.used
    output.answer(f"{item.key} = {chain.shown(used) or NOTHING}      from {_origin(used)}")
    output.answer(f"  {item.info.help}  ({chain.entry.scope})")
    rows = [row for layer in LAYERS for row in _rows(chain, layer, outputs)]
    width = max(len(value) for _, value, _, _ in rows)
    for layer, value, mark, detail in rows:
        output.answer(f"  {layer:<11}{value:<{width}}  {mark:<9}  {detail}".rstrip())


def _rows(chain: Chain, layer: str, outputs: Outputs | None) -> list[tuple[str, str, str, str]]:
    """Return a layer's lines: what it offers, or how it could be asked."""
    offers = chain.of_layer(layer)
    if not offers:
        return [(layer, NOTHING, "", _unused(chain, layer, outputs))]
    return [(layer, chain.shown(offer) or NOTHING, _mark(chain, offer), _detail(offer)) for offer in offers]


def _mark(chain: Chain, offer: Candidate) -> str:
    if offer is chain.used:
        return "← used"
    return "" if offer.value is None else "shadowed"


def _unused(chain: Chain, layer: str, outputs: Outputs | None) -> str:
    info = chain.entry.item.info
    if layer == "terraform" and info.terraform and outputs:
        return outputs.finding.message if outputs.finding else f"{outputs.folder}, no output {info.terraform[0]}"
    ways = {"cli": info.flags[:1], "env": chain.entry.item.variables}
    return ", ".join(ways.get(layer, ()))


def _detail(offer: Candidate) -> str:
    return f"{offer.origin.detail}  not usable: {offer.error.message}" if offer.error else offer.origin.detail


def _origin(offer: Candidate) -> str:
    return f"{offer.origin} (not usable: {offer.error.message})" if offer.error else str(offer.origin)


def _document(chain: Chain) -> dict[str, Any]:
    item = chain.entry.item
    return {
        "key": item.key,
        "of": chain.entry.scope,
        "value": plain(chain.used.value, item.info.secret),
        "origin": str(chain.used.origin),
        "help": item.info.help,
        "flags": list(item.info.flags),
        "variables": list(item.variables),
        "terraform": list(item.info.terraform),
        "chain": [
            {
                "layer": offer.origin.layer,
                "detail": offer.origin.detail,
                "value": plain(offer.value, item.info.secret),
                "used": offer is chain.used,
                "error": offer.error.message if offer.error else None,
            }
            for offer in chain.offers
        ],
    }


@click.pass_context
def _payload(ctx: click.Context, /, as_json: bool, **_: Any) -> None:
    """Show what would be shipped."""
    settings = resolve([RunOptions], typed(ctx), environ=os.environ, terraform_dir=None)
    training_path = settings["training_path"]
    selected = select(training_path.value, settings["with_paths"].value, named=training_path.origin.layer != "default")
    archive = _archive_size(selected)
    verdicts = [_verdict(name, archive) for name in present()]
    if as_json:
        output.document({**to_document(selected), "archive_size": archive, "platforms": verdicts})
        return
    output.table(("FILE", "SIZE"), [(file.path, output.file_size(file.size)) for file in selected.files])
    output.answer()
    for line in output.payload_summary(selected, listed=True):
        output.answer(line)
    output.answer(f"archive {output.file_size(archive)}")
    for verdict in verdicts:
        output.answer(f"  {verdict['platform']:<8}  {verdict['verdict']}")
    for left in selected.left_out:
        output.say(f"left out: {left.path}  ({left.reason})")
    for note in selected.notes:
        output.say(f"note: {note}")


def _archive_size(payload: Payload) -> int:
    with tempfile.TemporaryFile() as archive:
        pack(payload, archive)
        return archive.tell()


def _verdict(name: str, size: int) -> dict[str, Any]:
    limit = load(name).limits.inline_bytes
    if limit is None:
        verdict = "fits: no limit"
    elif size <= limit:
        verdict = f"fits: {output.file_size(size)} of {output.file_size(limit)} inline"
    else:
        verdict = f"over the {output.file_size(limit)} that travel inline: it goes as an upload"
    return {"platform": name, "limit": limit, "fits": limit is None or size <= limit, "verdict": verdict}


config = VerbCommand(
    "config",
    brief=True,
    callback=_config,
    params=[
        click.Argument(["words"], nargs=-1, metavar="[explain KEY]"),
        *setting_options({"Settings": list(scopes().values())}),
        json_option(),
    ],
    help="KEY is a setting's key, its flag without dashes, or its environment variable. Flags given along take part.",
)
payload = VerbCommand(
    "payload",
    callback=_payload,
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
