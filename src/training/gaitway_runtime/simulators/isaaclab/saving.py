"""State of an Isaac Lab environment, as far as its interfaces give it.

Buffers are found by what the managers, their terms and the environment hold (tensors, lists and dictionaries of them),
not by release; the scene is read and written by its own ``get_state`` and ``reset_to``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from ..base import OPTIONAL, StateTree

NOT_RESTORED = (
    "contacts and warm starts of the physics solver, and the histories of sensors and actuators, which Isaac Lab does "
    "not give; the training continues, but not bit for bit"
)

MANAGERS = (
    "curriculum_manager",
    "command_manager",
    "event_manager",
    "action_manager",
    "reward_manager",
    "termination_manager",
)
"""Managers whose buffers belong to an episode or to the training, where an environment has them."""

TERRAIN = ("terrain_levels", "terrain_types", "env_origins")
"""Buffers of the terrain importer: the curriculum's levels, and where each world starts."""

SCENE = "scene:"
"""Path of what the scene itself gives."""

_log = logging.getLogger(__name__)


def environment_state(env: Any) -> StateTree:
    """Return copies of an environment's buffers and of its scene.

    Args:
        env: A ``ManagerBasedRLEnv`` or ``DirectRLEnv``.
    """
    buffers = {name: tensor.detach().cpu().numpy().copy() for name, tensor in _buffers(env)}
    # Some buffers appear with the first step: a new environment does not have them yet.
    return {"steps": int(env.common_step_counter), OPTIONAL: {**buffers, **_scene_state(env)}}


def load_environment_state(env: Any, saved: StateTree) -> None:
    """Restore :func:`environment_state`; the scene last, since it is also written to the simulation."""
    env.common_step_counter = cast(int, saved["steps"])
    arrays = cast("Mapping[str, NDArray[Any]]", saved[OPTIONAL])
    with torch.inference_mode():
        for name, tensor in _buffers(env):
            if name in arrays and arrays[name].shape == tuple(tensor.shape):
                tensor.copy_(torch.from_numpy(np.ascontiguousarray(arrays[name])))
        _load_scene_state(env, arrays)


def _scene_state(env: Any) -> dict[str, NDArray[Any]]:
    """Return poses and velocities of everything in the scene by their path, relative to each world's origin."""
    if not hasattr(env.scene, "get_state"):
        return {}
    try:
        return dict(_flat(env.scene.get_state(is_relative=True), SCENE))
    except (RuntimeError, AttributeError, TypeError, KeyError) as error:
        _log.debug("the scene's state cannot be read: %s", error)
        return {}


def _load_scene_state(env: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    state: dict[str, Any] = {}
    for path, array in arrays.items():
        if not path.startswith(SCENE):
            continue
        *folders, name = path.removeprefix(SCENE).split(":")
        node = state
        for folder in folders:
            node = node.setdefault(folder, {})
        node[name] = torch.as_tensor(np.ascontiguousarray(array), device=env.device)
    if not state:
        return
    try:
        env.scene.reset_to(state, is_relative=True)
        env.sim.forward()
    except (RuntimeError, AttributeError, TypeError, KeyError) as error:
        _log.warning("the poses of Isaac Lab's worlds are not restored: %s: %s", type(error).__name__, error)


def _flat(tree: Mapping[str, Any], where: str) -> Iterator[tuple[str, NDArray[Any]]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{where}{name}:")
        elif isinstance(value, torch.Tensor):
            yield f"{where}{name}", value.detach().cpu().numpy().copy()


def _buffers(env: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors of an environment, its managers, their terms and its terrain, by their path."""
    yield from _tensors_of(env, "env")
    for name in MANAGERS:
        manager = getattr(env, name, None)
        if manager is None:
            continue
        yield from _tensors_of(manager, name)
        terms = getattr(manager, "_terms", None)
        for term, held in terms.items() if isinstance(terms, Mapping) else ():
            yield from _tensors_of(held, f"{name}.{term}")
    terrain = getattr(env.scene, "terrain", None)
    for name in TERRAIN:
        if isinstance(getattr(terrain, name, None), torch.Tensor):
            yield f"terrain.{name}", getattr(terrain, name)


def _tensors_of(holder: Any, where: str) -> Iterator[tuple[str, torch.Tensor]]:
    for name, value in getattr(holder, "__dict__", {}).items():
        if isinstance(value, torch.Tensor):
            yield f"{where}.{name}", value
        elif isinstance(value, (list, tuple)):
            yield from ((f"{where}.{name}.{k}", item) for k, item in enumerate(value) if isinstance(item, torch.Tensor))
        elif isinstance(value, Mapping):
            yield from (
                (f"{where}.{name}.{str(k).replace('/', ':')}", item)
                for k, item in value.items()
                if isinstance(item, torch.Tensor)
            )
