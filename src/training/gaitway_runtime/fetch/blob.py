"""Checkpoints in Azure Blob Storage: ``https://<account>.blob.core.windows.net/<container>/<path>``."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from ..spec.checkpoint_files import SUBFOLDERS, choice_note, is_checkpoint, newest_first
from ..spec.errors import ConfigError, PlatformError, UsageError
from ..spec.secrets import public_form
from ..stores.artifacts import clean_path
from ..stores.azure import azure_token
from ..stores.http_source import HttpSource
from ..stores.mlflow_client import retry
from ..stores.streams import StreamLimits
from .base import MOST_CANDIDATES, Located, Order
from .sidecars import hash_from, sidecar_url

_HOST = re.compile(r"[a-z0-9]{3,24}(?:-secondary)?\.blob\.core\.(?:windows\.net|chinacloudapi\.cn|usgovcloudapi\.net)")
_SCOPE = "https://storage.azure.com/.default"
_HEADERS = {"x-ms-version": "2021-12-02"}
_LONGEST_PAGE = 16 * 2**20
_MOST_PAGES = 20

Headers = Callable[[], Mapping[str, str]]
"""Makes the headers of a request, credentials included."""


@dataclass(frozen=True)
class _Blob:
    url: str
    sha256: str | None = None
    """From the blob's metadata."""
    note: str = ""


@dataclass(frozen=True)
class BlobAddress:
    """A blob, or a folder of blobs; with a shared access signature in its query, or opened by Entra ID."""

    url: str

    form: ClassVar[str] = "https://<account>.blob.core.windows.net/<container>/<path>"

    @classmethod
    def reads(cls, text: str) -> bool:
        """Whether a URL is one of Azure's storage."""
        try:
            return bool(_HOST.fullmatch(urlsplit(text).hostname or ""))
        except ValueError:
            return False

    @classmethod
    def parse(cls, text: str) -> BlobAddress:
        """See :meth:`~.base.Address.parse`."""
        parts = urlsplit(text)
        shown = public_form(text)
        path = clean_path(parts.path, shown)
        if parts.scheme.lower() != "https" or parts.netloc.lower() != parts.hostname or "/" not in path:
            raise UsageError("this is not an address of a blob", source=shown, allowed=cls.form)
        if re.search(r"[\s\x00-\x1f\x7f]", text):
            raise UsageError("a blob's address has no spaces: write them as %20", source=shown, allowed=cls.form)
        return cls(text)

    def locate(self, order: Order) -> tuple[Located, ...]:
        """See :meth:`~.base.Address.locate`."""
        headers, refusal = self._access()
        try:
            found = self._find(headers, order.limits)
        except (UsageError, ConfigError):
            if refusal:
                raise refusal from None
            raise
        return tuple(self._located(blob, headers, order.limits) for blob in found[:MOST_CANDIDATES])

    def _located(self, blob: _Blob, headers: Headers, limits: StreamLimits) -> Located:
        sha256 = blob.sha256 or hash_from(HttpSource(sidecar_url(blob.url), limits, headers=headers))
        return Located(
            resolved_uri=public_form(blob.url),
            name=unquote(urlsplit(blob.url).path),
            source=HttpSource(blob.url, limits, headers=headers),
            sha256=sha256,
            note=blob.note,
        )

    def _access(self) -> tuple[Headers, ConfigError | None]:
        """Return what makes the headers, and why they carry no identity if they carry none.

        A container may be public, so a missing identity is an error only once a request is refused.
        """
        if "sig" in dict(parse_qsl(urlsplit(self.url).query)):
            return lambda: _HEADERS, None
        try:
            azure_token(_SCOPE)
        except ConfigError as error:
            return lambda: _HEADERS, error
        return lambda: {**_HEADERS, "Authorization": f"Bearer {azure_token(_SCOPE)}"}, None

    def _find(self, headers: Headers, limits: StreamLimits) -> list[_Blob]:
        """Return the blob that is meant, or a folder's checkpoints, the newest first."""
        parts = urlsplit(self.url)
        if not parts.path.endswith("/"):
            source = HttpSource(self.url, limits, headers=headers)
            found = retry(source.probe, limits, source.shown)
            if found is not None:
                return [_Blob(self.url, found.get("x-ms-meta-sha256"))]
        return self._in_folder(headers, limits)

    def _in_folder(self, headers: Headers, limits: StreamLimits) -> list[_Blob]:
        """Take the address for a folder's; see :meth:`_find`."""
        parts = urlsplit(self.url)
        container, _, prefix = unquote(parts.path).strip("/").partition("/")
        try:
            for subfolder in SUBFOLDERS:
                inner = "/".join(part for part in (prefix, subfolder) if part) + "/"
                names = self._names(container, inner, headers, limits)
                if any(map(is_checkpoint, names)):
                    where = f"{parts.scheme}://{parts.netloc}/{container}/{inner}".rstrip("/")
                    ordered = newest_first(names, where)
                    note = choice_note(ordered, where)
                    urls = [parts._replace(path=quote(f"/{container}/{inner}{name}")).geturl() for name in ordered]
                    return [_Blob(url, note=note) for url in urls]
            hint = None
        except ConfigError:
            hint = "if it is a folder: looking into it takes the permission to list blobs"
        raise UsageError(
            "there is no blob and no folder with a checkpoint here", source=public_form(self.url), hint=hint
        ) from None

    def _names(self, container: str, prefix: str, headers: Headers, limits: StreamLimits) -> list[str]:
        """Return the names of the blobs directly below a prefix."""
        parts = urlsplit(self.url)
        names: list[str] = []
        marker = ""
        for _ in range(_MOST_PAGES):
            query = {"restype": "container", "comp": "list", "prefix": prefix, "delimiter": "/", "marker": marker}
            access = f"&{parts.query}" if parts.query else ""
            url = parts._replace(path=quote(f"/{container}"), query=urlencode(query) + access).geturl()
            page = HttpSource(url, limits, headers=headers)
            content = retry(functools.partial(page.read, _LONGEST_PAGE), limits, page.shown)
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
        raise PlatformError("the storage account answers with something that is not a listing") from None
    return [node.text or "" for node in root.iterfind("Blobs/Blob/Name")], root.findtext("NextMarker") or ""
