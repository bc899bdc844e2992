"""What the families of one library share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ...errors import UsageError
from ..network import Normalizer
from ..surroundings import Surroundings
from ..weights import Linear, StateDict

RSL_RL_EPS = 1e-2
"""Added to the standard deviation by rsl_rl's ``EmpiricalNormalization`` (2.x to 5.x); it is not in the file."""


def empirical_normalizer(
    entries: StateDict, *, expected: bool | None, other_is_normalized: bool, where: str, around: Surroundings
) -> Normalizer | None:
    """Read rsl_rl's ``EmpiricalNormalization``: ``(obs - mean) / (std + 0.01)``.

    Args:
        entries: ``_mean``, ``_var``, ``_std``, ``count``; empty where the file has none.
        expected: What the configuration or the marker says; None where nothing tells.
        other_is_normalized: Whether the critic (or teacher) of the same file is normalised.
        where: The entries' place in the file, for errors.
        around: For errors: what was looked at.

    Raises:
        UsageError: The statistics should be there and are not, or are not whole.
    """
    if not entries:
        if expected or (expected is None and other_is_normalized):
            raise missing_normalizer(where, around, "its critic" if not expected else None)
        return None
    absent = [name for name in ("_mean", "_std") if name not in entries]
    if absent:
        raise UsageError(f"the checkpoint's observation normaliser is not whole: {where}.{absent[0]} is missing")
    mean, std = entries["_mean"].reshape(-1).float(), entries["_std"].reshape(-1).float()
    if bool((std < 0).any()):
        raise UsageError(f"the checkpoint's {where}._std has negative values")
    return Normalizer("empirical", mean, std, RSL_RL_EPS)


def missing_normalizer(where: str, around: Surroundings, normalized_part: str | None) -> UsageError:
    """Return the error for a policy whose observation statistics are gone."""
    if normalized_part:
        evidence = f"{normalized_part} in the same file is normalised and nothing says that the policy was not"
    elif any(marker.obs_normalization for marker in around.markers()):
        evidence = "gaitway recorded that it was trained with one"
    else:
        evidence = f"{around.agent_file} says that it was trained with one"
    return UsageError(
        "the checkpoint has no observation normaliser, and without it the policy would act on wrong numbers: "
        + evidence,
        source=f"{where} (not in the file)",
        hint="use the checkpoint as the trainer wrote it; a policy that was trained without one needs "
        "params/agent.yaml beside it to say so",
    )


def check_hidden_sizes(linears: tuple[Linear, ...], around: Surroundings, paths: tuple[str, ...]) -> None:
    """Refuse a configuration that was found beside the file but describes another network.

    Raises:
        UsageError: Its hidden sizes are not the weights'; whatever else it says is then not to be trusted either.
    """
    configured = around.config(*paths)
    if not isinstance(configured, list):
        return
    sizes = [int(layer.weight.shape[0]) for layer in linears[:-1]]
    width = int(linears[0].weight.shape[1])
    if [width if size == -1 else size for size in configured] != sizes:
        raise UsageError(
            f"the configuration beside the checkpoint is of another network: hidden layers {configured}, "
            f"where the weights have {sizes}",
            source=str(around.agent_file),
            hint="put the params/agent.yaml of the run that made this checkpoint beside it",
        )


def iteration_of(checkpoint: Mapping[str, Any]) -> int | None:
    """Return rsl_rl's iteration counter."""
    found = checkpoint.get("iter")
    if isinstance(found, torch.Tensor) and found.numel() == 1:
        return int(found)
    return found if isinstance(found, int) else None
