"""Jobs: one file a kind, found by name in :data:`gaitway_runtime.jobs.base.JOBS`."""
