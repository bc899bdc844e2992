"""``Isaac-Velocity-Flat-G1-v0`` and ``-Rough-``: G1 walks at a commanded velocity."""

from .. import Walker, register_biped

register_biped(
    Walker(module="unitree_g1", robot="unitree_g1", shown="G1", stem="G1", joints=37),
    "gaitway_runtime.tasks.velocity.unitree_g1.recipe",
    iterations=(480, 1500),
)
