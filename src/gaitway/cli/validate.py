"""``gaitway validate``."""

from gaitway_runtime.job import ValidateJob

from .jobs import JobCommand

command = JobCommand(ValidateJob)
