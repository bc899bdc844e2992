"""``gaitway ui``."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

from gaitway_runtime.tracking.store import database_path, default_home, ensure_store

from ..errors import ConfigError, PlatformError, UsageError
from . import render
from .command import VerbCommand
from .options import SectionOption

QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
"""What the server leaves out on a laptop: a job queue of eight processes, and reports of its use."""


def run(port: int) -> int:
    """Serve the MLflow UI on the local store until Ctrl-C."""
    given = os.environ.get("MLFLOW_TRACKING_URI")
    if given and database_path(given) is None:
        raise UsageError(
            "runs are tracked on a server, which has a UI of its own",
            source="env MLFLOW_TRACKING_URI",
            hint="open that server's address, or unset the variable for the local store",
        )
    if importlib.util.find_spec("mlflow") is None:
        raise ConfigError("the UI needs MLflow", hint="pip install 'gaitway[local]'")
    uri = given or ensure_store(default_home())
    render.say(f"the MLflow UI is at http://127.0.0.1:{port} until Ctrl-C")
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri]
    try:
        listen = ("--host", "127.0.0.1", "--port", str(port), "--workers", "1")
        done = subprocess.run([*command, *listen], check=False, env={**QUIET, **os.environ})
    except KeyboardInterrupt:
        return 0
    if done.returncode != 0:
        raise PlatformError(
            "the MLflow UI ended", source=f"exit code {done.returncode}", hint="--port N for another port"
        )
    return 0


command = VerbCommand(
    "ui",
    callback=run,
    params=[SectionOption(["--port"], type=int, default=5000, metavar="N", help="Port to serve on.  [default: 5000]")],
)
