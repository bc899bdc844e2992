"""Jobs: their states over time, and the work itself, done in a sandbox as a node would do it."""

from __future__ import annotations

import base64
import json
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..osmo.pod import Pod
from .storage import Storage
from .tracking import CONTAINER, Tracking
from .workspace import HISTORY_HOST, Refused, Workspace, not_found

WORK = "/workspace/wd"
OUTPUTS = "/workspace/outputs"
AUTHORITY = "/tmp/authority.pem"
ENDED = ("Completed", "Failed", "Canceled")
QUOTA = "The requested GPUs exceed the quota of the workspace"


@dataclass
class Job:
    """One job, over all its attempts."""

    name: str
    properties: dict[str, Any]
    status: str = "NotStarted"
    lines: list[str] = field(default_factory=list)
    attempts: int = 0
    pod: Pod | None = None
    evicted: bool = False
    cancelled: bool = False
    error: str = ""
    thread: threading.Thread | None = None

    @property
    def experiment(self) -> str:
        return str(self.properties.get("experimentName") or "Default")


class Cluster:
    """The compute that jobs run on."""

    def __init__(
        self, workspace: Workspace, storage: Storage, tracking: Tracking, folder: Path, authority: bytes
    ) -> None:
        self.workspace, self.storage, self.tracking, self.folder = workspace, storage, tracking, folder
        self.authority = authority
        self.proxy = ""
        self.jobs: dict[str, Job] = {}
        self.quota = True
        self.held = False
        """Whether jobs wait in the queue for ever."""
        self.on_line: Callable[[Job, str], None] = lambda job, line: None
        self.environment: dict[str, str] = {}
        """What an image has set, in every job."""

    def create(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        properties = body["properties"]
        if name in self.jobs:
            raise Refused(409, "Conflict", f"A job with this name already exists: {name}")
        if not self.quota:
            raise Refused(400, "QuotaExceeded", QUOTA)
        if any(value.get("value") == "" for value in (properties.get("inputs") or {}).values()):
            raise Refused(400, "UserError", "An input must not be empty")
        job = self.jobs[name] = Job(name, properties)
        job.thread = threading.Thread(target=self._live, args=(job,), daemon=True)
        job.thread.start()
        return self.describe(job)

    def find(self, name: str) -> Job:
        if name not in self.jobs:
            raise not_found(f"job {name}")
        return self.jobs[name]

    def describe(self, job: Job) -> dict[str, Any]:
        studio = f"https://ml.azure.com/runs/{job.name}?wsid={self.workspace.scope}"
        default = f"azureml://datastores/workspaceartifactstore/ExperimentRun/dcid.{job.name}"
        return {
            "id": f"{self.workspace.scope}/jobs/{job.name}",
            "name": job.name,
            "type": "Microsoft.MachineLearningServices/workspaces/jobs",
            "properties": {
                "tags": {},
                "properties": {},
                **job.properties,
                "status": job.status,
                "services": {"Studio": {"jobServiceType": "Studio", "endpoint": studio}},
                "outputs": {
                    **(job.properties.get("outputs") or {}),
                    "default": {"jobOutputType": "uri_folder", "uri": default, "mode": "ReadWriteMount"},
                },
            },
        }

    def details(self, job: Job) -> dict[str, Any]:
        """Return the run's details, its log as a blob of this moment."""
        files = {}
        if job.lines:
            path = f"ExperimentRun/dcid.{job.name}/user_logs/std_log.txt"
            files["user_logs/std_log.txt"] = self.storage.put(CONTAINER, path, "".join(job.lines).encode())
        error = {"error": {"code": "UserError", "message": job.error}} if job.error else None
        return {"runId": job.name, "status": job.status, "logFiles": files, "warnings": [], "error": error}

    def cancel(self, job: Job) -> None:
        job.cancelled = True
        if job.status not in ENDED:
            job.status = "CancelRequested"
            if job.pod:
                job.pod.stop()

    def evict(self, name: str) -> None:
        """Take the node away: SIGTERM, a while later SIGKILL; the service starts the job again elsewhere."""
        job = self.jobs[name]
        job.evicted = True
        assert job.pod
        job.pod.stop()

    def wait(self, name: str, timeout: float = 600.0) -> Job:
        job = self.jobs[name]
        assert job.thread
        job.thread.join(timeout)
        assert job.status in ENDED, (job.status, job.lines)
        return job

    def close(self) -> None:
        for job in self.jobs.values():
            job.cancelled = True
            if job.pod:
                job.pod.kill()
            if job.thread:
                job.thread.join(10)

    def output(self, name: str, output: str) -> Path:
        """Return the folder with what the last attempt has left in an output."""
        job = self.jobs[name]
        assert job.pod
        return job.pod.root / OUTPUTS.lstrip("/") / output

    def _live(self, job: Job) -> None:
        job.status = "Queued"
        while self.held and not job.cancelled:
            time.sleep(0.02)
        code = 1
        while not job.cancelled:
            job.evicted = False
            job.attempts += 1
            try:
                code = self._attempt(job)
            except Exception as error:  # noqa: BLE001 - whatever breaks here has to be seen in the job
                job.error = f"{type(error).__name__}: {error}"
                break
            if not job.evicted:
                break
            job.status = "Queued"
        if code and not job.error:
            job.error = f"Execution failed. User process exited with status code {code}."
        job.status = "Canceled" if job.cancelled else "Failed" if code else "Completed"
        self.tracking.end_run(job.name, {"Completed": "FINISHED", "Failed": "FAILED"}.get(job.status, "KILLED"))

    def _attempt(self, job: Job) -> int:
        root = self.folder / job.name / str(job.attempts)
        experiment_id = self.tracking.open_run(job.name, job.experiment)
        self._download_code(job, root / WORK.lstrip("/"))
        command = f"mkdir -p {OUTPUTS}/checkpoints && cd {WORK} && {self._expanded(job)}"
        job.pod = Pod(
            name=job.name,
            command=["/bin/bash", "-c", command],
            environment=self._environment(job, experiment_id),
            files={AUTHORITY: self.authority},
            root=root,
            image_environment=self.environment,
        )
        job.pod.prepare()
        assert job.pod.too_long() is None
        job.status = "Running"

        def log(line: str) -> None:
            job.lines.append(f"{line}\n")
            self.on_line(job, line)

        code = job.pod.run(log)
        if not job.evicted and not job.cancelled:
            job.status = "Finalizing"
        return code

    def _download_code(self, job: Job, into: Path) -> None:
        found = re.search(r"/codes/([^/]+)/versions/([^/]+)$", job.properties["codeId"])
        assert found, job.properties["codeId"]
        uri = self.workspace.code(found[1], found[2])["properties"]["codeUri"]
        container, _, prefix = re.sub(r"^https://[^/]+/", "", uri).partition("/")
        shutil.rmtree(into, ignore_errors=True)
        for path in self.storage.list(container, prefix):
            target = into / path.removeprefix(prefix).lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self.storage.get(container, path))

    def _expanded(self, job: Job) -> str:
        """Return the command with inputs and outputs in their places, as text."""
        text = str(job.properties["command"])
        for name, value in (job.properties.get("inputs") or {}).items():
            text = text.replace(f"${{{{inputs.{name}}}}}", str(value["value"]))
        for name in job.properties.get("outputs") or {}:
            text = text.replace(f"${{{{outputs.{name}}}}}", f"{OUTPUTS}/{name}")
        assert "${{" not in text, text
        return text

    def _environment(self, job: Job, experiment_id: str) -> dict[str, str]:
        scope = self.workspace.scope.split("/")
        return {
            "AZUREML_RUN_ID": job.name,
            "MLFLOW_RUN_ID": job.name,
            "MLFLOW_TRACKING_URI": self.workspace.tracking_uri,
            "MLFLOW_TRACKING_TOKEN": token(f"https://{HISTORY_HOST}"),
            "MLFLOW_EXPERIMENT_NAME": job.experiment,
            "MLFLOW_EXPERIMENT_ID": experiment_id,
            "AZUREML_ARM_SUBSCRIPTION": scope[2],
            "AZUREML_ARM_RESOURCEGROUP": scope[4],
            "AZUREML_ARM_WORKSPACE_NAME": scope[-1],
            "HTTPS_PROXY": self.proxy,
            "REQUESTS_CA_BUNDLE": AUTHORITY,
            "SSL_CERT_FILE": AUTHORITY,
            "GAITWAY_REQUIREMENTS": "skip",
            "OMP_NUM_THREADS": "1",
            "PYTHON": sys.executable,
            **(job.properties.get("environmentVariables") or {}),
        }


def token(audience: str, seconds: int = 86400) -> str:
    """Return an unsigned token."""
    now = int(time.time())
    claims = {"aud": audience, "iss": "https://sts.windows.net/t/", "iat": now, "nbf": now, "exp": now + seconds}
    parts = [json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, claims)]
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "c2ln"])
