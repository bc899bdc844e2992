"""rsl_rl's runner as one of several processes.

rsl_rl exchanges gradients, the learning rate and the first weights by itself as soon as ``WORLD_SIZE`` says that there
are others. Its way of meeting them asks for GPUs and NCCL; here they have met already (``gaitway_runtime.team``), by
gloo where there is no GPU.
"""

from __future__ import annotations

from typing import Any

from .. import ranks


def of_group(runner_class: type[Any]) -> type[Any]:
    """Return the runner class, or for one of several processes a subclass of it that takes the group as it is."""
    rank = ranks.current()
    if not rank.several:
        return runner_class

    class GroupedRunner(runner_class):  # type: ignore[misc]
        def _configure_multi_gpu(self) -> None:
            """Take the place of rsl_rl's method of this name, which all releases since 2.3 have."""
            self.is_distributed = True
            self.gpu_world_size = rank.world
            self.gpu_local_rank = rank.local
            self.gpu_global_rank = rank.number
            self.multi_gpu_cfg = {"global_rank": rank.number, "local_rank": rank.local, "world_size": rank.world}
            self.cfg["multi_gpu"] = self.multi_gpu_cfg

    return GroupedRunner
