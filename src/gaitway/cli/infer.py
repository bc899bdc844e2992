"""``gaitway infer``."""

from gaitway_runtime.job import InferJob

from .jobs import JobCommand

command = JobCommand(InferJob)
