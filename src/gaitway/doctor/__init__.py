"""``gaitway doctor``: a read-only look at everything a job will need, each finding with its fix."""
