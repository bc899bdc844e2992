"""Which tracking server a run belongs to."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ..job import RunContext
from .store import database_path, default_home, ensure_database, store_uri


def tracking_uri_for(context: RunContext, environ: Mapping[str, str] = os.environ) -> str:
    """Return where a run is tracked: as its context, the environment or its workspace says, else the local store.

    A local store is made if it does not exist.

    Raises:
        ConfigError: The workspace cannot be asked, or the local store cannot be used.
        PlatformError: Azure does not answer.
    """
    azure = context.azure
    uri = context.tracking_uri or environ.get("MLFLOW_TRACKING_URI")
    if not uri and context.platform != "local" and azure.subscription_id and azure.resource_group:
        from .azure import workspace_tracking_uri

        return workspace_tracking_uri(azure)
    uri = uri or store_uri(default_home(environ))
    database = database_path(uri)
    if database is not None:
        ensure_database(database)
    return uri
