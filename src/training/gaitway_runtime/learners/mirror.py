"""Mirrored copies of experience: what a robot learns with its left side holds for its right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tensordict import TensorDict

from ..simulators.base import Mirror, SignedPermutation


@dataclass(frozen=True)
class _Map:
    index: torch.Tensor
    sign: torch.Tensor

    @staticmethod
    def of(permutation: SignedPermutation) -> _Map:
        return _Map(torch.as_tensor(permutation.index), torch.as_tensor(permutation.sign, dtype=torch.float32))

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        # Several times as fast as ``values[:, self.index]`` on a CPU.
        return values.index_select(1, self.index).mul_(self.sign)


class MirroredCopies:
    """rsl_rl's ``data_augmentation_func``: every mini-batch is doubled by one mirror image, each mirror in its turn.

    All images at once would cost as many passes for little more (measured).

    Args:
        mirrors: The task's symmetries.
    """

    def __init__(self, mirrors: Sequence[Mirror]) -> None:
        self._mirrors = [
            ({name: _Map.of(found) for name, found in mirror.observations.items()}, _Map.of(mirror.actions))
            for mirror in mirrors
        ]
        self._turn = 0

    def __call__(self, env: Any, obs: TensorDict, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor]:
        """Return the batch followed by its mirror image.

        Args:
            env: Unused; rsl_rl passes it.
            obs: Observation groups, each (B, size).
            actions: Shape (B, num_actions).
        """
        observation_maps, action_map = self._mirrors[self._turn]
        self._turn = (self._turn + 1) % len(self._mirrors)
        batch = 2 * actions.shape[0]
        doubled = {name: torch.cat((values, observation_maps[name](values))) for name, values in obs.items()}
        return TensorDict(doubled, batch_size=[batch]), torch.cat((actions, action_map(actions)))
