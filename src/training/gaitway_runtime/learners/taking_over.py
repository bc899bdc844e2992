"""Taking over a checkpoint: what is loaded into a library's own objects, whichever environment they train in."""

from __future__ import annotations

from typing import Any

from ..errors import UsageError
from .checkpoints import SavedTraining

SKRL_OPTIMIZER = "optimizer"


def load_rsl_rl(runner: Any, saved: SavedTraining, *, everything: bool) -> None:
    """Take over weights and normalisers; with ``everything`` the optimiser and its learning rate too.

    The runner's iteration is left to the caller: the libraries' releases count it differently.

    Raises:
        UsageError: The file's tensors are not those of this runner's networks.
    """
    try:
        if hasattr(runner.alg, "load"):
            parts = {"actor": True, "critic": True, "optimizer": everything, "iteration": False, "rnd": everything}
            runner.alg.load(dict(saved.content), parts, strict=True)
        else:  # before rsl_rl 4; the file was proven to hold tensors alone when it was read
            runner.load(str(saved.path), load_optimizer=everything)
    except (RuntimeError, ValueError, KeyError) as error:
        raise _misfit(saved, error) from None
    if everything:
        # PPO keeps the adaptive rate in a variable of its own; releases before 5.4.2 do not load it.
        runner.alg.learning_rate = runner.alg.optimizer.param_groups[0]["lr"]


def load_skrl(agent: Any, saved: SavedTraining, *, everything: bool) -> None:
    """Take over networks and scalers; with ``everything`` the optimiser, which has the learning rate, too.

    Raises:
        UsageError: The file's tensors are not those of this agent's networks.
    """
    try:
        for name, module in agent.checkpoint_modules.items():
            if name in saved.content and (everything or name != SKRL_OPTIMIZER):
                module.load_state_dict(saved.content[name])
    except (RuntimeError, ValueError, KeyError) as error:
        raise _misfit(saved, error) from None


def _misfit(saved: SavedTraining, error: Exception) -> UsageError:
    reason = " ".join(str(error).split())
    return UsageError(f"the checkpoint does not fit this configuration: {reason}", source=str(saved.path))
