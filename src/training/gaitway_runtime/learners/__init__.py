"""Learners: one module each, found by name in :data:`gaitway_runtime.learners.base.LEARNERS`."""
