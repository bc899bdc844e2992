"""``Isaac-Velocity-Flat-Unitree-Go2-v0`` and ``-Rough-``: Go2 walks at a commanded velocity."""

from .. import Walker, register_quadruped

register_quadruped(
    Walker(module="unitree_go2", robot="unitree_go2", shown="Go2", stem="Unitree-Go2"),
    flat_reward=25.0,
    rough_reward=10.0,
    iterations=(300, 600),
    recipes=("SYMMETRIC_WIDE_RSL_RL", "WIDE_ROUGH_RSL_RL"),
)
