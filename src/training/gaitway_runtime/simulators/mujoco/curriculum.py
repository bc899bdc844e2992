"""Terrain curriculum: the ground on which a world's episode starts, and how training makes it harder."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ...tasks.arrays import Array
from ...tasks.mdp.rewards import sum_of_squares
from ...tasks.state import State
from ...tasks.terrain import AROUND, LEVELS, TILE, RoughTerrain, Terrain
from .engine import Ids


class TerrainLevels:
    """The tile of every world. Its column (the kind of ground) is fixed, its row changes from episode to episode.

    Args:
        cfg: Levels to start from, and the kind of ground if it shall be one.
        terrain: The ground.
        num_envs: Worlds.
        training: Whether levels follow Isaac Lab's curriculum; they are drawn for every episode otherwise.
        rng: Source of the draws.
    """

    SAVED: ClassVar[tuple[str, ...]] = ("columns", "rows", "_beside")

    def __init__(
        self, cfg: RoughTerrain, terrain: Terrain, num_envs: int, *, training: bool, rng: np.random.Generator
    ) -> None:
        self.cfg = cfg
        self.terrain = terrain
        self._training = training
        self._rng = rng
        self._allowed = terrain.tiles(cfg.kind, cfg.levels)
        columns = np.flatnonzero(self._allowed.any(axis=0))
        self.columns = columns[np.arange(num_envs) * len(columns) // num_envs]
        self.rows = self._lowest_rows() if training and cfg.easy_start else self._draw_rows(self.columns)
        self._beside = np.full(num_envs, training and cfg.flat_steps > 0)

    @property
    def origins(self) -> Array:
        """Where each world's episode starts [m], (N, 3)."""
        return np.where(self._beside[:, None], self._places_beside(), self.terrain.origins[self.rows, self.columns])

    @property
    def levels(self) -> NDArray[np.int64]:
        """Difficulty of each world's tile, (N,)."""
        return self.terrain.levels[self.rows, self.columns]

    @property
    def kinds(self) -> NDArray[np.int64]:
        """Kind of each world's tile, (N,)."""
        return self.terrain.kinds[self.rows, self.columns]

    def choose(self, ids: Ids, state: State, episode_length_s: float, env_steps: int) -> dict[str, float]:
        """Choose the levels of some worlds' next episodes, from where their last ones ended; return Isaac Lab's log.

        A robot that came further than half a tile goes up a level, one that made less than half of the commanded way
        goes down; from the last level it goes to any.

        Args:
            ids: Worlds whose episode ended.
            state: The worlds before any reset.
            episode_length_s: Length of a full episode [s].
            env_steps: Environment steps so far over all worlds.
        """
        if self._training:
            climbing = ids[~self._beside[ids]]
            self.rows[climbing] = self._climbed(climbing, state, episode_length_s)
            if env_steps >= self.cfg.flat_steps:
                self._beside[ids] = False
        else:
            self.rows[ids] = self._draw_rows(self.columns[ids])
        state.terrain_level[ids], state.terrain_kind[ids] = self.levels[ids], self.kinds[ids]
        return {"Curriculum/terrain_levels": float(self.levels.mean())} if self._training else {}

    def _climbed(self, ids: Ids, state: State, episode_length_s: float) -> NDArray[np.int64]:
        """Return the rows that follow from how far some worlds' robots walked, (n,)."""
        walked = np.sqrt(sum_of_squares(state.root_pos_w[ids, :2] - self.origins[ids, :2]))
        asked = np.sqrt(sum_of_squares(state.command[ids, :2])) * episode_length_s
        up = walked > TILE / 2
        down = (walked < 0.5 * asked) & ~up
        rows = self.rows[ids] + up - down
        beyond = rows >= LEVELS
        rows[beyond] = self._rng.integers(0, LEVELS, int(beyond.sum()))
        return np.maximum(rows, 0)

    def _places_beside(self) -> Array:
        """Return places on the flat ground around the field, by column along its two sides [m], (N, 3)."""
        places: Array = self.terrain.origins[0, self.columns]
        outside = self.terrain.half_size[0] + AROUND / 2
        places[:, 0], places[:, 2] = np.where(np.arange(len(places)) % 2, outside, -outside), 0.0
        return places

    def _lowest_rows(self) -> NDArray[np.int64]:
        """Return the first allowed row of every world's column, (N,)."""
        rows: NDArray[np.int64] = self._allowed[:, self.columns].argmax(axis=0)
        return rows

    def _draw_rows(self, columns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Draw an allowed row for each of n columns, (n,)."""
        odds = self._allowed[:, columns] * self._rng.random((len(self._allowed), len(columns)))
        rows: NDArray[np.int64] = odds.argmax(axis=0)
        return rows
