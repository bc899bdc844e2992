"""Verbs about this machine: ``doctor``, ``ui`` and ``version``."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import platform
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import click
from gaitway_runtime.spec.files import database_path
from gaitway_runtime.spec.packages import missing_package
from gaitway_runtime.spec.run_context import AzureContext

from .. import __version__
from ..doctor.examine import examine, missing, read_context
from ..errors import ConfigError, UsageError
from ..findings import Finding
from ..ledger import Ledger
from ..local_tracking import import_runs
from ..platforms.base import RunOptions
from ..settings.resolve import Sources, resolve, terraform_folder
from . import output, serving
from .command import SectionOption, VerbCommand, json_option, setting_options, typed

PARTS = (
    "torch",
    "mujoco",
    "mujoco-warp",
    "rsl-rl-lib",
    "skrl",
    "mlflow",
    "onnx",
    "onnxruntime",
    "azure-ai-ml",
    "isaaclab",
)
"""Installed parts whose version changes what gaitway does."""

TRAINING_RUNS = "#/experiments?workflowType=machine_learning"
"""Page of MLflow 3 that lists training runs; without the query it opens on its product for language models."""

QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
"""What the server leaves out on a laptop: a job queue of eight processes, and reports of its use."""


@click.pass_context
def _doctor(ctx: click.Context, /, as_json: bool, **_: Any) -> int:
    """Look at everything a job on the platform will need."""
    cli, environ = typed(ctx), os.environ
    name = resolve([RunOptions], cli, environ=environ, terraform_dir=None)["platform"].value
    folder = terraform_folder(cli, environ)
    findings = []
    for finding in examine(read_context(name, Ledger.at_home(environ).home, cli, environ, folder)):
        findings.append(finding)
        if not as_json:
            _show_finding(finding)
    lacking = missing(findings)
    if as_json:
        shown = [dataclasses.asdict(finding) for finding in findings]
        output.document({"platform": name, "ok": not lacking, "findings": shown})
    else:
        _conclude(name, lacking)
    return ConfigError.exit_code if lacking else 0


def _show_finding(finding: Finding) -> None:
    word = "ok" if finding.ok else "MISSING" if finding.required else "note"
    output.answer(f"{word:<8}{finding.check:<22}{finding.message}")
    if not finding.ok and finding.fix:
        output.answer(f"{'':<30}fix: {finding.fix}")


def _conclude(name: str, lacking: Sequence[Finding]) -> None:
    if lacking:
        output.say(f"{name} lacks: {', '.join(finding.check for finding in lacking)}")
    else:
        output.say(f"{name} has what it needs")


def _doctor_options() -> list[click.Parameter]:
    found = setting_options({"Platform": [RunOptions, Sources], "Azure": [AzureContext]})
    return [option for option in found if option.item.cls is not RunOptions or option.item.key == "platform"]


def _ui(port: int) -> int:
    """Serve the MLflow UI on the local store until Ctrl-C."""
    from gaitway_runtime.stores.tracking_server import ensure_store

    given = os.environ.get("MLFLOW_TRACKING_URI")
    if given and database_path(given) is None:
        raise UsageError(
            "runs are tracked on a server, which has a UI of its own",
            source="env MLFLOW_TRACKING_URI",
            hint="open that server's address, or unset the variable for the local store",
        )
    if importlib.util.find_spec("mlflow") is None:
        raise missing_package("the UI", "mlflow", "local")
    ledger = Ledger.at_home(os.environ)
    uri = given or ensure_store(ledger.home)
    if not given:
        for name in import_runs(ledger, uri):
            output.say(f"the metrics of {name}, which no tracking server has, are in the local store now")
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri]
    command += ["--host", serving.HOST, "--port", str(port), "--workers", "1"]
    page = f"http://{serving.HOST}:{port}/{TRAINING_RUNS}"
    serving.serve(
        command, {**QUIET, **os.environ}, port, lambda: output.say(f"the MLflow UI is at {page} until Ctrl-C")
    )
    return 0


def _version(as_json: bool) -> None:
    """Show the versions."""
    found = {"gaitway": __version__, "python": platform.python_version()}
    installed = {dist.name: dist.version for dist in metadata.distributions()}
    found |= {part: installed[part] for part in PARTS if part in installed}
    if as_json:
        output.document(found)
    else:
        output.table(("part", "version"), found.items())


doctor = VerbCommand("doctor", callback=_doctor, params=[*_doctor_options(), json_option()])
ui = VerbCommand(
    "ui",
    callback=_ui,
    params=[
        SectionOption(
            ["--port"],
            type=click.IntRange(1, 65535),
            default=5000,
            metavar="N",
            help="Port to serve on.  [default: 5000]",
        )
    ],
)
version = VerbCommand("version", callback=_version, params=[json_option()])
