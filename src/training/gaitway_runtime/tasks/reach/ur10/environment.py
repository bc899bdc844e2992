"""The reach task as data."""

import math

from ..environment import reaching
from .robot import JOINTS, SPEC

REACH = reaching(
    SPEC,
    JOINTS,
    pitch=math.pi / 2,
    spread=(0.75, 1.25),
    notes=("the torque limit holds for the drives' stiffness alone; their damping comes on top of it",),
)
