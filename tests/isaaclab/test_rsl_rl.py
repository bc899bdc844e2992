"""The journey with rsl_rl."""

from .journey import JourneyTests


class TestRslRl(JourneyTests):
    backend = "rsl_rl"
