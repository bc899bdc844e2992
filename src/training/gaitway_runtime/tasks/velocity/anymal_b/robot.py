"""ANYmal B (33.3 kg) in primitive geoms.

Masses, centres of mass and kinematics are those of MuJoCo Menagerie's ``anybotics_anymal_b`` (made from ANYbotics' own
description), its principal inertia about the nearest axes. Isaac Lab drives B, C and D with the same network; the
stand-in is ANYmal C's implicit PD drive.
"""

from __future__ import annotations

from ..anymal import Anymal, LegBody, generation

SOLE = 0.031
SPEC = generation(
    "anymal_b",
    Anymal(
        base_mass=19.2035,
        base_com=(0.0025, 0.0, 0.0502071),
        base_inertia=(0.217374, 0.639559, 0.624031),
        base_half=(0.33, 0.135, 0.12),
        hip=LegBody(
            mass=1.42462, com=(0.0645163, -0.0037871, -0.000152184), inertia=(0.00243341, 0.00230249, 0.00197758)
        ),
        hip_at=(0.277, 0.116, 0.0),
        thigh=LegBody(
            mass=1.63498, com=(-0.00389797, 0.0542266, -0.214583), inertia=(0.0120427, 0.0122697, 0.00228302)
        ),
        thigh_at=(0.0635, 0.041, 0.0),
        shank=LegBody(
            mass=0.472163, com=(0.0696396, -0.0132494, -0.150905), inertia=(0.0110666, 0.0116034, 0.000723761)
        ),
        shank_at=(0.0, 0.109, -0.25),
        foot_at=(0.1, -0.02, -0.27475),
        sole=SOLE,
        haa_range=(-0.72, 0.49),
    ),
)
