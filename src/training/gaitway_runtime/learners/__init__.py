"""Learners, found by name in :data:`gaitway_runtime.spec.learners.LEARNERS`; a folder for each library."""
