"""Interfaces of a job's tracker, and of the store behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..spec.errors import GaitwayError
from .journal import Artifact, End, Open, Record


@dataclass(frozen=True)
class ModelVersion:
    """A registered model version."""

    name: str
    version: str


class Tracker(Protocol):
    """One tracked run. No call raises for a store that is away: what could not be sent is kept and sent later."""

    @property
    def run_id(self) -> str:
        """The store's id of the run; empty as long as the store has been away."""
        ...

    @property
    def experiment(self) -> str:
        """Name of the experiment the run belongs to."""
        ...

    @property
    def url(self) -> str:
        """Where a person can look at the run; empty as long as the store has been away."""
        ...

    @property
    def superseded(self) -> GaitwayError | None:
        """Why nothing more is published: a later attempt continues the run; None while none does."""
        ...

    def settle(self) -> None:
        """Wait for the store's answer to the opening of the run, where that was left for later.

        Raises:
            ConfigError: It refuses this user or this job.
        """
        ...

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Queue metrics; returns at once."""
        ...

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set run tags."""
        ...

    def log_params(self, params: Mapping[str, str]) -> None:
        """Set run parameters."""
        ...

    def publish(self, path: Path, artifact_path: str) -> str:
        """Queue a file or folder for upload to the folder ``artifact_path`` and return its address to be."""
        ...

    def publish_checkpoint(self, path: Path, iteration: int, *, final: bool = False) -> str:
        """Queue a complete checkpoint for ``checkpoints/`` (or ``checkpoints/final/``); return its address to be."""
        ...

    def publish_companion(self, path: Path) -> None:
        """Upload a checkpoint's companion below ``checkpoints/``; only the newest ones are kept there."""
        ...

    def register_model(self, name: str, artifact_path: str, tags: Mapping[str, str]) -> ModelVersion:
        """Register the folder artifact ``artifact_path`` as a new version of ``name``.

        Raises:
            PlatformError: The registry refused or is away.
        """
        ...

    def published(self, address: str) -> str | None:
        """Return the address under which a queued file can be fetched, or None while it has not arrived.

        Args:
            address: Value that :meth:`publish` or :meth:`publish_checkpoint` returned.
        """
        ...

    def close(self, status: str) -> None:
        """Flush and end the run as ``FINISHED``, ``FAILED`` or ``KILLED``."""
        ...


class Store(Protocol):
    """Interface of a run's store: :class:`~gaitway_runtime.tracking.run_store.RunStore`."""

    def open(self) -> Open:
        """Find or make the run."""
        ...

    def send_values(self, records: Sequence[Record]) -> None:
        """Send metrics, parameters and tags."""
        ...

    def send_artifact(self, record: Artifact) -> str:
        """Upload a file and return its path among the artifacts."""
        ...

    def send_end(self, record: End) -> None:
        """End the run."""
        ...
