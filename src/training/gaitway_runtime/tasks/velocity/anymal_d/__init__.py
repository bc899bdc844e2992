"""``Isaac-Velocity-Flat-Anymal-D-v0`` and ``-Rough-``: ANYmal D walks at a commanded velocity."""

from .. import Walker, register_quadruped

register_quadruped(
    Walker(module="anymal_d", robot="anymal_d", shown="ANYmal-D", stem="Anymal-D", contrib=False),
    flat_reward=15.0,
    rough_reward=7.0,
)
