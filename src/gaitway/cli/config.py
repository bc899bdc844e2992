"""``gaitway config`` and ``gaitway config explain KEY``."""

from __future__ import annotations

import os
from typing import Any

import click

from ..errors import UsageError
from ..settings.listing import Chain, chains, entries, named, scopes
from ..settings.resolve import terraform_folder
from ..settings.sources import Candidate
from ..settings.terraform import Outputs
from ..settings.values import LAYERS, plain
from . import render
from .command import VerbCommand, json_option
from .options import setting_options, typed

NOTHING = "—"


@click.pass_context
def run(ctx: click.Context, /, words: tuple[str, ...], as_json: bool, **_: Any) -> int:
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
        render.document([_document(chain) for chain in found])
    elif words:
        for chain in found:
            _explain(chain, outputs)
    else:
        _list(found, outputs)
    return next((chain.used.error.exit_code for chain in found if chain.used.error), 0)


def _list(found: list[Chain], outputs: Outputs | None) -> None:
    render.table(
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
        render.say(f"terraform: {outputs.finding.message}; {outputs.finding.fix}")
    render.say("next: gaitway config explain KEY")


def _explain(chain: Chain, outputs: Outputs | None) -> None:
    item, used = chain.entry.item, chain.used
    render.answer(f"{item.key} = {chain.shown(used) or NOTHING}      from {_origin(used)}")
    render.answer(f"  {item.info.help}  ({chain.entry.scope})")
    rows = [row for layer in LAYERS for row in _rows(chain, layer, outputs)]
    width = max(len(value) for _, value, _, _ in rows)
    for layer, value, mark, detail in rows:
        render.answer(f"  {layer:<11}{value:<{width}}  {mark:<9}  {detail}".rstrip())


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
    ways = {"cli": info.flags[:1], "env": info.env}
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
        "variables": list(item.info.env),
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


command = VerbCommand(
    "config",
    callback=run,
    params=[
        click.Argument(["words"], nargs=-1, metavar="[explain KEY]"),
        *setting_options({"Settings": list(scopes().values())}),
        json_option(),
    ],
    help="KEY is a setting's key, its flag without dashes, or its environment variable. Flags given along take part.",
)
