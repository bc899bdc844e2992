"""The next rollout played while the last one is learnt from: one iteration stale, and the same numbers every time.

rsl_rl's loop stays as it is. In it acts a copy of the networks and their normalisers, as they were when the last
rollout was handed over; the update corrects for what the networks have learnt since (:meth:`.update.FastUpdate.learn`).
Whatever passes between the two passes at the hand-over, and what the update draws is drawn there: the weights do not
depend on which of them is faster.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

import torch
from rsl_rl.algorithms import PPO
from tensordict import TensorDict

from ...simulators.base import StateTree
from ..state import array_of, subtree
from .precision import mix_precision

if TYPE_CHECKING:
    from .update import FastUpdate

Losses = dict[str, float]

NETWORKS = ("actor", "critic")


class Overlap:
    """Takes the place of ``update``, of all that plays, and of ``save`` of rsl_rl's PPO.

    Its :meth:`training_state` beside a checkpoint holds the networks that play the next rollout, which are not those of
    the checkpoint.

    Args:
        algorithm: The algorithm, which learns.
        update: Its update, made for rollouts that are stale.
        mixed: Whether hidden layers multiply in bfloat16.
    """

    def __init__(self, algorithm: PPO, update: FastUpdate, *, mixed: bool) -> None:
        self._learner, self._update = algorithm, update
        networks = (copy.deepcopy(getattr(algorithm, name)) for name in NETWORKS)
        self._player = PPO(*networks, copy.deepcopy(algorithm.storage), gamma=algorithm.gamma, lam=algorithm.lam)
        if mixed:
            mix_precision(self._player)
        self._due: Callable[[], Losses] | None = None
        self._begun: Future[Losses] | None = None
        self._losses: Losses = {}
        self._save = algorithm.save
        algorithm.act, algorithm.update, algorithm.save = self._act, self._hand_over, self._save_learned
        algorithm.process_env_step = self._player.process_env_step
        algorithm.compute_returns = self._player.compute_returns

    def training_state(self) -> StateTree:
        """Return the networks that play next, and the losses that are reported next."""
        self._finish()
        playing = {name: getattr(self._player, name).state_dict() for name in NETWORKS}
        arrays = {
            network: {name: values.numpy().copy() for name, values in tensors.items()}
            for network, tensors in playing.items()
        }
        return {**arrays, "losses": list(self._losses.items())}

    def load_training_state(self, state: StateTree) -> None:
        """Restore :meth:`training_state`."""
        for network in NETWORKS:
            arrays = subtree(state, network)
            tensors = {name: torch.from_numpy(array_of(arrays, name)) for name in arrays}
            getattr(self._player, network).load_state_dict(tensors)
        self._losses = dict(cast("list[tuple[str, float]]", state["losses"]))

    def _act(self, observations: TensorDict) -> torch.Tensor:
        """Let the player act; with its first action learning begins, so that nothing runs beside logging and saving."""
        if self._due is not None:
            threads = (self._update.playing_threads,)
            pool = ThreadPoolExecutor(1, "learning", initializer=torch.set_num_threads, initargs=threads)
            self._begun, self._due = pool.submit(self._due), None
            pool.shutdown(wait=False)
        actions: torch.Tensor = self._player.act(observations)
        return actions

    def _hand_over(self) -> Losses:
        """Finish learning from the last rollout, take over what was learnt, and hand over the one just played.

        Returns:
            The losses of what is finished: none after the first rollout.
        """
        self._finish()
        learner, player = self._learner, self._player
        for name in NETWORKS:
            getattr(player, name).load_state_dict(getattr(learner, name).state_dict())
        learner.storage, player.storage = player.storage, learner.storage
        order = self._update.draw()
        self._due = lambda: self._update.learn(order)
        return self._losses

    def _finish(self) -> None:
        """Wait until all that was handed over has been learnt, or learn it now."""
        begun, due = self._begun, self._due
        self._begun = self._due = None
        if begun is not None:
            self._losses = begun.result()
        elif due is not None:
            self._losses = due()

    def _save_learned(self) -> dict[str, Any]:
        """Return what is saved: all rollouts that were played have been learnt from."""
        self._finish()
        saved: dict[str, Any] = self._save()
        return saved
