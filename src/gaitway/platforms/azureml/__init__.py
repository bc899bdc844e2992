"""Azure ML: a command job, submitted with Microsoft's own client and followed over its REST interface."""

from .platform import AzuremlPlatform


def create() -> AzuremlPlatform:
    """Return the platform."""
    return AzuremlPlatform()
