"""This machine: the same payload and ``job.json`` as everywhere, in a process group of its own."""

from .platform import create

__all__ = ["create"]
