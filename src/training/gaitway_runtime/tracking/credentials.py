"""How an address with a credential in it reaches a job without being written down.

A SAS signature or a password is part of the URL it opens. The job document, the plan and every record hold the
URL's public form; the whole URL travels beside them, in one environment variable of the runtime's own process.

Standard library only: the user's side splits, the runtime restores.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

SECRET_URI = "GAITWAY_CHECKPOINT_SECRET_URI"
"""Environment variable that hands the runtime the whole checkpoint URL, beside ``CHECKPOINT_URI`` in a container."""

HARMLESS_PARAMETERS = frozenset({"download", "raw", "ref", "inline", "version", "versionid", "snapshot", "wsid", "tid"})
"""Query parameters that choose what is shown and open nothing; a query of these alone stays part of the address."""

_USER = re.compile(r"^([a-z][a-z0-9+.-]*://)[^/?#]*@", re.IGNORECASE)


def public_form(uri: str) -> str:
    """Return an address without what may be a credential: user, password, fragment, and any unknown query."""
    address, _, query = uri.partition("#")[0].partition("?") if _has_query(uri) else (uri, "", "")
    address = _USER.sub(r"\1", address)
    names = {name.lower() for name, _ in parse_qsl(query, keep_blank_values=True)}
    return f"{address}?{query}" if query and names and names <= HARMLESS_PARAMETERS else address


def restore(uri: str, environ: Mapping[str, str]) -> str:
    """Return the whole address of a public one, if the environment holds it; any other address stays as it is."""
    known = (environ.get(name, "").strip() for name in (SECRET_URI, "CHECKPOINT_URI"))
    return next((whole for whole in known if whole and public_form(whole) == uri), uri)


def _has_query(uri: str) -> bool:
    """Whether there is a query or a fragment. ``#`` alone is one only in a URL: a file may be called so."""
    return "?" in uri or ("#" in uri and "://" in uri)
