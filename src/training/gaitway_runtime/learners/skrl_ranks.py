"""skrl as one of several processes.

skrl exchanges first weights, gradients and the KL divergence that steers the learning rate. It would meet the others
by NCCL as soon as it is imported; here they have met already (``gaitway_runtime.team``). The statistics by which it
standardises observations and values stay each process's own: those of the first are saved.
"""

from __future__ import annotations

from .. import ranks


def tell_of_group() -> None:
    """Import skrl, if nobody has, and let it know of the other processes; before anything of it is made."""
    rank = ranks.current()
    if not rank.several:
        return
    with ranks.unseen():
        from skrl import config
    known = config.torch
    known._local_rank, known._rank, known._world_size = rank.local, rank.number, rank.world
    known._is_distributed = True
