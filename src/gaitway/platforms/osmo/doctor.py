"""Checks of ``gaitway doctor --on osmo``: command, service, pool, storage. Read-only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import GaitwayError
from ...findings import Finding
from ...settings.values import Setting
from . import client
from .capacity import default_pool, read_nodes, read_pools, read_service
from .placement import check_pool


def check_osmo(settings: Mapping[str, Setting]) -> list[Finding]:
    """Return the findings; a check that needs an earlier one to pass is left out."""
    try:
        client.executable()
    except GaitwayError as error:
        return [_bad("osmo", error)]
    try:
        version = client.json_of("version")
    except GaitwayError as error:
        return [_bad("osmo", error)]
    found = [Finding("osmo", True, f"command {_text(version.get('client'))}")]
    if not version.get("service"):
        fix = "osmo login URL; is the address right and the network up?"
        return [*found, Finding("osmo service", False, "it does not answer, or there is no login", fix)]
    found.append(Finding("osmo service", True, f"release {_text(version['service'])}"))
    try:
        check_pool(read_pools(), _value(settings, "pool"), 0)
        found.append(Finding("osmo pool", True, _value(settings, "pool") or "your profile's default"))
    except GaitwayError as error:
        found.append(_bad("osmo pool", error))
    found += _capacity(_value(settings, "pool"))
    uri = _value(settings, "storage_uri")
    if uri:
        found.append(_storage(uri))
    found += _service()
    return found


def _capacity(pool: str | None) -> list[Finding]:
    """Return how many GPUs the pool has on a node, and how many are free."""
    try:
        pools = read_pools()
        name = pool or default_pool(pools)
        nodes = read_nodes(name) if name else []
    except GaitwayError as error:
        return [_bad("osmo nodes", error)]
    if not nodes:
        return []
    most, free = max(node.gpus for node in nodes), sum(node.free for node in nodes)
    return [Finding("osmo nodes", True, f"{len(nodes)} in pool {name}, at most {most} GPUs on one, {free} GPUs free")]


def _service() -> list[Finding]:
    """Return whether OSMO starts a preempted task again and keeps outputs, where the user may know."""
    try:
        facts = read_service()
    except GaitwayError as error:
        return [_bad("osmo retries", error)]
    found = []
    if facts.max_retry_per_task is not None:
        often = facts.max_retry_per_task
        told = (
            f"a preempted task is started again up to {often} times"
            if often
            else "a preempted task is not started again"
        )
        fix = "set max_retry_per_task in the workflow configuration; deploy/002-setup sets it to 10"
        found.append(Finding("osmo retries", often > 0, told, fix))
    if facts.keeps_outputs is False:
        fix = "name one under workflow_data in the workflow configuration; deploy/002-setup does"
        found.append(Finding("osmo results", False, "OSMO has no store of its own: it starts no task", fix))
    return found


def _storage(uri: str) -> Finding:
    try:
        answer = client.output_of("data", "check", uri, "--access-type", "WRITE")
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
