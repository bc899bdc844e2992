"""gaitway: train, validate and ship robot policies; the same job on a laptop, on Azure ML, or on NVIDIA OSMO."""

__version__ = "0.1.0"
