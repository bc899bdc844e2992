"""Make a sample of a checkpoint: everything a policy needs, without the optimiser's state.

Usage: python samples/strip.py CHECKPOINT SAMPLE
"""

import sys
from pathlib import Path

import torch


def strip(checkpoint: Path, sample: Path) -> None:
    """Write a copy of an rsl_rl 5 checkpoint without the optimiser and the critic."""
    content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    kept = {key: value for key, value in content.items() if key not in ("optimizer_state_dict", "critic_state_dict")}
    torch.save(kept, sample)


if __name__ == "__main__":
    strip(Path(sys.argv[1]), Path(sys.argv[2]))
