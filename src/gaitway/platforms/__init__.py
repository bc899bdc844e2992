"""Platforms: where a job can run. One module each and one row in :data:`gaitway.platforms.base.PLATFORMS`."""
