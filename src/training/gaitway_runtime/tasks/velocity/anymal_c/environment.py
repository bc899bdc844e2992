"""The velocity tasks as data."""

from ..anymal_environment import flat_ground, rough_ground
from ..quadruped import played
from .robot import FOOT_RADIUS, SPEC

FLAT = flat_ground(SPEC, "ANYmal C", FOOT_RADIUS)
ROUGH = rough_ground(FLAT, FOOT_RADIUS)
ROUGH_PLAY = played(ROUGH)
