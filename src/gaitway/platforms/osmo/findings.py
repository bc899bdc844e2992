"""What ``gaitway doctor --on osmo`` looks at. Read-only; nothing here raises for what it finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import GaitwayError
from ...findings import Finding
from ...settings.values import Setting
from . import client
from .pools import check_pool


def look(settings: Mapping[str, Setting]) -> list[Finding]:
    """Return the findings, each later one only if the earlier ones let us ask."""
    try:
        client.executable()
    except GaitwayError as error:
        return [_bad("osmo", error)]
    try:
        version = client.ask("version")
    except GaitwayError as error:
        return [_bad("osmo", error)]
    found = [Finding("osmo", True, f"command {_text(version.get('client'))}")]
    if not version.get("service"):
        fix = "osmo login URL; is the address right and the network up?"
        return [*found, Finding("osmo service", False, "it does not answer, or there is no login", fix)]
    found.append(Finding("osmo service", True, f"release {_text(version['service'])}"))
    try:
        check_pool(_value(settings, "pool"), 0)
        found.append(Finding("osmo pool", True, _value(settings, "pool") or "your profile's default"))
    except GaitwayError as error:
        found.append(_bad("osmo pool", error))
    uri = _value(settings, "storage_uri")
    if uri:
        found.append(_storage(uri))
    return found


def _storage(uri: str) -> Finding:
    try:
        answer = client.run("data", "check", uri, "--access-type", "WRITE")
    except GaitwayError as error:
        return _bad("osmo storage", error)
    if '"pass"' in answer:
        return Finding("osmo storage", True, f"{uri} may be written")
    return Finding("osmo storage", False, client.shorten(f"{uri}: {answer}"), "osmo credential set --help")


def _bad(check: str, error: GaitwayError) -> Finding:
    return Finding(check, False, error.message, error.hint or "")


def _text(version: Any) -> str:
    return ".".join(str((version or {}).get(part, "?")) for part in ("major", "minor", "revision"))


def _value(settings: Mapping[str, Setting], key: str) -> Any:
    return settings[key].value if key in settings else None
