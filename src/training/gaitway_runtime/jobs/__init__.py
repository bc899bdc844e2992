"""Jobs: one file a kind, found by name in :data:`gaitway_runtime.__main__.JOBS`."""
