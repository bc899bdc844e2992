"""Tracking servers: the one a run belongs to, questions to it, and the store in gaitway's home folder."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit

from ..spec.errors import ConfigError, GaitwayError, UsageError
from ..spec.files import (
    ARTIFACTS,
    DATABASE,
    absolute_store,
    artifact_location,
    beside,
    check_store,
    database_path,
    default_home,
    replacing,
    store_uri,
)
from ..spec.job import THIS_MACHINE
from ..spec.packages import missing_package
from ..spec.run_context import RunContext
from ..spec.secrets import public_form
from .mlflow_client import Failure, StoreFailure, attempt, open_client, retry
from .streams import StreamLimits, Transient

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


T = TypeVar("T")


def outlives_job(context: RunContext, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether what a run tracks is still there when its job has ended.

    In somebody else's container nothing is that was not named: the local store would be a file of the container.
    """
    named = context.tracking_uri or environ.get("MLFLOW_TRACKING_URI") or environ.get("AZUREML_RUN_ID")
    azure = context.azure
    return context.platform == THIS_MACHINE or bool(named or (azure.subscription_id and azure.resource_group))


def tracking_uri_for(context: RunContext, environ: Mapping[str, str] = os.environ) -> str:
    """Return where a run is tracked: as its context, the environment or its workspace says, else the local store.

    A local store is made if it does not exist.

    Raises:
        ConfigError: The workspace cannot be asked, or the local store cannot be used.
        PlatformError: Azure does not answer.
    """
    azure = context.azure
    uri = context.tracking_uri or environ.get("MLFLOW_TRACKING_URI")
    if not uri and context.platform != THIS_MACHINE and azure.subscription_id and azure.resource_group:
        from .azure import workspace_tracking_uri

        return workspace_tracking_uri(azure)
    uri = absolute_store(uri) if uri else store_uri(default_home(environ))
    check_store(uri, environ)
    database = database_path(uri)
    if database is not None:
        ensure_database(database)
    return uri


def local_tracking_uri(context: RunContext, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return where a run is tracked if that is a file of this machine, and None if not; nothing is made or asked."""
    uri = context.tracking_uri or environ.get("MLFLOW_TRACKING_URI")
    if not uri and context.platform != THIS_MACHINE:
        return None
    uri = absolute_store(uri) if uri else store_uri(default_home(environ))
    return uri if database_path(uri) else None


def with_credentials(tracking_uri: str) -> str:
    """Return the URI that the environment names, with the credentials in it, if it is the same server."""
    given = os.environ.get("MLFLOW_TRACKING_URI", "")
    return given if public_form(given) == tracking_uri else tracking_uri


@dataclass(frozen=True)
class TrackingServer:
    """A tracking server, or the local store, that is asked about runs, artifacts and models."""

    uri: str
    limits: StreamLimits

    @classmethod
    def of(cls, context: RunContext, limits: StreamLimits) -> TrackingServer:
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
        """Ask something, repeatedly while the server is away.

        Args:
            question: Calls MLflow.
            about: Address of the thing in question, for errors.
            missing: Makes the answer for something that does not exist; None makes that an error.

        Raises:
            UsageError: The thing does not exist.
            ConfigError: The credentials are refused, or a library is missing.
            PlatformError: The server is away.
        """
        return retry(lambda: self.ask_once(question, about, missing), self.limits, about)

    def ask_once(self, question: Callable[[], T], about: str, missing: Callable[[], T] | None = None) -> T:
        """Like :meth:`ask`, with a single attempt.

        Raises:
            Transient: The server is away.
        """
        try:
            return attempt(question)
        except StoreFailure as failure:
            if missing is not None and (failure.kind is Failure.UNKNOWN or failure.status == 404):
                return missing()
            raise self.meaning(failure, about) from None

    def meaning(self, failure: StoreFailure, about: str) -> GaitwayError | Transient:
        """Return the error that a failed question amounts to."""
        hint = f"{public_form(self.uri)} was asked; MLFLOW_TRACKING_URI names another"
        if failure.kind is Failure.DENIED and self.uri.startswith("azureml"):
            from .azure import role_hint

            message = f"this identity is not allowed to do that in the workspace: {failure}"
            return ConfigError(message, source=about, hint=role_hint(self.uri))
        if failure.kind is Failure.DENIED:
            return ConfigError(f"the tracking server does not let us read: {failure}", source=about, hint=hint)
        if isinstance(failure.error, ModuleNotFoundError):
            return ConfigError(
                f"the artifact store needs a package that is not installed: {failure.error.name}",
                source=about,
                hint=f"pip install {_package_of(failure.error.name or '')}",
            )
        if failure.kind in (Failure.UNKNOWN, Failure.INVALID) or failure.status in (400, 404):
            return UsageError(f"the tracking server has no such thing: {failure}", source=about, hint=hint)
        return Transient(str(failure))


def _package_of(module: str) -> str:
    """Return what to install for a module that an artifact store of MLflow's needs."""
    return next((package for name, package in CLIENTS.values() if name.startswith(f"{module}.")), module)


_BOTO3 = ("boto3", "boto3")

CLIENTS = {
    "s3": _BOTO3,
    "r2": _BOTO3,
    "b2": _BOTO3,
    "gs": ("google.cloud.storage", "google-cloud-storage"),
    "wasb": ("azure.storage.blob", "azure-storage-blob"),
    "wasbs": ("azure.storage.blob", "azure-storage-blob"),
    "abfss": ("azure.storage.filedatalake", "azure-storage-file-datalake"),
}
"""Module that MLflow opens a store with, and the distribution that has it, by the scheme of the artifacts' address."""


def missing_client(url: str) -> str | None:
    """Return the distribution that a store of artifacts needs and that is not installed here; None where none is."""
    module, distribution = CLIENTS.get(urlsplit(url).scheme, ("", ""))
    if not module:
        return None
    try:
        return None if find_spec(module) else distribution
    except ModuleNotFoundError:  # a package above it
        return distribution


def check_client(url: str, shown: str) -> None:
    """Check that a store of artifacts can be used from here, before anything is to be sent there.

    Args:
        url: MLflow's address of the artifacts.
        shown: The address of what is wanted, for the error.

    Raises:
        ConfigError: A package is missing, or it is an FTP server: MLflow's client of those waits without end.
    """
    package = missing_client(url)
    if package:
        raise ConfigError(
            f"the artifact store needs a package that is not installed: {package}",
            source=f"{shown}: {public_form(url)}",
            hint=f"pip install {package}",
        )
    if urlsplit(url).scheme == "ftp":
        raise ConfigError(
            "artifacts on an FTP server are not supported",
            source=f"{shown}: {public_form(url)}",
            allowed=f"a tracking server that keeps them itself, {', '.join(f'{scheme}://' for scheme in CLIENTS)}",
        )


_ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
)
"""Columns of MLflow's database that hold addresses of artifacts."""

_log = logging.getLogger(__name__)


def ensure_store(home: Path) -> str:
    """Make sure that the store in ``home`` exists and is whole; return its tracking URI.

    Several processes may call this at once: the file appears whole or not at all, and the first one wins.

    Raises:
        ConfigError: MLflow is missing, the folder cannot be written, or the file there is not a usable store.
    """
    ensure_database(home.absolute() / DATABASE)
    return store_uri(home)


def ensure_database(path: Path) -> None:
    """Like :func:`ensure_store`, for a database at any path.

    Raises:
        ConfigError: See :func:`ensure_store`.
    """
    try:
        if path.exists():
            check_database(path)
            _follow_move(path)
        else:
            _create(path)
    except OSError as error:
        raise ConfigError(
            f"the MLflow store cannot be made: {error.strerror}",
            source=str(path),
            hint="set GAITWAY_HOME to a folder you own",
        ) from None


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return gaitway's folder in the user's cache."""
    base = environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "gaitway"


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with _template() as template, beside(path) as partial:
        shutil.copyfile(template, partial)
        with closing(sqlite3.connect(partial)) as database, database:
            database.execute(
                "UPDATE experiments SET artifact_location = ?", (artifact_location(path.parent, "Default"),)
            )
        # a hard link never replaces a store that another process has made and filled in the meantime
        with suppress(FileExistsError):
            os.link(partial, path)


def _follow_move(path: Path) -> None:
    """Correct the addresses of artifacts after the home, or a folder above it, was moved or renamed.

    MLflow writes them whole. Only a store that was made here is touched: its default experiment keeps its artifacts
    beside the database.
    """
    here = artifact_location(path.parent, "").rstrip("/")
    with closing(sqlite3.connect(path, timeout=20)) as database, database:
        row = database.execute("SELECT artifact_location FROM experiments WHERE experiment_id = 0").fetchone()
        then = str(row[0]).removesuffix("/Default") if row else here
        made_here = then.startswith("file:") and then.endswith(f"/{ARTIFACTS}") and str(row[0]).endswith("/Default")
        if not made_here or then == here or _same_folder(then, here):
            return
        for table, column in _ADDRESSES:
            database.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                (here, len(then) + 1, len(then) + 1, f"{then}/"),
            )
    _log.warning("the local store has moved: its artifacts are now looked for in %s", here)


def _same_folder(first: str, second: str) -> bool:
    """Whether two ``file:`` URIs lead to the same folder, through links perhaps."""
    one, two = (Path(unquote(urlsplit(uri).path)).resolve() for uri in (first, second))
    return one == two


def check_database(path: Path) -> None:
    """Make sure that the database at ``path`` is a store of the installed MLflow.

    Raises:
        ConfigError: It is damaged, none at all, or of another schema.
    """
    found = _revision(path)
    if found is None:
        raise ConfigError(
            "the MLflow store is damaged or is no MLflow store",
            source=str(path),
            hint=f"move it aside (mv '{path}' '{path}.broken'); a new one is made by the next run",
        )
    with _template() as template:
        wanted = _revision(template)
    if found == wanted:
        return
    raise ConfigError(
        f"the MLflow store was made by another MLflow than {_mlflow_version()}",
        source=str(path),
        allowed=f"schema {wanted}, found {found}",
        hint=f"back it up, then: mlflow db upgrade 'sqlite:///{path}'",
    )


def _revision(path: Path) -> str | None:
    """Return the schema revision of a database; None where there is none to read.

    A process that was killed in the middle of a transaction leaves SQLite's own journal behind, which the next one to
    open the database rolls back. That takes the right to write.

    Raises:
        ConfigError: Another process keeps the database locked.
    """
    modes = ("rw", "ro") if os.access(path, os.W_OK) else ("ro",)
    for mode in modes:
        try:
            return _read_revision(f"{path.absolute().as_uri()}?mode={mode}")
        except sqlite3.DatabaseError as error:  # noqa: PERF203 - two rounds
            if "locked" in str(error):
                raise ConfigError(
                    "the MLflow store is locked by another process",
                    source=str(path),
                    hint="try again; fuser or lsof names the process",
                ) from None
    return None


def _read_revision(address: str) -> str | None:
    with closing(sqlite3.connect(address, uri=True, timeout=20)) as database:
        tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        row = database.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row and {"experiments", "runs", "model_versions"} <= tables else None


@contextmanager
def _template() -> Iterator[Path]:
    """Yield an empty migrated database, from the cache where the cache can be written."""
    cached = cache_folder() / f"mlflow-{_mlflow_version()}.db"
    if cached.exists() and _revision(cached):
        yield cached
        return
    with tempfile.TemporaryDirectory(prefix="gaitway-") as folder:
        fresh = Path(folder) / DATABASE
        _migrate(fresh)
        with suppress(OSError):
            cached.parent.mkdir(parents=True, exist_ok=True)
            with replacing(cached) as partial:
                shutil.copyfile(fresh, partial)
        yield fresh


def _migrate(path: Path) -> None:
    from .mlflow_client import open_client

    # the first question to an empty database makes MLflow build it
    open_client(f"sqlite:///{path}").search_experiments(max_results=1)


def _mlflow_version() -> str:
    from importlib import metadata

    for distribution in ("mlflow", "mlflow-skinny"):
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(distribution)
    raise missing_package("tracking", "mlflow", "local")
