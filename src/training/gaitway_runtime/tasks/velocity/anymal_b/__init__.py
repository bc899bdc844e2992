"""``Isaac-Velocity-Flat-Anymal-B-v0`` and ``-Rough-``: ANYmal B walks at a commanded velocity."""

from .. import Walker, register_quadruped

register_quadruped(
    Walker(module="anymal_b", robot="anymal_b", shown="ANYmal-B", stem="Anymal-B", contrib=True),
    flat_reward=15.0,
    rough_reward=7.0,
)
