"""Assembly of a page: one HTML file that holds everything it shows."""

from __future__ import annotations

import html
import json
from importlib import resources
from pathlib import Path
from string import Template

from gaitway_runtime.spec.files import replacing

from ..errors import ConfigError


def assemble(body: str, *, title: str, style: str, **parts: str) -> str:
    """Return a page.

    Args:
        body: What stands in its body; ``$title`` and ``$NAME`` stand for the title and for parts.
        title: Its title, as plain text.
        style: Its own style, beside what all pages share.
        parts: What is put into the body as it is.
    """
    shown = html.escape(title)
    filled = Template(body).substitute(title=shown, **parts)
    style = page_asset("gaitway.pages", "page.css") + style
    return Template(page_asset("gaitway.pages", "page.html")).substitute(title=shown, style=style, body=filled.rstrip())


def inert_json(value: object) -> str:
    """Return a value as JSON that can stand inside a script element: nothing in it ends the element."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")


def page_asset(package: str, *path: str) -> str:
    """Return the text of a file that belongs to a package."""
    return resources.files(package).joinpath(*path).read_text(encoding="utf-8")


def write_page(text: str, target: Path) -> Path:
    """Write a page in one step and return it.

    Raises:
        ConfigError: It cannot be written.
    """
    try:
        with replacing(target) as partial:
            partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the page cannot be written: {error.strerror}", source=str(target)) from None
    return target
