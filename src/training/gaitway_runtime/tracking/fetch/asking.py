"""Asking a tracking server, patiently, with answers and refusals in the project's own terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from ...errors import ConfigError, GaitwayError, UsageError
from ...job import RunContext
from ..client import one_line, open_client, status_of
from ..credentials import public_form
from ..server import tracking_uri_for
from .base import Limits, Transient
from .retrying import persist

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

T = TypeVar("T")


@dataclass(frozen=True)
class TrackingServer:
    """A tracking server, or the local store, that is asked about runs, artifacts and models."""

    uri: str
    limits: Limits

    @classmethod
    def of(cls, context: RunContext, limits: Limits) -> TrackingServer:
        """Return the server that a run belongs to.

        Raises:
            GaitwayError: There is none that can be used.
        """
        return cls(tracking_uri_for(context), limits)

    @property
    def client(self) -> MlflowClient:
        """MLflow's client of it."""
        return open_client(self.uri)

    def ask(self, question: Callable[[], T], about: str, missing: Callable[[], T] | None = None) -> T:
        """Ask something, and again while it is away.

        Args:
            question: Calls MLflow.
            about: What it is about, for errors.
            missing: Makes the answer for something that does not exist; None makes that an error.

        Raises:
            UsageError: There is no such thing.
            ConfigError: We may not ask.
            PlatformError: The server is away.
        """
        return persist(lambda: self.ask_once(question, about, missing), self.limits, about)

    def ask_once(self, question: Callable[[], T], about: str, missing: Callable[[], T] | None = None) -> T:
        """Like :meth:`ask`, without patience.

        Raises:
            Transient: The server is away.
        """
        from mlflow.exceptions import MlflowException

        try:
            return question()
        except (MlflowException, OSError) as error:  # requests' errors are OSErrors
            status, text = status_of(error) or 503, one_line(error)
        if status == 404 and missing is not None:
            return missing()
        raise self._meaning(status, text, about)

    def _meaning(self, status: int, text: str, about: str) -> GaitwayError | Transient:
        hint = f"{public_form(self.uri)} was asked; MLFLOW_TRACKING_URI names another"
        if status in (401, 403):
            return ConfigError(f"the tracking server does not let us read: {text}", source=about, hint=hint)
        if status in (400, 404):
            return UsageError(f"the tracking server has no such thing: {text}", source=about, hint=hint)
        return Transient(text)
