"""What holds for every combination of sources, and for every secret."""

import copy
import dataclasses
import json
import logging
import pickle
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from gaitway_runtime.spec.settings import setting
from hypothesis import given, settings
from hypothesis import strategies as st

from gaitway.errors import GaitwayError
from gaitway.settings.resolve import candidates, choose, declared
from gaitway.settings.terraform import Outputs
from gaitway.settings.values import LAYERS, Origin, Secret, Setting, document

MANY = settings(max_examples=2000, deadline=None)


@dataclass(frozen=True, kw_only=True)
class Knobs:
    """One field of each type, each fillable by every source."""

    text: str = setting("t", "Text.", flags="--text", env=("TEXT", "TEXT_OLD"), terraform="text.value.name")
    count: int = setting(3, "Count.", flags="--count", env=("COUNT", "COUNT_OLD"), terraform="count.value", minimum=1)
    share: float | None = setting(None, "Share.", flags="--share", env="SHARE", terraform="share.value", maximum=1.0)
    switch: bool = setting(False, "Switch.", flags="--switch", env="SWITCH", terraform="switch.value")
    parts: tuple[str, ...] = setting((), "Parts.", flags="--parts", env="PARTS", terraform="parts.value")


KNOBS = declared([Knobs])
NOT_BLANK = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip)
RAW = NOT_BLANK | st.sampled_from(["1", "0", "-1", "7", "0.5", "true", "no", "none", "a,b", "99999999999"])


def parsed(key: str, raw: str) -> tuple[Any, bool]:
    """The value a raw text stands for, and whether it fits the field."""
    try:
        return KNOBS[key].parse(raw, "test"), True
    except GaitwayError:
        return raw, False


@MANY
@given(data=st.data(), key=st.sampled_from(sorted(KNOBS)))
def test_the_strongest_source_wins_in_any_combination(data: st.DataObject, key: str) -> None:
    item = KNOBS[key]
    layers: list[tuple[str, str]] = []
    cli: dict[str, str] = {}
    environ: dict[str, str] = {}
    values: dict[str, Any] = {}
    if data.draw(st.booleans(), "cli"):
        cli[key] = data.draw(RAW)
        layers.append(("cli", cli[key]))
    for variable in item.variables:
        if data.draw(st.booleans(), variable):
            environ[variable] = data.draw(RAW)
            layers.append(("env", environ[variable]))
    if data.draw(st.booleans(), "terraform"):
        raw = data.draw(RAW)
        values[key] = {"value": {"name": raw} if key == "text" else raw}
        layers.append(("terraform", raw))
    offers = candidates(item, cli, environ, Outputs(Path("iac"), values))
    expected = [*((layer, *parsed(key, raw)) for layer, raw in layers), ("default", item.default, True)]
    (layer, value, fits), *others = expected
    if not fits:
        with pytest.raises(GaitwayError) as caught:
            choose(item, offers)
        assert caught.value.source
        return
    found = choose(item, offers)
    assert (found.origin.layer, found.value) == (layer, value)
    assert [(origin.layer, shadow) for shadow, origin in found.shadowed] == [(name, raw) for name, raw, _ in others]
    order = [LAYERS.index(origin.layer) for origin in (found.origin, *(origin for _, origin in found.shadowed))]
    assert order == sorted(order)
    json.dumps(document({key: found}), allow_nan=False)


@dataclass(frozen=True)
class Holder:
    token: Secret
    more: dict[str, Secret]


@MANY
@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=8).map(lambda text: f"planted-{text}"))
def test_a_secret_prints_nowhere(text: str) -> None:
    secret = Secret(text)
    assert not [line for line in (*printed(secret), *refusals(secret)) if text in line]
    assert secret.reveal() == text


def printed(secret: Secret) -> list[str]:
    """Every ordinary way to a printed form."""
    holder = Holder(secret, {"token": secret})
    setting = Setting("token", secret, Origin("env", "TOKEN"), secret=True)
    record = logging.LogRecord("a", logging.INFO, "f", 1, "token %s of %r", (secret, holder), None)
    return [
        str(secret),
        repr(secret),
        f"{secret} {secret!r:>40} {holder}",
        str(dataclasses.asdict(holder)),
        str(copy.deepcopy(holder)),
        repr(vars(holder)),
        json.dumps(vars(holder), default=str),
        json.dumps(document({"token": setting})),
        f"{setting} {setting.shown}",
        record.getMessage(),
    ]


def refusals(secret: Secret) -> list[str]:
    """Tracebacks, with the locals of their frames, of those that would take its characters."""
    acts: list[Any] = [json.dumps, pickle.dumps, len, iter, lambda value: "".join([value]), lambda value: "x" + value]
    return [refusal(act, secret) for act in acts]


def refusal(act: Any, secret: Secret) -> str:
    try:
        act(secret)
    except TypeError as error:
        return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    raise AssertionError(f"{act} accepts a secret")


def test_secrets_compare_and_hash_by_their_text() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert not Secret("")
