"""``gaitway train``."""

from gaitway_runtime.job import TrainJob

from .jobs import JobCommand

command = JobCommand(TrainJob)
