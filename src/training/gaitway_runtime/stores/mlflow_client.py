"""MLflow client: imported late, quiet, with its failures sorted by what can be done, and repeated attempts."""

from __future__ import annotations

import enum
import errno
import logging
import os
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar

from ..spec.errors import ConfigError, GaitwayError, PlatformError
from ..spec.packages import missing_package
from ..spec.registry import ForeignError, call_foreign
from ..spec.secrets import one_line, public_form, scrub, silence_http_loggers
from .streams import Changed, StreamLimits, Transient

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


_ENVIRONMENT = {
    # gaitway has a back-off of its own (retrying.py), which can be interrupted
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}

_NAMED = "MLFLOW_TRACKING_URI"

_UNKNOWN = frozenset(("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"))
_INVALID = frozenset(("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"))
"""MLflow's own error codes that the same request will meet again."""

_DELETED = re.compile(r"must be in the 'active' state")
"""Words of MLflow's for a run, or an experiment, that somebody has deleted, and may restore."""

_NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT))
_NO_ROOM_WORDS = re.compile(r"database or disk is full|No space left on device|Disk quota exceeded")
"""Words of SQLite's and of the operating system's, of which MLflow makes errors of its own."""

T = TypeVar("T")


def open_client(tracking_uri: str) -> MlflowClient:
    """Return an MLflow client of a store; nothing is contacted yet.

    Raises:
        ConfigError: MLflow is not installed or does not know such a store.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ImportError:
        raise missing_package("tracking", "mlflow", "local") from None
    silence_http_loggers()
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It writes a traceback with the SQL of each failure, which is raised as well.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    if tracking_uri.startswith("azureml"):
        # Azure ML's plug-in opens artifacts with the process's own store, whichever client asks.
        _make_default(tracking_uri)
    try:
        return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
    except MlflowException as error:
        raise ConfigError(
            f"MLflow cannot use this store: {one_line(error)}",
            source=scrub(tracking_uri),
            hint="set MLFLOW_TRACKING_URI, or name the Azure ML workspace; a store of one's own needs all of MLflow",
        ) from None
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"MLflow needs a package for this store that is not installed here: {error.name}",
            source=public_form(tracking_uri),
            hint=f"pip install {error.name}",
        ) from None


def _make_default(tracking_uri: str) -> None:
    """Make a store MLflow's own default in this process.

    MLflow also sets the variable by which a user names one: what this process does next, and those that it starts,
    would go there too.
    """
    import mlflow

    given = os.environ.get(_NAMED)
    mlflow.set_tracking_uri(tracking_uri)
    if given is None:
        os.environ.pop(_NAMED, None)
    else:
        os.environ[_NAMED] = given


class Failure(enum.Enum):
    """Why a store did not do what was asked."""

    AWAY = "away"
    """It does not answer, or something in front of it does: another attempt may succeed."""
    DENIED = "denied"
    """The credentials are missing or refused; a token may be renewed."""
    UNKNOWN = "unknown"
    """MLflow itself says that there is no such run, experiment or model, or that it was deleted."""
    INVALID = "invalid"
    """MLflow itself refuses this request, or it cannot be made at all: no other attempt will succeed."""


class StoreFailure(Exception):
    """A call of MLflow, or of one of its plug-ins, that failed.

    Args:
        kind: Why.
        error: The error itself.
    """

    def __init__(self, kind: Failure, error: BaseException) -> None:
        own = re.search(r"\(sqlite3\.\w+\) ([^\n\[]+)", str(error))
        super().__init__(one_line(own[1] if own else error))  # without the SQL that failed
        self.kind = kind
        self.error = error

    def __reduce__(self) -> tuple[type[StoreFailure], tuple[Failure, BaseException]]:
        """Return what another process makes it of."""
        return StoreFailure, (self.kind, self.error)

    @property
    def conflict(self) -> bool:
        """Whether the store has an artifact of that name already and keeps it (Azure ML's are write-once)."""
        return re.search(r"already exists|Resource Conflict", str(self.error), re.IGNORECASE) is not None

    @property
    def no_room(self) -> bool:
        """Whether the store's disk is full: an attempt soon after will meet the same."""
        return getattr(self.error, "errno", None) in _NO_ROOM or _NO_ROOM_WORDS.search(str(self.error)) is not None

    @property
    def status(self) -> int | None:
        """The HTTP status that stands behind it, where there is one."""
        return _status_of(self.error)


def attempt(action: Callable[[], T]) -> T:
    """Call MLflow or one of its plug-ins, which raise whatever the libraries below them raise.

    Raises:
        StoreFailure: It failed.
        GaitwayError: Raised by ``action`` itself.
    """
    try:
        return call_foreign(action)
    except ForeignError as wrapped:
        error = wrapped.__cause__ or wrapped
        if isinstance(error, (GaitwayError, StoreFailure)):
            raise error from None
        raise StoreFailure(_kind_of(error), error) from error


def _kind_of(error: BaseException) -> Failure:
    status, code = _status_of(error), _own_code(error)
    if status in (401, 403) or "Authentication" in type(error).__name__:
        return Failure.DENIED
    if code in _UNKNOWN or (code in _INVALID and _DELETED.search(str(error))):
        return Failure.UNKNOWN
    gone = isinstance(error, (FileNotFoundError, IsADirectoryError, NotADirectoryError))
    impossible = isinstance(error, (TypeError, ValueError, ModuleNotFoundError)) and not isinstance(error, OSError)
    if code in _INVALID or gone or impossible:
        return Failure.INVALID
    return Failure.AWAY


def _own_code(error: BaseException) -> str | None:
    """Return MLflow's own error code, or None where an error page of something in front of the server was read."""
    from mlflow.exceptions import MlflowException, RestException

    if isinstance(error, RestException):
        return str(error.json.get("error_code", ""))
    if isinstance(error, MlflowException) and not str(error).startswith("API request to"):
        return str(error.error_code)
    return None


def _status_of(error: BaseException) -> int | None:
    """Return the HTTP status that an error of MLflow's, or of the HTTP library below it, stands for, if any."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        status: int = error.get_http_status_code()
        return status
    found: int | None = getattr(getattr(error, "response", None), "status_code", None)
    return found


_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backoff:
    """Waits between attempts: doubled after each failure, with jitter, up to a longest one [s]."""

    first: float
    longest: float

    def delay(self, failures: int, asked: float | None = None) -> float:
        """Return the wait after a number of failures in a row [s].

        Args:
            failures: At least 1.
            asked: Wait that the server asks for (Retry-After) [s]; honoured up to :attr:`longest`.
        """
        if asked:
            return min(asked, self.longest)
        return min(self.first * 2.0 ** min(failures - 1, 60), self.longest) * random.uniform(0.5, 1.0)


class Retries:
    """The failures of one transfer or one question, counted.

    Args:
        limits: Bounds.
        shown: The address as errors may show it.
        pause: Waits so many seconds.
    """

    def __init__(self, limits: StreamLimits, shown: str, pause: Callable[[float], object] = time.sleep) -> None:
        self._limits = limits
        self._shown = shown
        self._pause = pause
        self._backoff = Backoff(limits.first_wait, limits.longest_wait)
        self._in_a_row = 0
        self._total = 0
        self._restarts = 0
        self._since = time.monotonic()

    def failed(self, error: Transient, *, progressed: bool = False, arrived: int = 0) -> None:
        """Wait before the next attempt.

        Args:
            error: The failure.
            progressed: Whether the attempt brought a part of the file all the same.
            arrived: How much of the file has arrived in all [bytes].

        Raises:
            PlatformError: There will be no further attempt.
        """
        self._in_a_row = 1 if progressed else self._in_a_row + 1
        self._total += 1
        if self._in_a_row >= self._limits.attempts or self._total >= 10 * self._limits.attempts:
            raise PlatformError(
                f"this address cannot be read: {error}", source=self._shown, hint=f"{self._total} attempts were made"
            ) from None
        self.check_time(arrived)
        if self._in_a_row > 1:
            _log.warning("%s: attempt %d of %d: %s", self._shown, self._in_a_row, self._limits.attempts, error)
        self._pause(self._backoff.delay(self._in_a_row, error.retry_after))

    def check_time(self, arrived: int) -> None:
        """Check the time that all attempts together have taken.

        Args:
            arrived: How much of the file has arrived in all [bytes].

        Raises:
            PlatformError: It is more than the limit, which grows with what has arrived.
        """
        allowed = self._limits.patience + arrived / self._limits.steady
        if time.monotonic() - self._since > allowed:
            raise PlatformError(
                f"this address cannot be read: it takes longer than {allowed:.0f} s",
                source=self._shown,
                hint=f"{arrived / 2**20:.1f} MiB have arrived; try again on a faster connection",
            ) from None

    def changed(self) -> None:
        """Count a restart.

        Raises:
            PlatformError: There have been too many.
        """
        self._restarts += 1
        if self._restarts > self._limits.restarts:
            raise PlatformError("the file keeps changing while it is read", source=self._shown) from None


def retry(
    action: Callable[[], T], limits: StreamLimits, shown: str, pause: Callable[[float], object] = time.sleep
) -> T:
    """Return what a short action returns, repeated while it raises :class:`Transient` and the limits allow.

    Raises:
        PlatformError: The limits are reached.
    """
    retries = Retries(limits, shown, pause)
    while True:
        try:
            return action()
        except Transient as error:  # noqa: PERF203 - trying again is the purpose
            retries.failed(error)
        except Changed:
            retries.changed()


def seconds_of(retry_after: str) -> float | None:
    """Return the wait that a Retry-After header asks for, in either of its forms [s]."""
    if re.fullmatch(r"\d{1,9}", retry_after.strip()):
        return float(retry_after)
    try:
        until = parsedate_to_datetime(retry_after)
        return max(0.0, (until - datetime.now(timezone.utc)).total_seconds())
    except (ValueError, TypeError):
        return None
