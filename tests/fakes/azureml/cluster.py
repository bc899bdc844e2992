"""Jobs: their states over time, and the work itself, done in a sandbox as a node would do it."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..osmo.pod import Pod
from . import pipelines, sweeps
from .computes import VM_SIZES
from .identity import Identities
from .limits import RunLimits
from .refusals import Refused, not_found
from .storage import Storage
from .tokens import token
from .tracking import Tracking
from .workspace import HISTORY_HOST, Workspace

WORK = "/workspace/wd"
OUTPUTS = "/workspace/outputs"
MOUNTED = "/workspace/mounted"
AUTHORITY = "/tmp/authority.pem"
ENDED = ("Completed", "Failed", "Canceled")
GRACE = 20.0
"""Time between SIGTERM and SIGKILL [s]."""
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
    warnings: list[str] = field(default_factory=list)
    created: str = field(default_factory=lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    owner: str = "you"
    thread: threading.Thread | None = None
    children: list[str] = field(default_factory=list)
    step: pipelines.Step | None = None
    parent: Job | None = None
    reused: Job | None = None
    """Step of an earlier pipeline whose outputs stand for this one's, which was not run."""

    @property
    def experiment(self) -> str:
        return str(self.properties.get("experimentName") or "Default")


class Cluster:
    """The compute that jobs run on."""

    def __init__(
        self,
        workspace: Workspace,
        storage: Storage,
        tracking: Tracking,
        identities: Identities,
        folder: Path,
        authority: bytes,
    ) -> None:
        self.identities = identities
        self.workspace, self.storage, self.tracking, self.folder = workspace, storage, tracking, folder
        self.authority = authority
        self.proxy = ""
        self.jobs: dict[str, Job] = {}
        self.quota = True
        self.held = False
        """Whether jobs wait in the queue for ever."""
        self.broken: set[str] = set()
        """Steps of pipelines whose node fails before the command starts."""
        self._folders: dict[str, Path] = {}
        """Folders of datastores that outputs have been written to, by address."""
        self._done: dict[str, Job] = {}
        """Steps of pipelines that have completed, by what makes another one the same."""
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
        RunLimits().add_tags("new", properties.get("tags") or {})
        if properties.get("jobType") != "Pipeline":
            self._check_compute(properties)
        job = self.jobs[name] = Job(name, properties)
        live = {"Pipeline": self._live_pipeline, "Sweep": self._live_sweep}.get(properties.get("jobType"), self._live)
        job.thread = threading.Thread(target=live, args=(job,), daemon=True)
        job.thread.start()
        return self.describe(job)

    def _check_compute(self, properties: dict[str, Any]) -> None:
        """Refuse a compute or instance type that the workspace does not have."""
        wanted = (properties.get("resources") or {}).get("instanceType")
        tier = (properties.get("queueSettings") or {}).get("jobTier")
        compute = str(properties.get("computeId") or "").rpartition("/")[2]
        if compute in ("", "serverless"):
            if wanted not in VM_SIZES:
                raise Refused(400, "UserError", f"Serverless compute needs a VM size as instance type, not {wanted}")
            return
        if tier:
            raise Refused(400, "UserError", f"Job tier {tier} is for serverless compute; {compute} has none")
        about = self.workspace.compute(compute)["properties"]
        types = (about.get("properties") or {}).get("instanceTypes")
        if wanted and wanted not in (types or {}):
            raise Refused(400, "UserError", f"Compute {compute} has no instance type {wanted}")

    def listed(self) -> list[Job]:
        """Return the jobs, newest first."""
        return list(reversed(self.jobs.values()))

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
            "systemData": {"createdAt": job.created, "createdBy": job.owner, "createdByType": "User"},
            "properties": {
                "tags": {},
                "properties": {},
                **job.properties,
                "status": job.status,
                "services": {"Studio": {"jobServiceType": "Studio", "endpoint": studio}, **self._services(job)},
                "outputs": {
                    **(job.properties.get("outputs") or {}),
                    "default": {"jobOutputType": "uri_folder", "uri": default, "mode": "ReadWriteMount"},
                },
            },
        }

    @staticmethod
    def _services(job: Job) -> dict[str, Any]:
        """Return the interactive services; they have addresses while the job runs."""
        running = job.status == "Running"
        return {
            name: {**service, "endpoint": f"https://{name}-{job.name}.eastus.instances.azureml.ms" if running else None}
            for name, service in (job.properties.get("services") or {}).items()
        }

    def details(self, job: Job) -> dict[str, Any]:
        """Return the run's details, its log as a blob of this moment."""
        files = {}
        if job.lines:
            path = "user_logs/std_log.txt"
            files[path] = self.tracking.artifacts.put(job.name, path, "".join(job.lines).encode())
        error = {"error": {"code": "UserError", "message": job.error}} if job.error else None
        warnings = [{"source": "Compute", "message": message} for message in job.warnings]
        return {"runId": job.name, "status": job.status, "logFiles": files, "warnings": warnings, "error": error}

    def cancel(self, job: Job) -> None:
        job.cancelled = True
        for child in self.children(job):
            self.cancel(child)
        if job.status not in ENDED:
            job.status = "CancelRequested"
            if job.pod:
                _stop(job.pod)

    def evict(self, name: str, *, at_once: bool = False) -> None:
        """Take the node away: SIGTERM, a while later SIGKILL; the service starts the job again elsewhere.

        Args:
            name: The job.
            at_once: Whether nothing of it lives on, not even for a moment.
        """
        job = self.jobs[name]
        job.evicted = True
        assert job.pod
        if at_once:
            job.pod.kill()
        else:
            _stop(job.pod)

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
        job = job.reused or job
        assert job.pod
        return job.pod.root / OUTPUTS.lstrip("/") / output

    def child(self, job: Job, step: str) -> Job:
        """Return the job of a pipeline's step; its name is nobody's choice."""
        return next(child for child in self.children(job) if child.step and child.step.name == step)

    def children(self, job: Job) -> list[Job]:
        return [self.jobs[name] for name in job.children]

    def _live_pipeline(self, job: Job) -> None:
        """Run the steps one after the other; what depends on a failed one is never started."""
        self.tracking.open_run(job.name, job.experiment, job.properties.get("tags"))
        job.status = "Running"
        failed: set[str] = set()
        settings = job.properties.get("settings") or {}
        for step in pipelines.steps(job.properties, self.workspace.component):
            if job.cancelled or failed & {read for read, _ in step.reads.values()}:
                failed.add(step.name)
                continue
            name = str(uuid.uuid4())
            child = self.jobs[name] = Job(name, step.properties, step=step, parent=job)
            job.children.append(name)
            key = pipelines.reuse_key(step)
            child.reused = None if settings.get("force_rerun") else self._done.get(key)
            if child.reused:
                child.status = "Completed"
                continue
            self._live(child)
            if child.status == "Completed":
                self._done[key] = child
            else:
                failed.add(step.name)
        job.status = "Canceled" if job.cancelled else "Failed" if failed else "Completed"
        self.tracking.end_run(job.name, {"Completed": "FINISHED", "Failed": "FAILED"}.get(job.status, "KILLED"))

    def _live_sweep(self, job: Job) -> None:
        """Run the trials of a grid one after the other, each as a child of the sweep's run."""
        self.tracking.open_run(job.name, job.experiment, job.properties.get("tags"))
        job.status = "Running"
        for number, trial in enumerate(sweeps.trials(job.properties)):
            if not job.cancelled:
                child = self.jobs[f"{job.name}_{number}"] = Job(f"{job.name}_{number}", trial, parent=job)
                job.children.append(child.name)
                self._live(child)
        job.status = "Canceled" if job.cancelled else "Completed"
        self.tracking.end_run(job.name, "KILLED" if job.cancelled else "FINISHED")

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
        if job.step and job.step.name in self.broken:
            job.error = "The container image could not be pulled."
            return 1
        root = self.folder / job.name / str(job.attempts)
        experiment_id = self.tracking.open_run(job.name, job.experiment, job.properties.get("tags"))
        self._download_code(job, root / WORK.lstrip("/"))
        folders = " ".join(f"{OUTPUTS}/{name}" for name in ("checkpoints", *(job.properties.get("outputs") or {})))
        command = f"mkdir -p {folders} && cd {WORK} && {self._expanded(job)}"
        job.pod = Pod(
            name=job.name,
            command=["/bin/bash", "-c", command],
            environment=self._environment(job, experiment_id),
            files={AUTHORITY: self.authority},
            root=root,
            image_environment=self.environment,
        )
        job.pod.prepare()
        self._mount(job)
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

    def _mount(self, job: Job) -> None:
        """Copy what a step reads of other steps' outputs, and of datastores, into its pod."""
        assert job.pod
        mounted = job.pod.root / MOUNTED.lstrip("/")
        for key, uri in job.step.folders.items() if job.step else ():
            shutil.copytree(self._folders[uri], mounted / "folders" / key, dirs_exist_ok=True)
        for name, output in (job.properties.get("outputs") or {}).items():
            if output.get("mode") not in ("ReadWriteMount", "rw_mount"):
                continue
            uri = output.get("uri") or f"azureml/{job.name}/{name}"
            folder = job.pod.root / OUTPUTS.lstrip("/") / name
            if uri in self._folders:  # a mounted folder has what earlier jobs and attempts have written
                shutil.copytree(self._folders[uri], folder, dirs_exist_ok=True)
            self._folders[uri] = folder
        for read, output in job.step.reads.values() if job.step and job.parent else ():
            source = self.output(self.child(job.parent, read).name, output)
            shutil.copytree(source, mounted / read / output, dirs_exist_ok=True)

    def _expanded(self, job: Job) -> str:
        """Return the command with inputs and outputs in their places, as text."""
        text = str(job.properties["command"])
        for key, (read, output) in job.step.reads.items() if job.step else ():
            text = text.replace(f"${{{{inputs.{key}}}}}", f"{MOUNTED}/{read}/{output}")
        for key in job.step.folders if job.step else ():
            text = text.replace(f"${{{{inputs.{key}}}}}", f"{MOUNTED}/folders/{key}")
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
            **self.identities.environment(str((job.properties.get("identity") or {}).get("identityType"))),
            **(job.properties.get("environmentVariables") or {}),
        }


def _stop(pod: Pod) -> None:
    """End a job as Azure ML does: SIGTERM, then SIGKILL after the grace period."""
    pod.killed = pod.process is None
    if pod.process is None:
        return
    pod._signal(signal.SIGTERM)
    try:
        pod.process.wait(GRACE)
    except subprocess.TimeoutExpired:
        pod.kill()
