"""``Isaac-Velocity-Flat-Unitree-Go1-v0`` and ``-Rough-``: Go1 walks at a commanded velocity."""

from .. import Walker, register_quadruped

register_quadruped(
    Walker(module="unitree_go1", robot="unitree_go1", shown="Go1", stem="Unitree-Go1", contrib=True),
    flat_reward=25.0,
    rough_reward=10.0,
    iterations=(300, 600),
    recipes=("SYMMETRIC_WIDE_RSL_RL", "WIDE_ROUGH_RSL_RL"),
)
