"""The reach task as data."""

import math

from ..environment import OFF, POSE, reaching
from .robot import ARM, SPEC

REACH = reaching(
    SPEC,
    ARM,
    pitch=math.pi,
    spread=(0.5, 1.5),
    shaped=POSE,
    privileged=OFF,
    notes=("the fingers' drives hold them open; no action moves them",),
)
