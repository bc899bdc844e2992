"""Checkpoints in Azure Blob Storage: ``https://<account>.blob.core.windows.net/<container>/<path>``."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from ...errors import ConfigError, PlatformError, UsageError
from ..azure import azure_token
from ..credentials import public_form
from .base import Limits, Located, Order, clean_path
from .http import beside, sidecar_of
from .http_source import HttpSource
from .picking import SUBFOLDERS, is_checkpoint, newest
from .retrying import persist

_HOST = re.compile(r"[a-z0-9]{3,24}(?:-secondary)?\.blob\.core\.(?:windows\.net|chinacloudapi\.cn|usgovcloudapi\.net)")
_SCOPE = "https://storage.azure.com/.default"
_HEADERS = {"x-ms-version": "2021-12-02"}
_LONGEST_PAGE = 16 * 2**20
_MOST_PAGES = 20


@dataclass(frozen=True)
class BlobAddress:
    """A blob, or a folder of blobs; with a shared access signature in its query, or opened by Entra ID."""

    url: str

    form: ClassVar[str] = "https://<account>.blob.core.windows.net/<container>/<path>"

    @classmethod
    def parse(cls, text: str) -> BlobAddress | None:
        """See :meth:`~.base.Address.parse`."""
        try:
            parts = urlsplit(text)
            blob = bool(_HOST.fullmatch(parts.hostname or "")) and parts.scheme.lower() in ("http", "https")
        except ValueError:
            return None
        if not blob:
            return None
        shown = public_form(text)
        path = clean_path(parts.path, shown)
        if parts.scheme.lower() != "https" or parts.netloc.lower() != parts.hostname or "/" not in path:
            raise UsageError("this is no address of a blob", source=shown, allowed=cls.form)
        if re.search(r"[\s\x00-\x1f\x7f]", text):
            raise UsageError("a blob's address has no spaces: write them as %20", source=shown, allowed=cls.form)
        return cls(text)

    def locate(self, order: Order) -> Located:
        """See :meth:`~.base.Address.locate`."""
        headers, refusal = self._access()
        try:
            url, sha256, note = self._find(headers, order.limits)
        except (UsageError, ConfigError):
            if refusal:
                raise refusal from None
            raise
        source = HttpSource(url, order.limits, headers=headers)
        if sha256 is None:
            sha256 = sidecar_of(HttpSource(beside(url, ".sha256"), order.limits, headers=headers))
        return Located(
            resolved_uri=public_form(url), name=unquote(urlsplit(url).path), source=source, sha256=sha256, note=note
        )

    def _access(self) -> tuple[Callable[[], Mapping[str, str]], ConfigError | None]:
        """Return what makes the headers, and why there is no identity behind them if there is none.

        A container may be open to everyone, so a missing identity is an error only once we are turned away.
        """
        if "sig" in dict(parse_qsl(urlsplit(self.url).query)):
            return lambda: _HEADERS, None
        try:
            azure_token(_SCOPE)
        except ConfigError as error:
            return lambda: _HEADERS, error
        return lambda: {**_HEADERS, "Authorization": f"Bearer {azure_token(_SCOPE)}"}, None

    def _find(self, headers: Callable[[], Mapping[str, str]], limits: Limits) -> tuple[str, str | None, str]:
        """Return the URL of the one blob that is meant, its hash from its metadata, and a sentence on the choice."""
        parts = urlsplit(self.url)
        if not parts.path.endswith("/"):
            source = HttpSource(self.url, limits, headers=headers)
            found = persist(source.probe, limits, source.shown)
            if found is not None:
                return self.url, found.get("x-ms-meta-sha256"), ""
        return self._newest(headers, limits)

    def _newest(self, headers: Callable[[], Mapping[str, str]], limits: Limits) -> tuple[str, str | None, str]:
        """Take the address for a folder's; see :meth:`_find`."""
        parts = urlsplit(self.url)
        container, _, prefix = unquote(parts.path).strip("/").partition("/")
        try:
            for subfolder in SUBFOLDERS:
                inner = "/".join(part for part in (prefix, subfolder) if part) + "/"
                names = self._names(container, inner, headers, limits)
                if any(map(is_checkpoint, names)):
                    name, note = newest(names, f"{parts.scheme}://{parts.netloc}/{container}/{inner}".rstrip("/"))
                    return parts._replace(path=quote(f"/{container}/{inner}{name}")).geturl(), None, note
            hint = None
        except ConfigError:
            hint = "if it is a folder: looking into it takes the permission to list blobs"
        raise UsageError(
            "there is no blob and no folder with a checkpoint here", source=public_form(self.url), hint=hint
        ) from None

    def _names(
        self, container: str, prefix: str, headers: Callable[[], Mapping[str, str]], limits: Limits
    ) -> list[str]:
        """Return the names of the blobs directly below a prefix."""
        parts = urlsplit(self.url)
        names: list[str] = []
        marker = ""
        for _ in range(_MOST_PAGES):
            query = {"restype": "container", "comp": "list", "prefix": prefix, "delimiter": "/", "marker": marker}
            access = f"&{parts.query}" if parts.query else ""
            url = parts._replace(path=quote(f"/{container}"), query=urlencode(query) + access).geturl()
            page = HttpSource(url, limits, headers=headers)
            content = persist(functools.partial(page.read, _LONGEST_PAGE), limits, page.shown)
            names_here, marker = _parse_listing(content)
            names += [name[len(prefix) :] for name in names_here if name.startswith(prefix)]
            if not marker:
                break
        return [name for name in names if name and "/" not in name and "\\" not in name]


def _parse_listing(content: bytes) -> tuple[list[str], str]:
    """Return the blob names of one page of a listing, and the marker of the next."""
    from xml.etree import ElementTree

    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError:
        raise PlatformError("the storage account answers with something that is no listing") from None
    return [node.text or "" for node in root.iterfind("Blobs/Blob/Name")], root.findtext("NextMarker") or ""
