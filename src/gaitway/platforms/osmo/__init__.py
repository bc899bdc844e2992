"""NVIDIA OSMO: workflows through the ``osmo`` command, on releases 6.2 to 6.4."""
