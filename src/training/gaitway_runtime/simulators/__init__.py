"""Simulators: one module each, found by name in :data:`gaitway_runtime.simulators.base.SIMULATORS`."""
