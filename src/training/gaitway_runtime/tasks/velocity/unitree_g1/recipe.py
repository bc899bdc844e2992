"""Settings with which G1 learns to walk: yaw joints begin with small movements, arms and hands with large ones.

How far an update changes the policy is measured in deviations of all actions together. Arms and hands are 24 of the 37
and matter little: with large deviations they leave most of an update to the legs.
"""

from dataclasses import replace

from ...learning import DistributionCfg
from ..recipe import BIPED_FLAT_STEPS, BIPED_RSL_RL, SKRL, with_late_scan

RSL_RL = replace(
    BIPED_RSL_RL,
    actor=replace(BIPED_RSL_RL.actor, distribution_cfg=DistributionCfg(init_std=0.5, std_type="log")),
    initial_std=(
        *(("shoulder", 0.3), ("elbow", 0.3), ("torso", 0.1)),
        *(("_hip_", 0.25), ("knee", 0.25), ("ankle", 0.25), ("hip_yaw", 0.12)),
    ),
)

ROUGH_RSL_RL = with_late_scan(RSL_RL, BIPED_FLAT_STEPS)

__all__ = ["ROUGH_RSL_RL", "RSL_RL", "SKRL"]
