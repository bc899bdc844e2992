"""Settings with which H1 learns to walk: symmetric networks, and small movements of the yaw joints to begin with.

G1 keeps mirrored copies: it left its harness after 80 iterations with them, after 110 and 180 with symmetric networks.
"""

from dataclasses import replace

from ..recipe import BIPED_FLAT_STEPS, BIPED_RSL_RL, SKRL, with_late_scan

RSL_RL = replace(BIPED_RSL_RL, symmetric=True, fast_update=True, initial_std=(("hip_yaw", 0.2), ("torso", 0.12)))

ROUGH_RSL_RL = with_late_scan(RSL_RL, BIPED_FLAT_STEPS)

__all__ = ["ROUGH_RSL_RL", "RSL_RL", "SKRL"]
