"""Keeping secrets out of texts: SAS signatures, tokens and passwords, by their form and by their very characters.

Standard library only. Where output leaves the program (terminal, log, ``result.json``) it passes :func:`scrub`.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

from .credentials import public_form

MASK = "***"
SHORTEST = 8
"""Shorter values of secret variables are not masked: they would blot out ordinary words [characters]."""

_URL_WITH_QUERY = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s?#'\"<>]*\?[^\s#'\"<>]+", re.IGNORECASE)
_PARAMETER = r"(?:sig|signature|(?:\w+_)?token|api_?key|(?:\w+_)?secret|password|pwd)"
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/@'\"<>]+@", re.IGNORECASE), rf"\1{MASK}@"),
    (re.compile(rf"(?<![\w-])({_PARAMETER})(=|%3D)[^\s&'\"<>;,]+", re.IGNORECASE), rf"\1\2{MASK}"),
    (re.compile(r"\b(AccountKey|SharedAccessSignature|SharedAccessKey)=[^\s;'\"]+", re.IGNORECASE), rf"\1={MASK}"),
    (re.compile(r"\b(Bearer|Basic|SharedKey)\s+[A-Za-z0-9._~+/:=-]{8,}", re.IGNORECASE), rf"\1 {MASK}"),
)
_SECRET_NAME = re.compile(
    r"(secret|password|passwd|token|_sas|connection_string|(access|account|api|storage|private|secret)_?key)$",
    re.IGNORECASE,
)


def names_a_secret(name: str) -> bool:
    """Whether a variable is called like one that holds a secret: ``AZURE_CLIENT_SECRET``, ``storage_account_key``."""
    return _SECRET_NAME.search(name) is not None


def scrub(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return ``text`` with everything masked that looks like a credential or is one of the environment's.

    Args:
        text: Any text. A URL's query is masked whole, unless its parameters are known to open nothing.
        environ: Where this process got its secrets from.
    """
    for value in sorted(set(secret_values(environ)), key=len, reverse=True):
        text = text.replace(value, MASK)
    text = _URL_WITH_QUERY.sub(_without_query, text)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def secret_values(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the secrets an environment holds: those named so, and those inside of its URLs."""
    for name, value in environ.items():
        if names_a_secret(name) and len(value) >= SHORTEST:
            yield value
        if "://" in value and public_form(value) != value:
            yield from _secrets_in_url(value)


class ScrubbingFormatter(logging.Formatter):
    """A log formatter whose lines hold no secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line, its traceback included, scrubbed."""
        return scrub(super().format(record))


def silence_http_loggers() -> None:
    """Stop HTTP libraries from logging request URLs, which may carry a SAS."""
    for name in ("httpx", "httpcore", "urllib3", "azure", "requests", "msal"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _without_query(found: re.Match[str]) -> str:
    url = found[0]
    address, _, _ = url.partition("?")
    return url if "?" in public_form(url) else f"{address}?{MASK}"


def _secrets_in_url(url: str) -> Iterator[str]:
    """Yield a URL's password and the long values of its query, as they are written and decoded."""
    try:
        parts = urlsplit(url)
        found = [parts.password or "", *re.findall(r"=([^&]+)", parts.query)]
        found += [value for _, value in parse_qsl(parts.query)]
    except ValueError:
        return
    yield from (form for value in found for form in (value, unquote(value)) if len(form) > 2 * SHORTEST)
