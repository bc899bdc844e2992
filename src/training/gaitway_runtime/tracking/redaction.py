"""Keeping secrets out of texts: SAS signatures, tokens and passwords in URLs and headers."""

from __future__ import annotations

import logging
import re
from urllib.parse import urlsplit, urlunsplit

MASK = "***"

_SECRET_PARAMETER = r"(?:sig|signature|(?:\w+_)?token|api_?key|(?:\w+_)?secret|password|pwd)"
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # a URL's query is dropped whole: a SAS tells permissions and expiry beside its signature
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s?#'\"<>]*)\?[^\s#'\"<>]+", re.IGNORECASE), rf"\1?{MASK}"),
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/@'\"<>]+@", re.IGNORECASE), rf"\1{MASK}@"),
    (re.compile(rf"(?<![\w-])({_SECRET_PARAMETER})(=|%3D)[^\s&'\"<>;,]+", re.IGNORECASE), rf"\1\2{MASK}"),
    (re.compile(r"\b(AccountKey|SharedAccessSignature|SharedAccessKey)=[^\s;'\"]+", re.IGNORECASE), rf"\1={MASK}"),
    (re.compile(r"\b(Bearer|Basic|SharedKey)\s+[A-Za-z0-9._~+/:=-]{8,}", re.IGNORECASE), rf"\1 {MASK}"),
)


def scrub(text: str) -> str:
    """Return ``text`` with everything masked that looks like a credential."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def without_secrets(uri: str) -> str:
    """Return a URI as it may be shown, recorded and compared: without user info, query and fragment."""
    try:
        parts = urlsplit(uri)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return scrub(uri)
    return urlunsplit((parts.scheme, host, parts.path, "", "")) if parts.scheme and host else scrub(uri)


def silence_http_loggers() -> None:
    """Stop HTTP libraries from logging request URLs, which may carry a SAS."""
    for name in ("httpx", "httpcore", "urllib3", "azure", "requests", "msal"):
        logging.getLogger(name).setLevel(logging.ERROR)
