"""``Isaac-Reach-UR10-v0``: a UR10 brings its end effector to a commanded pose."""

from .. import register_reach

register_reach("ur10", robot="ur10", shown="a UR10", stem="UR10", joints=6, moved=6)
