"""``gaitway dump-contract``."""

from gaitway_runtime.job import DumpContractJob

from .jobs import JobCommand

command = JobCommand(DumpContractJob)
