"""Ways to learn: which of those that a configuration asks for can be taken, and why not the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ...process.machine import usable
from .overlap import Overlap
from .precision import obstacle_to_bfloat16
from .symmetric import NotSymmetric, tie
from .update import FastUpdate, obstacle

if TYPE_CHECKING:
    from rsl_rl.algorithms import PPO

    from ...simulators.base import Mirror
    from ...tasks.learning import RslRlCfg
    from .symmetric import Tie


@dataclass(frozen=True)
class Ways:
    """How a training learns."""

    told: Sequence[str]
    """Each way for the log, with the reason where it is not as asked."""
    overlap: Overlap | None = None


def choose(
    algorithm: PPO, config: RslRlCfg, mirrors: Sequence[Mirror], groups: Mapping[str, Sequence[str]], *, drawn: bool
) -> Ways:
    """Make rsl_rl's PPO learn as the configuration asks where it can.

    Args:
        algorithm: The algorithm.
        config: The configuration.
        mirrors: The task's symmetries.
        groups: The observation groups of each network.
        drawn: Whether the weights are freshly drawn, and not those of a checkpoint.
    """
    ways, ties = _mirrored(algorithm, config, mirrors, groups, drawn=drawn)
    mixed = algorithm.use_mixed_precision
    lacking = f" ({obstacle_to_bfloat16()})" if config.algorithm.use_mixed_precision and not mixed else ""
    ways.append("bfloat16" if mixed else f"float32{lacking}")
    why_not_fast = obstacle(algorithm)
    fast = config.fast_update and not why_not_fast
    why_no_overlap = _obstacle_to_overlap(algorithm, fast=fast)
    beside = config.overlap and not why_no_overlap
    if config.fast_update:
        ways.append("the fast update" if fast else f"rsl_rl's own update ({why_not_fast})")
    if config.overlap:
        ways.append("playing beside it" if beside else f"no playing beside it ({why_no_overlap})")
    ways.append(_threads(config.torch_threads))
    if not fast:
        return Ways(ways)
    algorithm.update = update = FastUpdate(algorithm, mixed=mixed, ties=ties, stale=beside)
    torch.set_num_threads(update.playing_threads)
    return Ways(ways, Overlap(algorithm, update, mixed=mixed) if beside else None)


def _mirrored(
    algorithm: PPO, config: RslRlCfg, mirrors: Sequence[Mirror], groups: Mapping[str, Sequence[str]], *, drawn: bool
) -> tuple[list[str], Sequence[Tie | None]]:
    """Tie the networks where they can be tied; return how mirror images are learnt, and the networks' ties."""
    if algorithm.symmetry is None:
        return [], (None, None)
    if not config.symmetric:
        return ["mirrored copies"], (None, None)
    try:
        return ["symmetric networks"], tie(algorithm, mirrors, groups, drawn=drawn)
    except NotSymmetric as why:
        return [f"mirrored copies ({why})"], (None, None)


def _obstacle_to_overlap(algorithm: PPO, *, fast: bool) -> str:
    """Return why nothing can be played while an update runs, or nothing where it can."""
    if not fast:
        return "that needs the fast update"
    if algorithm.is_multi_gpu:
        return "several processes learn together"
    return "there is one thread" if torch.get_num_threads() == 1 else ""


def _threads(asked: int) -> str:
    """Return how many threads learn, and why where they are fewer than asked for."""
    threads, why = torch.get_num_threads(), usable().why
    return f"{threads} thread{'s' * (threads > 1)}" + (f" ({why})" if why and threads < asked else "")
