"""A stand-in for the runtime: does at once, or waits for, what ``--set KEY=VALUE`` asks of it."""
