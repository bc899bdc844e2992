"""State of a batch of worlds as arrays, to save a training and to continue it bit for bit.

Each part names the attributes that its next steps depend on in ``SAVED``; arrays keep their memory layout, on which
the last bits of sums depend.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from ...tasks.state import Contact, State
from ..base import StateTree
from .engine import Engine

RANDOMIZED = (
    "body_mass",
    "body_inertia",
    "body_ipos",
    "geom_friction",
    "actuator_gainprm",
    "actuator_biasprm",
    "dof_frictionloss",
)
"""Fields of the model that may differ from world to world."""

_CONSTANT = ("default_joint_pos", "soft_joint_pos_limits")
_OF_ENGINE = ("applied_torque",)
"""Written by the engine in every step, and read only after it."""


class Saved(Protocol):
    """A part of the environment with state of its own."""

    SAVED: ClassVar[tuple[str, ...]]
    """Names of its attributes, arrays or plain values."""


def engine_state(engine: Engine) -> StateTree:
    """Return the physics of all worlds: MuJoCo's integration state with its warm starts, and the fields drawn."""
    fields = {name: found.copy() for name in RANDOMIZED if (found := engine.batch.expanded(name)) is not None}
    return {"integration": engine.batch.state.copy(), "base_com": engine.base_com.copy(), "model": fields}


def load_engine_state(engine: Engine, saved: StateTree) -> None:
    """Restore :func:`engine_state`."""
    engine.base_com[:] = _array(saved, "base_com")
    fields = cast(StateTree, saved["model"])
    differing = [name for name in fields if not np.array_equal(engine.batch.expand(name), _array(fields, name))]
    for name in differing:
        engine.batch.expand(name)[:] = _array(fields, name)
    if differing:  # else they are as this seed draws them, and so is what MuJoCo derives from them
        engine.update_constants()
    engine.batch.state[:] = _array(saved, "integration")


def worlds_state(state: State) -> StateTree:
    """Return what the terms of a task read, but for constants."""
    fields = {field.name: getattr(state, field.name) for field in dataclasses.fields(state)}
    tree: dict[str, Any] = {
        name: value.copy(order="K")
        for name, value in fields.items()
        if isinstance(value, np.ndarray) and name not in (*_CONSTANT, *_OF_ENGINE)
    }
    contacts = {
        group: {name: getattr(contact, name).copy(order="K") for name in Contact.__slots__}
        for group, contact in state.contacts.items()
    }
    return {**tree, "contacts": contacts}


def load_worlds_state(state: State, saved: StateTree) -> None:
    """Restore :func:`worlds_state`. The command is written in place: it is the array of the commands' generator."""
    for name, value in saved.items():
        if name == "contacts":
            for group, arrays in cast("Mapping[str, StateTree]", value).items():
                for attribute in arrays:
                    setattr(state.contacts[group], attribute, _array(arrays, attribute).copy(order="K"))
        elif name == "command" and state.command.size:
            state.command[:] = _array(saved, name)
        else:
            setattr(state, name, _array(saved, name).copy(order="K"))


def part_state(part: Saved) -> StateTree:
    """Return the attributes of a part."""
    found = {name: getattr(part, name) for name in part.SAVED}
    return {name: value.copy(order="K") if isinstance(value, np.ndarray) else value for name, value in found.items()}


def load_part_state(part: Saved, saved: StateTree) -> None:
    """Restore :func:`part_state`; arrays in place, since others may hold them too."""
    for name in part.SAVED:
        value = saved[name]
        if isinstance(value, np.ndarray):
            getattr(part, name)[:] = value
        else:
            setattr(part, name, value)


def streams_state(streams: Mapping[str, np.random.Generator]) -> StateTree:
    """Return the states of random streams as plain values."""
    return {name: dict(stream.bit_generator.state) for name, stream in streams.items()}


def load_streams_state(streams: Mapping[str, np.random.Generator], saved: StateTree) -> None:
    """Restore :func:`streams_state`."""
    for name, stream in streams.items():
        stream.bit_generator.state = cast("dict[str, Any]", saved[name])


def _array(tree: StateTree, name: str) -> NDArray[Any]:
    return cast("NDArray[Any]", tree[name])
