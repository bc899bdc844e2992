"""The whole journey on one machine: ``make rehearse``.

Terraform's outputs, the five steps of the cluster's set-up, ``doctor``, a training on OSMO and one on Azure ML, their
checkpoints, an inference and its report. Terraform's cloud, the cluster's programs, OSMO and Azure are stand-ins of
``tests/fakes``; gaitway, the jobs, the simulator, MLflow and the storage are real. Needs no network and no account.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / part) for part in ("tests", "src", "src/training")]

import pytest  # noqa: E402
from fakes import azureml, cluster_tools, mlflow_server  # noqa: E402
from fakes.osmo import OsmoService, install_command, log_in  # noqa: E402

TASK = ("--task", "Isaac-Cartpole-v0")
SMALL = ("--num-envs", "32", "--max-iterations", "3")
STAND_IN = ROOT / "deploy" / "001-iac" / "tests" / "stand_in"
CLUSTER = "robots"
"""Kubernetes cluster whose attachment the stand-in Azure ML has as a compute."""
INHERITED_PREFIXES = ("AZURE", "GAITWAY_", "MLFLOW_", "OSMO_", "TF_")


class Wrong(Exception):
    """Something did not come out as it should."""


@dataclass
class Rehearsal:
    """Where everything is kept, and what a command sees of the world."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *command: str | Path, path: Path | None = None, ok: tuple[int, ...] = (0,)) -> str:
        """Run a command and return its standard output.

        Raises:
            Wrong: It ended otherwise than it may.
        """
        whole = dict(self.environment)
        if path:
            whole["PATH"] = f"{path}{os.pathsep}{whole['PATH']}"
        words = [str(word) for word in command]
        done = subprocess.run(words, cwd=ROOT, env=whole, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode not in ok:
            raise Wrong(f"{' '.join(words)} ended with {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout

    @contextmanager
    def seeing(self, more: Mapping[str, str]) -> Iterator[None]:
        """Let commands see more variables for a while."""
        before = self.environment
        self.environment = {**before, **more}
        yield
        self.environment = before

    def gaitway(self, *words: str, ok: tuple[int, ...] = (0,)) -> Any:
        """Run a verb and return its JSON document."""
        return json.loads(self.run(sys.executable, "-m", "gaitway", *words, "--json", ok=ok))


def ground(to: Rehearsal) -> None:
    """Let Terraform make its outputs of the stand-in ground; without Terraform, take those that are kept."""
    folder = to.folder / "iac"
    if shutil.which("terraform"):
        whole = Path(shutil.copytree(STAND_IN.parents[1], to.folder / "whole"))
        made = whole / STAND_IN.relative_to(STAND_IN.parents[1])
        to.run("terraform", f"-chdir={made}", "init", "-input=false")
        to.run(
            *("terraform", f"-chdir={made}", "apply", "-auto-approve", "-input=false"),
            *("-var", f"subscription_id={azureml.SUBSCRIPTION}"),
        )
        outputs = json.loads((made / "terraform.tfstate").read_text())["outputs"]
    else:
        outputs = json.loads((ROOT / "tests" / "goldens" / "deploy" / "outputs.json").read_text())
    _as_azure_calls_them(outputs)
    cluster_tools.write_state(folder, outputs)
    to.environment["GAITWAY_TERRAFORM_DIR"] = str(folder)


def _as_azure_calls_them(outputs: dict[str, Any]) -> None:
    """Put the names of the stand-in Azure in the place of Terraform's."""
    outputs["subscription_id"]["value"] = azureml.SUBSCRIPTION
    outputs["resource_group"]["value"]["name"] = azureml.GROUP
    outputs["azureml_workspace"]["value"]["name"] = azureml.WORKSPACE
    outputs["aks_cluster"]["value"]["name"] = CLUSTER


def cluster(to: Rehearsal) -> None:
    """Set the cluster up, step by step, then ask again: there is nothing to do."""
    tools = cluster_tools.install(to.folder / "tools")
    for script in sorted((ROOT / "deploy" / "002-setup").glob("[0-9]*.sh")):
        to.run(script, path=Path(tools.path))
    asked = len(tools.calls())
    for script in sorted((ROOT / "deploy" / "002-setup").glob("[0-9]*.sh")):
        to.run(script, path=Path(tools.path))
    _expect(len(tools.calls()) == asked, "a step that was done was done again")


def settings(to: Rehearsal) -> None:
    """See that gaitway takes its Azure settings from the outputs."""
    found = to.gaitway("config", "explain", "azure_workspace_name")
    _expect("terraform" in json.dumps(found), f"the workspace did not come from Terraform: {found}")


@contextmanager
def osmo(to: Rehearsal) -> Iterator[OsmoService]:
    """Run the stand-in OSMO and a real MLflow server; tasks really run, with this Python as their image."""
    with mlflow_server.running(to.folder / "mlflow") as tracking:
        service = OsmoService(to.folder / "osmo", "6.3.1")
        service.cluster.image_environment = {"GAITWAY_REQUIREMENTS": "skip", "OMP_NUM_THREADS": "1"}
        service.start()
        install_command(to.folder / "bin", "6.3.1")
        log_in(to.folder / "login", service.url)
        path = f"{to.folder / 'bin'}{os.pathsep}{to.environment['PATH']}"
        own = {"PATH": path, "OSMO_CONFIG_FILE_DIR": str(to.folder / "login"), "MLFLOW_TRACKING_URI": tracking.url}
        try:
            with to.seeing(own):
                yield service
        finally:
            service.close()


@contextmanager
def azure(to: Rehearsal) -> Iterator[str]:
    """Run the stand-in Azure over a real Azurite and a real MLflow server, if this machine can.

    Yields:
        The workspace's tracking address, or nothing.
    """
    with ExitStack() as stack:
        (to.folder / "azure").mkdir()
        try:
            cloud = stack.enter_context(azureml.running(to.folder / "azure"))
        except pytest.skip.Exception as reason:
            print(f"--           Azure ML is left out: {reason}", flush=True)
            yield ""
            return
        cloud.cluster.environment = {"GAITWAY_REQUIREMENTS": "skip", "OMP_NUM_THREADS": "1"}
        stack.enter_context(to.seeing(cloud.environment))
        yield cloud.tracking_uri
        _expect(not cloud.proxy.refused, f"something beside Azure was asked for: {sorted(set(cloud.proxy.refused))}")


def on_a_cluster(to: Rehearsal, platform: str, *words: str) -> str:
    """Look, train there, list the checkpoints; return how the last one is said here."""
    doctor = to.gaitway("doctor", "--on", platform)
    _expect(doctor["ok"], f"doctor --on {platform}: {doctor}")
    asked = ("--on", platform, *TASK, *SMALL, *words)
    to.run(sys.executable, "-m", "gaitway", "train", *asked, "--dry-run")
    trained = to.gaitway("train", *asked, "--follow", "--yes")
    _expect(trained["status"] == "succeeded", f"the training on {platform}: {trained}")
    listed = to.gaitway("checkpoints", trained["run"])
    run, last = trained["mlflow_run_id"], trained["final_checkpoint"]["iteration"]
    found = [item for item in listed["checkpoints"] if item["iteration"] == last and f"runs:/{run}/" in item["uri"]]
    _expect(bool(found), f"checkpoint {last} of {run} is not listed: {listed}")
    return f"{trained['run']}@latest"


def play(to: Rehearsal, checkpoint: str) -> None:
    """Infer a checkpoint here: exports, films, report."""
    size = ("--num-envs", "4", "--max-steps", "60", "--video-length", "10")
    played = to.gaitway("infer", *TASK, "--checkpoint-uri", checkpoint, *size, "--yes")
    outputs = Path(played["run_dir"]) / "outputs"
    for name in ("exported/policy.onnx", "exported/policy.pt", "metrics/onnx_metrics.json", "report.html"):
        _expect((outputs / name).is_file(), f"there is no {name} in {outputs}")


def here(to: Rehearsal) -> None:
    """Do the same on this machine alone, as a newcomer does first."""
    trained = to.gaitway("train", *TASK, *SMALL, "--yes")
    play(to, f"{trained['run']}@latest")
    _expect(len(to.gaitway("runs")) >= 2, "the runs are not listed")


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Wrong(otherwise)


def rehearse(to: Rehearsal) -> None:
    """Go through every part of the journey and say how long each took."""
    with _told("the ground: Terraform's outputs"):
        ground(to)
    with _told("the cluster: 002-setup, twice"):
        cluster(to)
    with _told("the settings come from the outputs"):
        settings(to)
    with _told("here: training, inference, report"):
        here(to)
    with osmo(to), _told("OSMO: doctor, training, checkpoints, inference, report"):
        play(to, on_a_cluster(to, "osmo", "--num-gpus", "0"))
    with azure(to) as tracking:
        if tracking:
            with _told("Azure ML: doctor, training, checkpoints, inference, report"):
                checkpoint = on_a_cluster(to, "azureml", "--num-gpus", "0")
                with to.seeing({"MLFLOW_TRACKING_URI": tracking}):
                    play(to, checkpoint)


@contextmanager
def _told(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"ok  {time.monotonic() - began:6.1f} s  {what}", flush=True)


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without anything that gaitway would take from the one who rehearses."""
    kept = {name: value for name, value in environment.items() if not name.startswith(INHERITED_PREFIXES)}
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("src", "src/training")),
        "NO_COLOR": "1",
    }


def main() -> int:
    """Rehearse in a folder that is thrown away, unless something went wrong in it."""
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="gaitway-rehearsal-"))
    own = {"GAITWAY_HOME": str(folder / "home"), "TMP_DIR": str(folder / "sent"), "GAITWAY_PYTHON": sys.executable}
    try:
        rehearse(Rehearsal(folder, {**_clean(os.environ), **own}))
    except Wrong as problem:
        print(f"\nerror: {problem}\n  look in: {folder}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    print(f"the whole journey took {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
