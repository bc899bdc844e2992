"""What a file and the configuration beside it say of each other, and the errors where they disagree."""

from __future__ import annotations

from typing import Any

from ...errors import UsageError
from ..surroundings import Surroundings
from ..weights import Linear


def check_hidden_sizes(linears: tuple[Linear, ...], around: Surroundings, configured: Any) -> None:
    """Refuse a configuration that lies beside the file but describes another network.

    Nothing else that it says would then be true of this one.

    Args:
        linears: All layers of the policy.
        around: For the error: where the configuration is.
        configured: Its hidden sizes; ``-1`` stands for the input's. Anything but a list of numbers is passed over.

    Raises:
        UsageError: Its hidden sizes are not the weights'.
    """
    if not isinstance(configured, list) or not all(isinstance(size, int) for size in configured):
        return
    sizes = [int(layer.weight.shape[0]) for layer in linears[:-1]]
    width = int(linears[0].weight.shape[1])
    if [width if size == -1 else size for size in configured] != sizes:
        raise UsageError(
            f"the configuration beside the checkpoint is of another network: hidden layers {configured}, "
            f"where the weights have {sizes}",
            source=str(around.agent_file),
            hint="put the configuration of the run that made this checkpoint beside it",
        )


def missing_normalizer(where: str, around: Surroundings, expected: bool | None, *, other: str | None) -> UsageError:
    """Return the error for a policy whose observation statistics are gone.

    Args:
        where: The statistics' place in the file.
        around: What was looked at.
        expected: What the configuration and the markers say; None where nothing tells.
        other: The part of the same file that is normalised, which is the evidence when nothing tells.
    """
    if not expected:
        evidence = f"its {other} is normalised and nothing says that the policy was not"
    elif any(marker.obs_normalization for marker in around.markers()):
        evidence = "gaitway recorded that it was trained with one"
    else:
        evidence = f"{around.agent_file} says that it was trained with one"
    return UsageError(
        "the checkpoint has no observation normaliser, and without it the policy would act on wrong numbers: "
        + evidence,
        source=f"{where} (not in the file)",
        hint="use the checkpoint as the trainer wrote it; a policy that was trained without a normaliser needs its "
        "run's params/agent.yaml beside it to say so",
    )


def unclear_output(rows: int, around: Surroundings) -> UsageError:
    """Return the error for a last layer that could be actions, or half as many with their spread."""
    return UsageError(
        f"the checkpoint has no action spread, and its {rows} outputs could be {rows} actions or fewer with "
        "their spread beside them",
        source="; ".join(around.looked),
        hint="put the run's params/agent.yaml beside the checkpoint; it names the distribution",
    )
