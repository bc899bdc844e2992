"""ANYmal D (51.5 kg) in primitive geoms.

Masses, centres of mass, inertia and kinematics are those of ANYbotics' ``anymal_d_simple_description`` with fixed
joints fused and without the inspection payload. Isaac Lab drives B, C and D with the same network; the stand-in is
ANYmal C's implicit PD drive.
"""

from __future__ import annotations

from ..anymal import Anymal, LegBody, generation

SOLE = 0.0315
SPEC = generation(
    "anymal_d",
    Anymal(
        base_mass=26.36305,
        base_com=(-0.016448, 0.000682, -0.011954),
        base_inertia=(0.251773, 1.467867, 1.533961, 0.005084, 0.023868, 0.000583),
        base_half=(0.44, 0.14, 0.09),
        hip=LegBody(mass=0.36586, com=(0.035047, -0.001227, 0.0), inertia=(0.000239, 0.000558, 0.000443)),
        hip_at=(0.304, 0.109, 0.0),
        thigh=LegBody(
            mass=5.1322,
            com=(-0.000088, 0.090511, -0.140188),
            inertia=(0.107959, 0.10488, 0.013933, 0.000142, 0.000403, 0.020059),
        ),
        thigh_at=(0.069, 0.006, 0.0),
        shank=LegBody(
            mass=0.79598,
            com=(0.050934, 0.008086, -0.090019),
            inertia=(0.016665, 0.018911, 0.002531, 0.000054, 0.003549, 0.000062),
        ),
        shank_at=(0.0, 0.1805, -0.285),
        foot_at=(0.1, 0.014109, -0.362077),
        sole=SOLE,
        haa_range=(-0.7853985, 0.6108655),
    ),
)
