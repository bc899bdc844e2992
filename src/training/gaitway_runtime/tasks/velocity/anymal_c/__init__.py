"""``Isaac-Velocity-Flat-Anymal-C-v0`` and ``-Rough-``: ANYmal C walks at a commanded velocity."""

from .. import Walker, register_quadruped

register_quadruped(
    Walker(module="anymal_c", robot="anymal_c", shown="ANYmal-C", stem="Anymal-C", contrib=True),
    flat_reward=15.0,
    rough_reward=7.0,
)
