"""Table of learners, which settings choose from and other packages extend. Standard library only."""

from __future__ import annotations

from .registry import Registry

LEARNERS: Registry[object] = Registry(
    "gaitway.learners",
    "learner",
    {
        "rsl_rl": "gaitway_runtime.learners.rsl_rl:LEARNER",
        "skrl": "gaitway_runtime.learners.skrl:LEARNER",
    },
)
"""Learners by ``--backend``. A row is a :class:`gaitway_runtime.learners.base.Learner`."""
