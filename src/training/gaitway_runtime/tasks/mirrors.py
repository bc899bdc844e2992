"""Mirror symmetries of robots, by the names of their joints and feet. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RobotMirror:
    """What a robot looks like in a mirror: which joint stands where which one stood, and turns which way."""

    name: str
    """``left-right``, ``front-back``, ``both``."""
    axes: tuple[int, int, int]
    """Signs of a vector's components in the base's frame."""
    joints: tuple[tuple[int, int], ...]
    """For each joint: index of the one whose place it takes, and the sign of its angle."""
    feet: tuple[int, ...]
    """For each foot: index of the one whose place it takes."""


def mirror_by_names(
    name: str,
    axes: tuple[int, int, int],
    joints: Sequence[str],
    feet: Sequence[str],
    *,
    swaps: Mapping[str, str],
    flipped: Sequence[str],
) -> RobotMirror:
    """Return the mirror of a robot whose names tell the sides apart.

    Args:
        name: Name of the mirror.
        axes: Signs of a vector's components.
        joints: Names of the joints.
        feet: Names of the feet.
        swaps: Parts of names that change places, each way: ``{"left": "right", "right": "left"}``.
        flipped: Parts of the names of joints whose angle changes its sign.

    Raises:
        ValueError: A name has no partner.
    """
    return RobotMirror(
        name=name,
        axes=axes,
        joints=tuple(
            (joints.index(_partner(joint, swaps)), -1 if any(part in joint for part in flipped) else 1)
            for joint in joints
        ),
        feet=tuple(feet.index(_partner(foot, swaps)) for foot in feet),
    )


def _partner(name: str, swaps: Mapping[str, str]) -> str:
    part = next((part for part in swaps if part in name), None)
    return name if part is None else name.replace(part, swaps[part], 1)
