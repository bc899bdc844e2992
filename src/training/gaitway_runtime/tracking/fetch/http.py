"""Checkpoints at a plain ``https://`` or ``http://`` URL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from ...errors import GaitwayError, UsageError
from ..credentials import public_form
from .base import Changed, Located, Order, Transient
from .http_source import HttpSource, is_loopback
from .local import read_sidecar


@dataclass(frozen=True)
class HttpAddress:
    """A URL; it stands for one file."""

    url: str

    form: ClassVar[str] = "https://host/path"

    @classmethod
    def parse(cls, text: str) -> HttpAddress | None:
        """See :meth:`~.base.Address.parse`."""
        if not re.match(r"https?:", text, re.IGNORECASE):
            return None
        try:
            parts = urlsplit(text)
            usable = bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or re.search(r"[\s\x00-\x1f\x7f]", text):
            raise UsageError("this is no URL that can be requested", source=public_form(text), allowed=cls.form)
        return cls(text)

    def locate(self, order: Order) -> Located:
        """See :meth:`~.base.Address.locate`."""
        parts = urlsplit(self.url)
        shown = public_form(self.url)
        plain = parts.scheme.lower() == "http" and not is_loopback(parts.hostname or "")
        return Located(
            resolved_uri=shown,
            name=unquote(parts.path),
            source=HttpSource(self.url, order.limits),
            sha256=sidecar_of(HttpSource(beside(self.url, ".sha256"), order.limits)),
            note="http is not protected on its way: prefer https, or give --checkpoint-sha256" if plain else "",
        )


def beside(url: str, suffix: str) -> str:
    """Return a URL whose path has ``suffix`` added; its query, which may be what opens it, stays."""
    parts = urlsplit(url)
    return parts._replace(path=parts.path + suffix, fragment="").geturl()


def sidecar_of(source: HttpSource) -> str | None:
    """Return the hash in a checkpoint's ``.sha256`` sidecar, or None where there is none to be had."""
    try:
        with source.open(0, None) as stream:
            return read_sidecar(next(stream.chunks, b"")[:200])
    except (Transient, Changed, GaitwayError):
        return None
