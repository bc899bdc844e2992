"""See ``tests.fakes.isaaclab2``."""
