"""Extractor of the values that a chart's templates read, for ``charts.json``.

``python deploy/checks/chart_keys.py PIN VERSION FOLDER --source TEXT [--below NAME=FOLDER]`` records one chart from a
checkout of its repository at the tag of that version. ``--below`` adds a dependency whose values lie under a name.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from charts import CHARTS_FILE

_DOTTED = re.compile(r"\.Values((?:\.[A-Za-z_][\w-]*)+)")
_INDEXED = re.compile(r"index\s+\$?\.Values((?:\s+\"[^\"]+\")+)")
_WORD = re.compile(r"\"([^\"]+)\"")


def read_paths(folder: Path) -> set[str]:
    """Return the paths of values that the templates of a chart, and of the charts inside it, read."""
    found = set()
    for path in sorted([*folder.glob("templates/**/*"), *folder.glob("*.tpl")]):
        if path.is_file() and "tests" not in path.relative_to(folder).parts:
            text = path.read_text(errors="replace")
            found |= {match[1:] for match in _DOTTED.findall(text)}
            found |= {".".join(_WORD.findall(match)) for match in _INDEXED.findall(text)}
    for inner in sorted(path for path in folder.glob("charts/*") if (path / "Chart.yaml").is_file()):
        found |= {f"{inner.name}.{path}" for path in read_paths(inner)}
    return found


def children(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, list[str]]]:
    """Yield each mapping with content that a chart declares, with the names in it."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield f"{above}{name}", sorted(map(str, value))
            yield from children(value, f"{above}{name}.")


def declared(folder: Path) -> dict[str, Any]:
    """Return a chart's own values."""
    import yaml

    found: dict[str, Any] = yaml.safe_load((folder / "values.yaml").read_text()) or {}
    return found


def record(
    version: str, folder: Path, source: str, below: Mapping[str, Path], handed_on: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the record of a chart."""
    read, known = read_paths(folder), dict(children(declared(folder)))
    for name, inner in below.items():
        read |= {f"{name}.{path}" for path in read_paths(inner)}
        for path, names in children({name: declared(inner)}):
            known[path] = sorted({*known.get(path, []), *names})
    return {
        "version": version,
        "source": source,
        "looked": datetime.date.today().isoformat(),
        "read": sorted(read),
        "children": dict(sorted(known.items())),
        "open": sorted(f"{path}.{name}" for path in handed_on for name in known[path]),
    }


def write(name: str, found: Mapping[str, Any], path: Path = CHARTS_FILE) -> None:
    """Put a record into the file, one chart's lists a line each."""
    document = json.loads(path.read_text())
    document["charts"][name] = found
    path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")


def main() -> None:
    """Record one chart."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("pin", help="its name in versions.yaml")
    parser.add_argument("version")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--source", required=True, help="repository, tag and folder")
    parser.add_argument("--below", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--open", action="append", default=[], help="value whose parts the chart hands on unread")
    asked = parser.parse_args()
    below = {name: Path(folder) for name, _, folder in (word.partition("=") for word in asked.below)}
    write(asked.pin, record(asked.version, asked.folder, asked.source, below, asked.open))


if __name__ == "__main__":
    main()
