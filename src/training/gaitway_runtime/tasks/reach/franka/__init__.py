"""``Isaac-Reach-Franka-v0``: a Franka arm brings its hand to a commanded pose."""

from ....spec.catalog import LocalScale
from .. import POSE, register_reach

register_reach(
    "franka",
    robot="franka_panda",
    shown="a Franka arm",
    stem="Franka",
    joints=9,
    moved=7,
    recipe="FRANKA_RSL_RL",
    local=LocalScale(512, 450, 50),
    reached=POSE,
    success_rate=0.8,
)
