"""The velocity tasks as data."""

from ..quadruped import played
from ..unitree_environment import flat_ground, rough_ground
from .robot import FOOT_RADIUS, SPEC

FLAT = flat_ground(
    SPEC,
    FOOT_RADIUS,
    "Isaac Lab drives Go1 with a network that is not public; here an implicit PD drive stands in",
)
ROUGH = rough_ground(FLAT, FOOT_RADIUS)
ROUGH_PLAY = played(ROUGH)
