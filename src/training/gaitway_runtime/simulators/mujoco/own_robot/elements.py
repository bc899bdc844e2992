"""Elements of a robot's file, each with the file and the line where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from xml.sax import SAXParseException, make_parser
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl, Locator

from ....spec.errors import UsageError


@dataclass(frozen=True)
class Element:
    """One element of an XML file."""

    name: str
    attributes: dict[str, str]
    place: str
    """Its file and line, ``robot.xml:12``."""


@dataclass
class _Handler(ContentHandler):
    """Collects elements."""

    path: Path
    found: list[Element] = field(default_factory=list)
    _locator: Locator | None = None

    def setDocumentLocator(self, locator: Locator) -> None:  # noqa: N802 - the parser's own name
        self._locator = locator

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802 - the parser's own name
        line = self._locator.getLineNumber() if self._locator else None
        self.found.append(Element(name, dict(attrs.items()), f"{self.path}:{line or 1}"))


def elements_of(path: Path) -> tuple[Element, ...]:
    """Return the elements of a file in order, those of the files that it includes in their places.

    Raises:
        UsageError: A file cannot be read, or is not XML.
    """
    return tuple(_with_included(path, path.parent, frozenset()))


def _with_included(path: Path, folder: Path, within: frozenset[Path]) -> list[Element]:
    found: list[Element] = []
    within = within | {path.resolve()}
    for element in _parsed(path):
        found.append(element)
        named = element.attributes.get("file") if element.name == "include" else None
        if named is None:
            continue
        other = folder / named
        if not other.is_file():
            raise UsageError(f"the file that it includes is missing: {named}", source=element.place)
        if other.resolve() in within:
            raise UsageError(f"it includes itself: {named}", source=element.place)
        found += _with_included(other, folder, within)
    return found


def _parsed(path: Path) -> list[Element]:
    handler, parser = _Handler(path), make_parser()
    parser.setContentHandler(handler)
    try:
        parser.parse(str(path))
    except SAXParseException as error:
        raise UsageError(f"it is not XML: {error.getMessage()}", source=f"{path}:{error.getLineNumber()}") from None
    except (OSError, UnicodeError, LookupError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"the robot cannot be read: {reason}", source=str(path)) from None
    return handler.found


def place_of(elements: tuple[Element, ...], kind: str, name: str) -> str | None:
    """Return where the first element of a kind with a name stands; None where there is none."""
    found = (one.place for one in elements if one.name == kind and one.attributes.get("name") == name)
    return next(found, None)
