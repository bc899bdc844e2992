"""``Isaac-Velocity-Flat-Unitree-A1-v0`` and ``-Rough-``: A1 walks at a commanded velocity."""

from .. import Walker, register_quadruped

register_quadruped(
    Walker(module="unitree_a1", robot="unitree_a1", shown="A1", stem="Unitree-A1", contrib=True),
    flat_reward=25.0,
    rough_reward=10.0,
    iterations=(300, 600),
    recipes=("SYMMETRIC_WIDE_RSL_RL", "WIDE_ROUGH_RSL_RL"),
)
