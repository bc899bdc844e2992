"""Secrets in texts: SAS signatures, tokens and passwords, recognised by their form and by the environment's values.

An address is written down in its :func:`public_form`; the runtime gets the whole one back with :func:`restore`.
Where other text leaves the program (terminal, log, ``result.json``, error), it passes :func:`scrub`.
Standard library only.
"""

from __future__ import annotations

import io
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import BinaryIO, TextIO
from urllib.parse import parse_qsl, unquote, urlsplit

MASK = "***"
SHORTEST = 8
"""Shorter values of secret variables are not masked: they would hide ordinary words [characters]."""
LONGEST_LINE = 300
"""Longest text of :func:`one_line` [characters]."""

SECRET_URI = "GAITWAY_CHECKPOINT_SECRET_URI"
"""Environment variable that holds the whole checkpoint address for the runtime, beside ``CHECKPOINT_URI``."""

HARMLESS_PARAMETERS = frozenset({"download", "raw", "ref", "inline", "version", "versionid", "snapshot", "wsid", "tid"})
"""Query parameters that are no credentials; a query of these alone stays part of the address."""

_USER = re.compile(r"^([a-z][a-z0-9+.-]*://)[^/?#]*@", re.IGNORECASE)
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


def names_a_secret(name: str) -> bool:
    """Whether a variable has the name of a secret: ``AZURE_CLIENT_SECRET``, ``storage_account_key``."""
    return _SECRET_NAME.search(name) is not None


def secret_values(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the secrets of an environment: variables with the name of a secret, and credentials inside of URLs."""
    for name, value in environ.items():
        if names_a_secret(name) and len(value) >= SHORTEST:
            yield value
        if "://" in value and public_form(value) != value:
            yield from _secrets_in_url(value)


def scrub(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return ``text`` with everything masked that looks like a credential or is one of the environment's.

    Args:
        text: Any text. A URL's query is masked whole, unless all of its parameters are harmless.
        environ: The environment whose secrets are known.
    """
    for value in sorted(set(secret_values(environ)), key=len, reverse=True):
        text = text.replace(value, MASK)
    text = _URL_WITH_QUERY.sub(_without_query, text)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def one_line(error: BaseException | str) -> str:
    """Return an error's text as one scrubbed line of at most :data:`LONGEST_LINE` characters."""
    text = " ".join(scrub(str(error)).split()) or type(error).__name__
    return text if len(text) <= LONGEST_LINE else text[: LONGEST_LINE - 3] + "..."


class ScrubbingFormatter(logging.Formatter):
    """A log formatter whose lines contain no secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line, its traceback included, scrubbed."""
        return scrub(super().format(record))


class ScrubbingStream(io.TextIOBase):
    """A text stream whose lines hold no secrets: what a user's own code prints as well.

    A line is written when it is whole, or when the stream is flushed.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._rest = ""

    def write(self, text: str) -> int:
        """Write a text, as far as its lines are whole."""
        *whole, self._rest = (self._rest + text).split("\n")
        if whole:
            self._stream.write(scrub("\n".join(whole)) + "\n")
        return len(text)

    def flush(self) -> None:
        """Write what there is of a line."""
        if self._rest:
            self._stream.write(scrub(self._rest))
            self._rest = ""
        self._stream.flush()

    def fileno(self) -> int:
        """Return the descriptor of the stream behind it."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Whether the stream behind it is a terminal."""
        return self._stream.isatty()

    def writable(self) -> bool:
        """Whether it can be written: always."""
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]  # the base class has None there
        """The encoding of the stream behind it."""
        return self._stream.encoding

    @property
    def buffer(self) -> BinaryIO:
        """The binary stream behind it; what is written there is not looked at."""
        return self._stream.buffer


def silence_http_loggers() -> None:
    """Stop HTTP libraries from logging request URLs, which may contain a SAS."""
    for name in ("httpx", "httpcore", "urllib3", "azure", "requests", "msal"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _has_query(uri: str) -> bool:
    """Whether there is a query or a fragment. ``#`` alone starts one only in a URL: file names may contain it."""
    return "?" in uri or ("#" in uri and "://" in uri)


def _without_query(found: re.Match[str]) -> str:
    url = found[0]
    address, _, _ = url.partition("?")
    return url if "?" in public_form(url) else f"{address}?{MASK}"


def _secrets_in_url(url: str) -> Iterator[str]:
    """Yield a URL's password and the long values of its query, both encoded and decoded."""
    try:
        parts = urlsplit(url)
        found = [parts.password or "", *re.findall(r"=([^&]+)", parts.query)]
        found += [value for _, value in parse_qsl(parts.query)]
    except ValueError:
        return
    yield from (form for value in found for form in (value, unquote(value)) if len(form) > 2 * SHORTEST)


def log_to_output(prefix: str = "", level: int = logging.INFO) -> None:
    """Let the runtime's log go to standard output, which is read while the job runs, also when it goes to a file.

    Args:
        prefix: Before each line.
        level: Least level of what is shown.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True)
    handler = logging.StreamHandler(sys.stdout)
    # The form that tools and documents grep for: "INFO | Found final model: ...".
    handler.setFormatter(ScrubbingFormatter(f"{prefix}%(levelname)s | %(message)s"))
    logger = logging.getLogger("gaitway_runtime")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False


def scrub_output() -> None:
    """Let nothing that this process prints hold a secret, a user's own code included."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    sys.stdout, sys.stderr = ScrubbingStream(sys.stdout), ScrubbingStream(sys.stderr)
