"""Deployers' own code, unmodified, run on the files that ``export --for`` writes for them."""
