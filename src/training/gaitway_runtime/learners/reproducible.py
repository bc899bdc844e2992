"""The same seed gives the same weights, bit for bit, on the same machine."""

from __future__ import annotations

import random

import numpy as np
import torch

from ..cpus import available_cpus


def seed_everything(seed: int, threads: int | None = None) -> None:
    """Seed every generator that training draws from, and fix what else the result depends on: the thread count.

    Args:
        seed: Any whole number that is not negative.
        threads: Most threads for the networks; never more than there are cores to run on. None leaves it to torch.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    if threads is not None:
        torch.set_num_threads(max(1, min(threads, available_cpus())))
