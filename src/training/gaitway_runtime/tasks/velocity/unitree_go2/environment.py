"""The velocity tasks as data."""

from ..quadruped import played
from ..unitree_environment import flat_ground, rough_ground
from .robot import FOOT_RADIUS, SPEC

FLAT = flat_ground(
    SPEC,
    FOOT_RADIUS,
    "Isaac Lab's motors lose torque with speed; here an implicit PD drive with the same limit stands in",
)
ROUGH = rough_ground(FLAT, FOOT_RADIUS)
ROUGH_PLAY = played(ROUGH)
