"""Reading a file over HTTP(S): ranges, entity tags, redirects by hand, and no secret in any message."""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from ..spec.errors import ConfigError, PlatformError, UsageError
from ..spec.registry import ForeignError, call_foreign
from ..spec.secrets import one_line, public_form, silence_http_loggers
from .mlflow_client import seconds_of
from .streams import Changed, MissingFile, Stream, StreamLimits, Transient

if TYPE_CHECKING:
    import httpx

_PASSING = frozenset((408, 425, 429, 500, 502, 503, 504))
_CHANGED = frozenset((412, 416))
_REDIRECT = frozenset((301, 302, 303, 307, 308))

T = TypeVar("T")


class HttpSource:
    """A file behind a URL.

    Args:
        url: The whole URL, with whatever secret is in it.
        limits: Bounds.
        headers: Makes the headers for the URL's own host, credentials included; no other host gets them.
        verify: Whether to check the server's certificate, or the file of authorities to check it against.
    """

    def __init__(
        self,
        url: str,
        limits: StreamLimits,
        *,
        headers: Callable[[], Mapping[str, str]] = dict,
        verify: bool | str = True,
    ) -> None:
        self.url = url
        self.shown = public_form(url)
        self._limits = limits
        self._headers = headers
        self._verify = verify

    @contextmanager
    def open(self, offset: int, version: str | None) -> Iterator[Stream]:
        """See :class:`~.base.Source`."""
        wanted = {"Accept-Encoding": "identity"}
        if offset and version:
            # without an entity tag nothing proves that the rest belongs to the beginning: then from the start again
            wanted |= {"Range": f"bytes={offset}-", "If-Match": version}
        with self.answer(wanted) as response:
            self._check(response)
            yield self._stream(response, offset)

    def probe(self) -> Mapping[str, str] | None:
        """Return the headers that the file is answered with, or None if there is none.

        Raises:
            Transient: There is no answer.
            GaitwayError: The file may not be read.
        """
        with self.answer({"Range": "bytes=0-0"}) as response:
            if response.status_code == 404:
                return None
            if response.status_code != 416:  # an empty file has no first byte
                self._check(response)
            return dict(response.headers)

    def read(self, longest: int) -> bytes:
        """Return a short document whole.

        Raises:
            Transient: There is no answer.
            PlatformError: It is longer than ``longest`` bytes.
            GaitwayError: It may not be read.
        """
        content = b""
        deadline = time.monotonic() + self._limits.window
        with self.open(0, None) as stream:
            for chunk in stream.chunks:
                content += chunk
                if time.monotonic() > deadline:
                    raise Transient(f"no whole answer within {self._limits.window:g} s")
                if len(content) > longest:
                    raise PlatformError("the server's answer is too long", source=self.shown)
        return content

    @contextmanager
    def answer(self, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """Request the URL and yield the answer of the last redirect, unread, whatever its status.

        Raises:
            Transient: There is no answer.
            GaitwayError: The URL or a redirect cannot be followed.
        """
        import httpx

        silence_http_loggers()
        try:
            with httpx.Client(timeout=httpx.Timeout(self._limits.idle), verify=_trust(self._verify)) as client:
                response = _within(2 * self._limits.idle, lambda: self._follow(client, headers))
                try:
                    yield response
                finally:
                    response.close()
        except httpx.TransportError as error:
            raise Transient(f"{type(error).__name__}: {one_line(error)}") from None
        except (httpx.InvalidURL, httpx.HTTPError, UnicodeError, ValueError) as error:
            raise UsageError(f"the URL cannot be requested: {one_line(error)}", source=self.shown) from None

    def _follow(self, client: httpx.Client, headers: Mapping[str, str]) -> httpx.Response:
        import httpx

        url = origin = httpx.URL(self.url)
        for _ in range(self._limits.redirects + 1):
            ours = self._headers() if _same_host(url, origin) else {}
            response = client.send(client.build_request("GET", url, headers={**headers, **ours}), stream=True)
            if response.status_code not in _REDIRECT:
                return response
            response.close()
            url = self._redirected(url, origin, response.headers.get("location", ""))
        raise PlatformError(f"more than {self._limits.redirects} redirects", source=self.shown)

    def _redirected(self, url: httpx.URL, origin: httpx.URL, location: str) -> httpx.URL:
        target = url.join(location)
        if not _same_host(target, origin):
            target = target.copy_with(username="", password="")
        stays_local = origin.scheme == "http" and is_loopback(origin.host) and is_loopback(target.host)
        if not target.host or not (target.scheme == "https" or (target.scheme == "http" and stays_local)):
            raise PlatformError(
                "a redirect leads to an address that is not https", source=self.shown, allowed=public_form(str(target))
            )
        return target

    def _check(self, response: httpx.Response) -> None:
        status = response.status_code
        if status in (200, 206):
            return
        if status in _CHANGED:
            raise Changed
        if status in _PASSING:
            raise Transient(f"HTTP {status}", seconds_of(response.headers.get("retry-after", "")))
        if status in (401, 403):
            raise ConfigError(
                f"reading this checkpoint is not allowed: HTTP {status}",
                source=self.shown,
                hint="check the URL's signature and its expiry, or your identity's role on the storage",
            )
        if status in (404, 410):
            raise MissingFile(f"there is no checkpoint at this URL: HTTP {status}", source=self.shown)
        raise PlatformError(f"the server answers HTTP {status}", source=self.shown)

    def _stream(self, response: httpx.Response, offset: int) -> Stream:
        headers = response.headers
        if headers.get("content-encoding", "identity") != "identity":
            raise PlatformError("the server compresses although asked not to", source=self.shown)
        start, total = 0, _whole_number(headers.get("content-length", ""))
        if response.status_code == 206:
            found = re.fullmatch(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", headers.get("content-range", ""))
            if not found or not offset:
                raise PlatformError("the server answers with a range that was not asked for", source=self.shown)
            start, total = int(found[1]), _whole_number(found[2])
        tag = headers.get("etag", "")
        return Stream(response.iter_raw(), start, total, tag if tag and not tag.startswith("W/") else None)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its own name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _trust(verify: bool | str) -> ssl.SSLContext | bool:
    """Return what httpx is to trust; a bundle that is named for the other HTTP library here counts as well."""
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") if verify is True and "SSL_CERT_FILE" not in os.environ else verify
    return ssl.create_default_context(cafile=bundle) if isinstance(bundle, str) else bool(verify)


def _same_host(url: httpx.URL, origin: httpx.URL) -> bool:
    return (url.scheme, url.host, url.port) == (origin.scheme, origin.host, origin.port)


def _whole_number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\d{1,18}", text) else None


def _within(seconds: float, action: Callable[[], T]) -> T:
    """Run an action that a server could draw out byte by byte, where no timeout of a single read helps.

    Raises:
        Transient: It took longer; its thread is left behind and ends with its connection.
    """
    done: list[T] = []
    failed: list[ForeignError] = []

    def work() -> None:
        try:
            done.append(call_foreign(action))
        except ForeignError as error:  # carried over to the caller's thread
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True, name="gaitway-http")
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0].cause
    if not done:
        raise Transient(f"no answer within {seconds:g} s")
    return done[0]
