"""Recipes: what makes a task learn on two CPU cores, by task. Data only, standard library only.

Isaac Lab's own numbers are for thousands of environments on a GPU; with some hundreds on a CPU most of its tasks do
not learn in reasonable time (measured). Only the learner differs: what the policy sees and does stays the task's.
"""

from __future__ import annotations

from dataclasses import dataclass

from ... import catalog
from ..config import RslRlCfg, SkrlCfg
from . import ant, anymal, cartpole


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a task is learned, with each library."""

    rsl_rl: RslRlCfg
    skrl: SkrlCfg


RECIPES: dict[str, Recipe] = {
    "Isaac-Cartpole-v0": Recipe(rsl_rl=cartpole.RSL_RL, skrl=cartpole.SKRL),
    "Isaac-Ant-v0": Recipe(rsl_rl=ant.RSL_RL, skrl=ant.SKRL),
    "Isaac-Velocity-Flat-Anymal-C-v0": Recipe(rsl_rl=anymal.RSL_RL, skrl=anymal.SKRL),
    "Isaac-Velocity-Rough-Anymal-C-v0": Recipe(rsl_rl=anymal.ROUGH_RSL_RL, skrl=anymal.SKRL),
}
"""Recipes by the task's name in :mod:`gaitway_runtime.catalog`; a task without one learns with the Ant's."""


def recipe_for(task: str) -> Recipe:
    """Return the recipe of a task by any of its names."""
    info = catalog.find(task)
    return RECIPES.get(info.name if info else task, RECIPES["Isaac-Ant-v0"])
