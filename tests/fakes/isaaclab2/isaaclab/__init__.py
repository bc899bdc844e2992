"""The package that must not be imported before its application runs; see ``tests.fakes.isaaclab2``."""

started = False
