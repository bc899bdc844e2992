"""The project's errors, as the user's side knows them. They are defined once, beside the vocabulary they share."""

from gaitway_runtime.spec.errors import (
    ConfigError,
    GaitwayError,
    GateFailed,
    Interrupted,
    JobFailed,
    PlatformError,
    UsageError,
    nearest,
    unusable_port,
)

__all__ = [
    "ConfigError",
    "GaitwayError",
    "GateFailed",
    "Interrupted",
    "JobFailed",
    "PlatformError",
    "UsageError",
    "nearest",
    "unusable_port",
]
