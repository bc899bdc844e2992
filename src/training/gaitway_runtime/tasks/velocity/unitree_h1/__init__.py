"""``Isaac-Velocity-Flat-H1-v0`` and ``-Rough-``: H1 walks at a commanded velocity."""

from .. import Walker, register_biped

register_biped(
    Walker(module="unitree_h1", robot="unitree_h1", shown="H1", stem="H1", joints=19),
    "gaitway_runtime.tasks.velocity.unitree_h1.recipe",
    iterations=(400, 1200),
)
