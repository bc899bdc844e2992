"""``Isaac-Reach-UR10-v0``: a UR10 brings its end effector to a commanded pose."""

from ....spec.catalog import LocalScale
from .. import POSITION, register_reach

register_reach(
    "ur10",
    robot="ur10",
    shown="a UR10",
    stem="UR10",
    joints=6,
    moved=6,
    recipe="POSITION_RSL_RL",
    local=LocalScale(512, 120, 20),
    reached=POSITION,
    success_rate=0.9,
)
