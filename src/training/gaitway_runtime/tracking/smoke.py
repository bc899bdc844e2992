"""The smoke test: whether a job can track, store and register what it makes, found out before it makes anything."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from ..job import Job, RunContext
from .credentials import public_form
from .fetch import fetch
from .fetch.asking import TrackingServer
from .fetch.base import Limits
from .hashing import sha256_of
from .records import Artifact, End, Metrics, Open
from .run_store import RunStore, now_ms
from .store import artifact_location, database_path

EXPERIMENT = "isaaclab-smoke-test"

_LIMITS = Limits(attempts=4)

log = logging.getLogger(__name__)


def run(job: Job, context: RunContext) -> None:
    """Write a small run with an artifact, read it back, and ask the model registry.

    Raises:
        ConfigError: A credential is missing or refused.
        PlatformError: A service is away, or does not give back what it was given.
    """
    server = TrackingServer.of(context, _LIMITS)
    with tempfile.TemporaryDirectory(prefix="gaitway-") as name:
        folder = Path(name)
        note = folder / "smoke-test.txt"
        note.write_text(f"{context.run} on {context.platform}\n", encoding="utf-8")
        run_id = server.ask(lambda: _write(RunStore(_header(server, job, context), folder), note.name), "tracking")
        fetch(f"runs:/{run_id}/{note.name}", folder / "back", expected_sha256=sha256_of(note), context=context)
    server.ask(lambda: server.client.search_registered_models(max_results=1), "model registry")
    log.info("smoke test passed: tracking, artifacts and model registry of %s", public_form(server.uri))


def _header(server: TrackingServer, job: Job, context: RunContext) -> Open:
    database = database_path(server.uri)
    return Open(
        tracking_uri=public_form(server.uri),
        experiment=EXPERIMENT,
        name=f"{context.run}-smoke-test",
        artifact_location=artifact_location(database.parent, EXPERIMENT) if database else None,
        tags={"gaitway.run": context.run, "task": job.task},
    )


def _write(store: RunStore, note: str) -> str:
    store.open()
    store.send_values([Metrics(values={"connectivity": 1.0}, step=0, time_ms=now_ms())])
    store.send_artifacts([Artifact(path=note, artifact_path="")])
    store.send_end([End(status="FINISHED", time_ms=now_ms())])
    return store.run_id
