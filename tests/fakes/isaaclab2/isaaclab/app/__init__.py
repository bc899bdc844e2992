"""See ``tests.fakes.isaaclab2``."""

from .app_launcher import AppLauncher as AppLauncher
