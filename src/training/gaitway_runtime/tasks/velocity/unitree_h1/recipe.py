"""Settings with which H1 learns to walk: yaw joints begin with small movements."""

from dataclasses import replace

from ..recipe import BIPED_RSL_RL, SKRL

RSL_RL = replace(BIPED_RSL_RL, initial_std=(("hip_yaw", 0.2), ("torso", 0.12)))

ROUGH_RSL_RL = replace(RSL_RL, late_inputs=("height_scan",))

__all__ = ["ROUGH_RSL_RL", "RSL_RL", "SKRL"]
