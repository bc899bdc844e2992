"""The job's own process: signals, ends, watchdogs, progress. Standard library only."""
