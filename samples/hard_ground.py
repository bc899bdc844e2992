"""Continue a checkpoint of ANYmal-C on rough ground, on levels 5 to 9 alone and mostly on stairs and boxes.

Usage: PYTHONPATH=benchmarks python samples/hard_ground.py CHECKPOINT OUT [ITERATIONS]
"""

import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import learning
import numpy as np
from gaitway_runtime.learners.base import TrainingStart
from gaitway_runtime.learners.checkpoints import open_saved
from gaitway_runtime.simulators.mujoco import env as mujoco_env
from gaitway_runtime.simulators.mujoco.curriculum import TerrainLevels
from gaitway_runtime.simulators.mujoco.engine import Ids
from gaitway_runtime.tasks.environment import Training
from gaitway_runtime.tasks.state import State
from gaitway_runtime.tasks.terrain import LEVELS, RoughTerrain, Terrain
from numpy.typing import NDArray

LEAST = 5
"""Lowest level."""
SHARES = (22, 22, 40, 6, 5, 5)
"""Parts of the robots on stairs up, stairs down, boxes, random ground, slopes up and down."""
FALL = 12.0
"""What a fall costs."""


class HardLevels(TerrainLevels):
    """Tiles whose kinds are shared out as :data:`SHARES` says, of a level that is drawn for each episode."""

    def __init__(
        self, cfg: RoughTerrain, terrain: Terrain, num_envs: int, *, training: bool, rng: np.random.Generator
    ) -> None:
        super().__init__(cfg, terrain, num_envs, training=training, rng=rng)
        kinds = terrain.kinds[0]
        share = np.array([SHARES[kind] / (kinds == kind).sum() for kind in kinds])
        self.columns = np.searchsorted(np.cumsum(share / share.sum()), (np.arange(num_envs) + 0.5) / num_envs)
        self.rows = rng.integers(LEAST, LEVELS, num_envs)

    def _climbed(self, ids: Ids, state: State, episode_length_s: float) -> NDArray[np.int64]:
        rows: NDArray[np.int64] = self._rng.integers(LEAST, LEVELS, len(ids))
        return rows


def of_a_walking_robot(training: Training) -> Training:
    """Return a training for a policy that walks already: whole penalties from the start, nothing that fades."""
    shaping = training.shaping
    assert shaping is not None
    terms = tuple(term for term in shaping.terms if not term.fade_steps)
    whole = replace(shaping, terms=terms, penalty_scale=(1.0, 1.0), penalty_ramp_steps=1, fall=FALL)
    return replace(training, shaping=whole)


def train(checkpoint: Path, out: Path, iterations: int) -> None:
    """Write checkpoints and a curve, as ``benchmarks/learning.py train`` does."""
    with mock.patch.object(mujoco_env, "TerrainLevels", HardLevels):
        learning.train(
            "Isaac-Velocity-Rough-Anymal-C-v0",
            seed=1,
            iterations=iterations,
            threads=1,
            out=out,
            save_every=50,
            overrides=("env.terrain.flat_steps=0", "agent.late_steps=0", "agent.settle=0.4"),
            edited=of_a_walking_robot,
            start=TrainingStart(mode="warm-start", saved=open_saved(checkpoint), uri=str(checkpoint)),
        )


if __name__ == "__main__":
    train(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1000)
