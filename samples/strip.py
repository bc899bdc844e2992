"""Make a sample of a checkpoint, or of the mean of several: all that a policy needs, without the optimiser's state.

Usage: python samples/strip.py CHECKPOINT [CHECKPOINT ...] SAMPLE
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

ACTOR = "actor_state_dict"


def strip(checkpoints: Sequence[Path], sample: Path) -> None:
    """Write the last of some rsl_rl 5 checkpoints without optimiser and critic, with the mean of all their weights."""
    contents = [torch.load(path, map_location="cpu", weights_only=True) for path in checkpoints]
    dropped = ("optimizer_state_dict", "critic_state_dict")
    kept = {key: value for key, value in contents[-1].items() if key not in dropped}
    kept[ACTOR] = {name: _mean([content[ACTOR][name] for content in contents]) for name in kept[ACTOR]}
    torch.save(kept, sample)


def _mean(values: Sequence[Any]) -> Any:
    """Return the mean of tensors of floats; of anything else the last."""
    last = values[-1]
    averaged = len(values) > 1 and torch.is_tensor(last) and torch.is_floating_point(last)
    return torch.stack(list(values)).mean(0) if averaged else last


if __name__ == "__main__":
    *sources, target = map(Path, sys.argv[1:])
    strip(sources, target)
