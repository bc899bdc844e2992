"""Smoke test: whether a job can track, store and register its results, checked before it produces any."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..fetch import fetch
from ..spec.checkpoint_files import sha256_of
from ..spec.errors import ConfigError, GaitwayError
from ..spec.files import artifact_location, database_path
from ..spec.job import THIS_MACHINE, Job
from ..spec.run_context import RunContext
from ..spec.secrets import public_form
from ..stores.azure import AZURE_SCOPE, azure_token
from ..stores.streams import StreamLimits
from ..stores.tracking_server import TrackingServer, outlives_job, tracking_uri_for
from .journal import Artifact, End, Metrics, Open
from .run_store import RunStore, now_ms

EXPERIMENT = "isaaclab-smoke-test"

_LIMITS = StreamLimits(attempts=4)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SmokeCheck:
    """One check: its name, its duration [s] and its outcome."""

    name: str
    seconds: float
    said: str


def run(job: Job, context: RunContext) -> None:
    """Check everything a job needs of tracking, storage and registry, and print a table.

    Raises:
        ConfigError: A credential is missing or refused.
        PlatformError: A service is away, or returns something else than was written.
    """
    if not outlives_job(context):
        raise ConfigError(
            "there is no tracking server to test: the metrics of this job go to files among its outputs",
            source="--run-smoke-test",
            hint="name a server with --tracking-uri, or a workspace with the --azure- settings",
        )
    checks: list[SmokeCheck] = []
    try:
        with tempfile.TemporaryDirectory(prefix="gaitway-") as folder:
            for name, action in _Trial(job, context, Path(folder)).steps():
                checks.append(_timed(name, action))
    finally:
        for line in table(checks):
            print(line, flush=True)
    log.info("smoke test passed")


def table(checks: list[SmokeCheck]) -> list[str]:
    """Return the checks as lines of a table."""
    return ["smoke test", *(f"  {check.name:<12} {check.seconds:7.2f} s  {check.said}" for check in checks)]


def _timed(name: str, action: Callable[[], str]) -> SmokeCheck:
    began = time.monotonic()
    try:
        said = action()
    except GaitwayError:
        print(f"smoke test: {name} failed after {time.monotonic() - began:.2f} s", flush=True)
        raise
    return SmokeCheck(name, time.monotonic() - began, said)


class _Trial:
    """The steps; each uses the results of the one before."""

    def __init__(self, job: Job, context: RunContext, folder: Path) -> None:
        self._job, self._context, self._folder = job, context, folder
        self._note = folder / "smoke-test.txt"

    def steps(self) -> list[tuple[str, Callable[[], str]]]:
        """Return the steps, in their order."""
        return [
            *([("token", self._token)] if self._is_azure() else []),
            ("workspace" if self._is_azure() else "store", self._workspace),
            ("experiment", self._experiment),
            ("metric", self._metric),
            ("storage", self._storage),
            ("registry", self._registry),
        ]

    def _is_azure(self) -> bool:
        given = self._context.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI", "")
        named = self._context.azure.subscription_id and self._context.platform != THIS_MACHINE
        return given.startswith("azureml") or bool(named and not given)

    def _token(self) -> str:
        if os.environ.get("MLFLOW_TRACKING_TOKEN"):
            return "the platform has given one"
        azure_token(AZURE_SCOPE)
        return "an Azure identity works"

    def _workspace(self) -> str:
        return public_form(tracking_uri_for(self._context))

    def _experiment(self) -> str:
        self._server = TrackingServer.of(self._context, _LIMITS)
        self._store = RunStore(_header(self._server, self._job, self._context), self._folder)
        self._server.ask(self._store.open, "tracking")
        return f"{EXPERIMENT} on {public_form(self._server.uri)}"

    def _metric(self) -> str:
        records = [Metrics(values={"connectivity": 1.0}, step=0, time_ms=now_ms())]
        self._server.ask(lambda: self._store.send_values(records), "tracking")
        return f"written to run {self._store.run_id}"

    def _storage(self) -> str:
        """Write an artifact and read it back; then end the run and delete it, the artifact with it."""
        self._note.write_text(f"{self._context.run} on {self._context.platform}\n", encoding="utf-8")
        run_id, artifact = self._store.run_id, Artifact(path=self._note.name, artifact_path="")
        self._server.ask(lambda: self._store.send_artifact(artifact), "artifact storage")
        wanted = sha256_of(self._note)
        fetch(f"runs:/{run_id}/{self._note.name}", self._folder / "back", expected_sha256=wanted, context=self._context)
        self._server.ask(lambda: self._store.send_end(End(status="FINISHED", time_ms=now_ms())), "tracking")
        self._server.ask(lambda: self._server.client.delete_run(run_id), "tracking")
        return "written, read back, deleted"

    def _registry(self) -> str:
        found = self._server.ask(lambda: self._server.client.search_registered_models(max_results=1), "model registry")
        return "answers" if found else "answers, and holds no model yet"


def _header(server: TrackingServer, job: Job, context: RunContext) -> Open:
    database = database_path(server.uri)
    return Open(
        tracking_uri=public_form(server.uri),
        experiment=EXPERIMENT,
        name=f"{context.run}-smoke-test",
        artifact_location=artifact_location(database.parent, EXPERIMENT) if database else None,
        tags={"gaitway.run": context.run, "task": job.task},
    )
