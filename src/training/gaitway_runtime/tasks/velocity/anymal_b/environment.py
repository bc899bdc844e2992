"""The velocity tasks as data."""

from ..anymal_environment import flat_ground, rough_ground
from ..quadruped import played
from .robot import SOLE, SPEC

FLAT = flat_ground(SPEC, "ANYmal B", SOLE)
ROUGH = rough_ground(FLAT, SOLE)
ROUGH_PLAY = played(ROUGH)
