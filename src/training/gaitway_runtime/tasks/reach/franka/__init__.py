"""``Isaac-Reach-Franka-v0``: a Franka arm brings its hand to a commanded pose."""

from .. import register_reach

register_reach("franka", robot="franka_panda", shown="a Franka arm", stem="Franka", joints=9, moved=7)
