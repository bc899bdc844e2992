"""Checkpoints at ``https://`` and ``http://`` URLs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from ..spec.errors import UsageError
from ..spec.secrets import public_form
from ..stores.http_source import HttpSource, is_loopback
from .base import Located, Order
from .blob import BlobAddress
from .sidecars import hash_from, sidecar_url


@dataclass(frozen=True)
class HttpAddress:
    """A URL; it stands for one file."""

    url: str

    form: ClassVar[str] = f"{BlobAddress.form}, https://host/path"

    @classmethod
    def parse(cls, text: str) -> HttpAddress | BlobAddress:
        """See :meth:`~.base.Address.parse`; a URL of Azure's storage becomes a :class:`.BlobAddress`."""
        if BlobAddress.reads(text):
            return BlobAddress.parse(text)
        try:
            parts = urlsplit(text)
            usable = bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or re.search(r"[\s\x00-\x1f\x7f]", text):
            raise UsageError("this is no URL that can be requested", source=public_form(text), allowed=cls.form)
        return cls(text)

    def locate(self, order: Order) -> tuple[Located, ...]:
        """See :meth:`~.base.Address.locate`."""
        parts = urlsplit(self.url)
        shown = public_form(self.url)
        plain = parts.scheme.lower() == "http" and not is_loopback(parts.hostname or "")
        found = Located(
            resolved_uri=shown,
            name=unquote(parts.path),
            source=HttpSource(self.url, order.limits),
            sha256=hash_from(HttpSource(sidecar_url(self.url), order.limits)),
            note="http does not protect a file on its way: prefer https, or give --checkpoint-sha256" if plain else "",
        )
        return (found,)
