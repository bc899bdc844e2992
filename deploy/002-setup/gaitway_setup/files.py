"""Files beside this package: versions, Helm values, manifests."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from string import Template
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[1]


@cache
def versions() -> dict[str, dict[str, str]]:
    """Return the source and release of everything that is installed, by name."""
    found: dict[str, dict[str, str]] = yaml.safe_load((FOLDER / "versions.yaml").read_text())
    return found


def values(name: str) -> str:
    """Return the path of a file of Helm values."""
    return str(FOLDER / "values" / f"{name}.yaml")


def settings(name: str) -> dict[str, str]:
    """Return a file of plain settings."""
    found: dict[str, str] = yaml.safe_load((FOLDER / "values" / f"{name}.yaml").read_text())
    return found


def manifest(name: str, /, **fields: Any) -> str:
    """Return a manifest with its fields filled in; lists and mappings become YAML on one line.

    Raises:
        KeyError: A field of the file was not given.
    """
    shown = {key: value if isinstance(value, str) else _inline(value) for key, value in fields.items()}
    return Template((FOLDER / "manifests" / f"{name}.yaml").read_text()).substitute(shown)


def document(value: Any) -> str:
    """Return a value as YAML."""
    return yaml.dump(value, Dumper=_Plain, sort_keys=True, width=120)


class _Plain(yaml.SafeDumper):
    """Dumper without aliases, which make values hard to read."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _inline(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("\n").removesuffix("\n...")
