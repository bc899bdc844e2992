"""The local MLflow store: one SQLite file in ``$GAITWAY_HOME`` with the artifacts beside it.

A new database costs MLflow some seconds of migrations, so they run once per MLflow version into a template in the
user's cache; every further store is a copy of it.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from ..errors import ConfigError
from ..files import beside, replacing

DATABASE = "mlflow.db"
ARTIFACTS = "artifacts"


def default_home(environ: Mapping[str, str] = os.environ) -> Path:
    """Return ``$GAITWAY_HOME``, by default ``.gaitway`` in the current folder."""
    return Path(environ.get("GAITWAY_HOME") or ".gaitway").absolute()


def store_uri(home: Path) -> str:
    """Return the tracking URI of the store in ``home``, whether it exists or not."""
    return f"sqlite:///{home.absolute() / DATABASE}"


def artifact_location(home: Path, experiment: str) -> str:
    """Return the artifact folder of an experiment as a ``file:`` URI."""
    return f"{(home.absolute() / ARTIFACTS).as_uri()}/{quote(experiment, safe='')}"


def database_path(tracking_uri: str) -> Path | None:
    """Return the file behind a ``sqlite:`` tracking URI, or None for any other store."""
    found = re.match(r"sqlite(?:\+\w+)?:///([^?]+)", tracking_uri)
    return Path(found[1]) if found else None


def is_remote(tracking_uri: str | None) -> bool:
    """Whether a tracking URI means the same on another machine: a server, not a file or database of this one."""
    return bool(tracking_uri and re.match(r"(https?|azureml|databricks)\b", tracking_uri))


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
    """Return the schema revision of a database; None where there is none to read."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=20)) as database:
            tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            row = database.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.DatabaseError:
        return None
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
    from .client import open_client

    # the first question to an empty database makes MLflow build it
    open_client(f"sqlite:///{path}").search_experiments(max_results=1)


def _mlflow_version() -> str:
    from importlib import metadata

    for distribution in ("mlflow", "mlflow-skinny"):
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(distribution)
    raise ConfigError("MLflow is not installed", hint="pip install 'gaitway[local]'")
