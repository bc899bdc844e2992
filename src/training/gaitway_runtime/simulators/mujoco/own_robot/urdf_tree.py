"""Tree of a URDF's links: every joint between two of them, one root, each link below one other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ....spec.errors import UsageError
from .elements import Element, place_of

_TYPES = ("revolute", "continuous", "prismatic", "fixed", "floating")


@dataclass
class _Joint:
    element: Element
    parent: str = ""
    child: str = ""

    @property
    def called(self) -> str:
        """Its name, as errors give it."""
        return f"joint '{self.element.attributes['name']}'"


def check_tree(elements: tuple[Element, ...]) -> None:
    """Refuse a URDF whose links are no tree.

    Raises:
        UsageError: A link or joint has no name, a joint no such links or an odd type, or there are several roots.
    """
    for element in elements:
        if element.name in ("link", "joint") and element.attributes.get("name") == "":
            raise UsageError(f"a <{element.name}> has no name", source=element.place)
    links = [one.attributes["name"] for one in elements if one.name == "link" and "name" in one.attributes]
    joints = list(_joints(elements))
    above: dict[str, _Joint] = {}
    for joint in joints:
        kind = joint.element.attributes["type"]
        if kind not in _TYPES:
            raise UsageError(f"{joint.called} is {kind}", source=joint.element.place, allowed=", ".join(_TYPES))
        for role, name in (("parent", joint.parent), ("child", joint.child)):
            if name not in links:
                raise UsageError(
                    f"{joint.called} has no {role} among the links: {name or 'none'}", source=joint.element.place
                )
        if joint.child in above:
            raise UsageError(
                f"link '{joint.child}' hangs from two joints", source=joint.element.place, hint="model it as a tree"
            )
        above[joint.child] = joint
    roots = [name for name in links if name not in above]
    if len(roots) != 1:
        raise UsageError(
            f"{len(roots)} links hang from no joint: {', '.join(roots) or 'none'}",
            source=place_of(elements, "link", (roots or links or [""])[-1]) or elements[0].place,
            allowed="one, the base",
        )


def _joints(elements: tuple[Element, ...]) -> Iterator[_Joint]:
    """Yield the joints with the links that they name; those of transmissions have no type."""
    found: _Joint | None = None
    for element in elements:
        if element.name == "joint":
            if found:
                yield found
            named = {"name", "type"} <= set(element.attributes)
            found = _Joint(element) if named else None
        elif found and element.name in ("parent", "child") and "link" in element.attributes:
            setattr(found, element.name, element.attributes["link"])
    if found:
        yield found
