"""Packages that a part of gaitway needs and that may be missing, and the command that installs them.

The command takes gaitway from where it came: a checkout, a wheel, a repository. It never names gaitway to a package
index, where the name is not registered. Standard library only.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from .errors import ConfigError

if TYPE_CHECKING:
    from importlib import metadata

DISTRIBUTION = "gaitway"
REQUIREMENTS = Path(__file__).parents[1] / "requirements.txt"
"""What the runtime needs where it was shipped without the client."""

_CHECKOUT = Path(__file__).parents[4]
"""The root of the checkout that this file is in, where it is in one."""


def missing_package(purpose: str, package: ImportError | str, *extras: str) -> ConfigError:
    """Return the error for a package that is not installed.

    Args:
        purpose: What needs it, as the beginning of a sentence: ``export``, ``a release``.
        package: Its name, or what importing it raised.
        extras: Extras of gaitway that install it.
    """
    name = package if isinstance(package, str) else package.name or str(package)
    return ConfigError(f"{purpose} needs a package that is not installed: {name}", hint=install_command(*extras))


def install_command(*extras: str) -> str:
    """Return the command that installs extras of gaitway from where this gaitway came."""
    from importlib import metadata  # takes longer to import than most commands take

    wanted = f"[{','.join(extras)}]"
    if (_CHECKOUT / "pyproject.toml").is_file():
        return f"pip install -e {_quoted(f'{_here(_CHECKOUT)}{wanted}')}"
    try:
        installed = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return f"pip install -r {shlex.quote(str(REQUIREMENTS))}"
    source = _source(installed.read_text("direct_url.json"), wanted)
    if source is not None:
        return f"pip install {source}"
    return f"pip install {' '.join(_quoted(need) for need in _needs(installed, extras))}"


def _source(direct_url: str | None, wanted: str) -> str | None:
    """Return where a distribution was installed from as pip takes it (PEP 610); None where that was an index."""
    document = json.loads(direct_url) if direct_url else {}
    url = str(document.get("url", ""))
    if "dir_info" in document:
        editable = "-e " if document["dir_info"].get("editable") else ""
        return f"{editable}{_quoted(f'{_here(Path(unquote(urlsplit(url).path)))}{wanted}')}"
    if "vcs_info" in document:
        vcs = document["vcs_info"]
        return _quoted(f"{DISTRIBUTION}{wanted} @ {vcs['vcs']}+{url}@{vcs['commit_id']}")
    return _quoted(f"{DISTRIBUTION}{wanted} @ {url}") if url else None


def _needs(installed: metadata.Distribution, extras: tuple[str, ...]) -> Iterator[str]:
    """Yield the requirements of extras."""
    for line in installed.requires or []:
        need, _, marker = line.partition(";")
        if any(re.search(rf"extra\s*==\s*['\"]{extra}['\"]", marker) for extra in extras):
            yield need.strip()


def _here(folder: Path) -> str:
    return "." if folder == Path.cwd() else str(folder)


def _quoted(text: str) -> str:
    return f"'{text}'" if "'" not in text else shlex.quote(text)
