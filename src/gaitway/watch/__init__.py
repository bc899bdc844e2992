"""Training page: a run's curves, progress and log, served while it runs and kept as a file when it ends."""
