"""Which ground a world's episode starts on, and how training makes it harder."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..engine import Ids
from ..state import Array, State
from ..tasks.cfg import RoughTerrain
from ..terrain import COLUMNS, KIND_OF_COLUMN, LEVELS, TILE, Terrain
from .rewards import sum_of_squares


class TerrainLevels:
    """The tile of every world. Its column (the kind of ground) is fixed, its level changes from episode to episode.

    Args:
        cfg: Levels to start from.
        terrain: The ground.
        num_envs: Worlds.
        training: Whether levels follow Isaac Lab's curriculum; they are drawn for every episode otherwise.
        rng: Source of the draws.
    """

    def __init__(
        self, cfg: RoughTerrain, terrain: Terrain, num_envs: int, *, training: bool, rng: np.random.Generator
    ) -> None:
        self.cfg = cfg
        self.terrain = terrain
        self.columns = np.arange(num_envs) * COLUMNS // num_envs
        self.kinds: NDArray[np.int64] = KIND_OF_COLUMN[self.columns]
        first = cfg.first_levels if training else cfg.levels
        self.levels = rng.integers(first[0], first[1] + 1, num_envs)
        self._training = training
        self._rng = rng

    @property
    def origins(self) -> Array:
        """Where each world's episode starts [m], (N, 3)."""
        return self.terrain.origins[self.levels, self.columns]

    def choose(self, ids: Ids, state: State, episode_length_s: float) -> dict[str, float]:
        """Choose the levels of some worlds' next episodes, from where their last ones ended; return Isaac Lab's log.

        A robot that came further than half a tile goes up a level, one that made less than half of the commanded way
        goes down; from the last level it goes to any.
        """
        if not self._training:
            self.levels[ids] = self._rng.integers(self.cfg.levels[0], self.cfg.levels[1] + 1, len(ids))
            return {}
        walked = np.sqrt(sum_of_squares(state.root_pos_w[ids, :2] - self.origins[ids, :2]))
        asked = np.sqrt(sum_of_squares(state.command[ids, :2])) * episode_length_s
        up = walked > TILE / 2
        down = (walked < 0.5 * asked) & ~up
        levels = self.levels[ids] + up - down
        beyond = levels >= LEVELS
        levels[beyond] = self._rng.integers(0, LEVELS, int(beyond.sum()))
        self.levels[ids] = np.maximum(levels, 0)
        return {"Curriculum/terrain_levels": float(self.levels.mean())}
