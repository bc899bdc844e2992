"""Monitoring a rsl_rl runner of any release, without a subclass.

Methods are replaced by what the runner offers, not by version: rsl_rl 2 and 3 have ``runner.log`` and
``runner.writer``, later ones ``runner.logger.log`` and ``runner.logger.writer``; all have ``runner.save`` and count
in ``runner.current_learning_iteration``.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch

from ...distributed.group import Rank
from ...simulators.base import StateTree
from ..checkpoints import SavedTraining, misfit
from ..monitor import Monitor, TrainingStopped
from ..state import array_of, subtree

if TYPE_CHECKING:
    from .embedded import MirroredCopies, RslRlEnv
    from .overlap import Overlap


def attach(
    runner: Any,
    monitor: Monitor,
    *,
    steps: Callable[[], int],
    infos: Callable[[int], Mapping[str, object]],
    save_interval: int,
    quiet: bool = True,
) -> None:
    """Attach a monitor to a runner: it reports every iteration, saves through the monitor, and stops when asked.

    A stop leaves ``runner.learn`` by :class:`..monitor.TrainingStopped`.

    Args:
        runner: rsl_rl's ``OnPolicyRunner``.
        monitor: Gets iterations and checkpoints.
        steps: Returns the environment steps done so far.
        infos: Returns what is written under ``infos`` into a checkpoint of an iteration.
        save_interval: Iterations between the runner's checkpoints.
        quiet: Whether to drop the page that the runner prints every iteration.
    """
    if not monitor.saves:
        _attach_silently(runner, monitor, steps, save_interval)
        return
    logging = runner if hasattr(runner, "log") else runner.logger
    log, save = logging.log, runner.save

    def on_log(*args: Any, **kwargs: Any) -> None:
        scalars = _scalars_of(logging.writer)
        scalars.clear()
        with contextlib.redirect_stdout(io.StringIO()) if quiet else contextlib.nullcontext():
            log(*args, **kwargs)
        iteration = runner.current_learning_iteration
        if monitor.iteration_done(iteration, steps(), dict(scalars)):
            runner.save(f"model_{iteration}.pt")
            raise TrainingStopped
        monitor.offer(iteration, lambda partial: save(str(partial), dict(infos(iteration))))

    def on_save(path: str, given: Mapping[str, object] | None = None) -> None:
        iteration = runner.current_learning_iteration
        everything = {**(given or {}), **infos(iteration)}
        monitor.save(iteration, lambda partial: save(str(partial), everything))

    logging.log, runner.save = on_log, on_save


def _attach_silently(runner: Any, monitor: Monitor, steps: Callable[[], int], save_interval: int) -> None:
    """Attach a monitor to the runner of a rank that does not log: all save and stop at the same iterations."""
    update = runner.alg.update

    def on_update(*args: Any, **kwargs: Any) -> Any:
        iteration = monitor.iteration
        losses = update(*args, **kwargs)
        stop = monitor.iteration_done(iteration, steps(), {})
        if stop or iteration == monitor.total - 1 or iteration % save_interval == 0:
            monitor.save(iteration, lambda partial: None)
        if stop:
            raise TrainingStopped
        return losses

    runner.alg.update = on_update


def _scalars_of(writer: Any) -> dict[str, float]:
    """Return what a writer was given since it was last cleared; one of the library's own is made to note it."""
    if hasattr(writer, "scalars"):
        noted: dict[str, float] = writer.scalars
        return noted
    scalars: dict[str, float] = {}
    if writer is None:
        return scalars
    add_scalar = writer.add_scalar

    def note(tag: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        note_scalar(scalars, tag, value)
        return add_scalar(tag, value, *args, **kwargs)

    writer.add_scalar, writer.scalars = note, scalars
    return scalars


def note_scalar(scalars: dict[str, float], tag: str, value: Any) -> None:
    """Note a scalar; ``.../time`` repeats a metric over another axis and is left out."""
    if not tag.endswith("/time"):
        scalars[tag] = float(value)


def grouped_class(runner_class: type[Any], rank: Rank) -> type[Any]:
    """Return the runner class; for one of several processes a subclass that uses the group that gaitway joined."""
    if not rank.several:
        return runner_class

    class GroupedRunner(runner_class):  # type: ignore[misc]
        def _configure_multi_gpu(self) -> None:
            """Replace rsl_rl's method of this name, which all releases since 2.3 have."""
            self.is_distributed = True
            self.gpu_world_size = rank.world
            self.gpu_local_rank = rank.local
            self.gpu_global_rank = rank.number
            self.multi_gpu_cfg = {"global_rank": rank.number, "local_rank": rank.local, "world_size": rank.world}
            self.cfg["multi_gpu"] = self.multi_gpu_cfg

    return GroupedRunner


@dataclass(frozen=True)
class RunnerState:
    """What a runner and its environment hold beside a checkpoint; see :class:`~...simulators.base.Stateful`."""

    runner: Any
    env: RslRlEnv | None = None
    """The embedded simulator's environment; a native one computes its observations anew."""
    copies: MirroredCopies | None = None
    overlap: Overlap | None = None

    def training_state(self) -> StateTree:
        """Return the statistics of episodes under way, the observations that act next, whose turn mirrors are.

        What an overlap holds beside them is there where one is.
        """
        logger = getattr(self.runner, "logger", None)
        return {
            "sums": {name: getattr(logger, name).cpu().numpy().copy() for name in _SUMS if hasattr(logger, name)},
            "recent": {name: list(getattr(logger, name)) for name in _RECENT if hasattr(logger, name)},
            "counts": {name: getattr(logger, name) for name in _COUNTS if hasattr(logger, name)},
            "observations": self.env.training_state() if self.env else {},
            "mirror": self.copies.turn if self.copies else 0,
            **({"overlap": self.overlap.training_state()} if self.overlap else {}),
        }

    def load_training_state(self, state: StateTree) -> None:
        """Restore :meth:`training_state`."""
        logger = getattr(self.runner, "logger", None)
        for name in _SUMS:
            if hasattr(logger, name):
                getattr(logger, name).copy_(torch.from_numpy(array_of(subtree(state, "sums"), name)))
        for name in _RECENT:
            if hasattr(logger, name):
                getattr(logger, name).extend(cast("list[float]", subtree(state, "recent")[name]))
        for name, count in subtree(state, "counts").items():
            setattr(logger, name, count)
        if self.env:
            self.env.load_training_state(subtree(state, "observations"))
        if self.copies:
            self.copies.turn = cast(int, state["mirror"])
        if self.overlap:
            self.overlap.load_training_state(subtree(state, "overlap"))


_SUMS = ("cur_reward_sum", "cur_episode_length")
_RECENT = ("rewbuffer", "lenbuffer")
_COUNTS = ("tot_timesteps", "tot_time")
"""Attributes of rsl_rl's logger, from release 4 on; before, they are variables of the loop."""


def load_into(
    runner: Any, saved: SavedTraining, *, everything: bool, networks: Sequence[str] = ("actor", "critic")
) -> None:
    """Load weights and normalisers; with ``everything`` the optimiser and its learning rate too.

    The runner's iteration is left to the caller: the library's releases count it differently.

    Raises:
        UsageError: The file's tensors are not those of this runner's networks.
    """
    try:
        if hasattr(runner.alg, "load"):
            more = {"optimizer": everything, "iteration": False, "rnd": everything}
            parts = {name: name in networks for name in ("actor", "critic")} | more
            runner.alg.load(dict(saved.content), parts, strict=True)
        else:  # before rsl_rl 4; the file was checked to hold tensors alone when it was read
            runner.load(str(saved.path), load_optimizer=everything)
    except (RuntimeError, ValueError, KeyError) as error:
        raise misfit(saved, error) from None
    if everything:
        # PPO keeps the adaptive rate in a variable of its own; releases before 5.4.2 do not load it.
        runner.alg.learning_rate = runner.alg.optimizer.param_groups[0]["lr"]
