"""MLflow as a workspace offers it: a real server behind Azure's address, runs named like jobs, artifacts as blobs."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Mapping
from typing import Any

import httpx

from .artifacts import Artifacts
from .limits import RunLimits
from .refusals import Refused
from .storage import Storage


class Tracking:
    """Forwards MLflow's REST calls. Azure ML names a job's run after the job; the server behind makes its own ids."""

    def __init__(self, url: str, storage: Storage) -> None:
        self._http = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self.artifacts = Artifacts(storage)
        self.limits = RunLimits()
        self._lock = threading.Lock()
        self.run_ids: dict[str, str] = {}
        """MLflow's id of each job's run."""
        self.scope = ""
        self._experiments: dict[str, str] = {}
        self.largest_batch = 0
        """Most metrics that one call has carried."""

    def open_run(self, job: str, experiment: str, tags: Mapping[str, str] | None = None) -> str:
        """Make the run of a job, once, with the job's tags; return the experiment's id."""
        experiment_id = self._experiment(experiment)
        with self._lock:
            if job not in self.run_ids:
                given = [{"key": key, "value": str(value)} for key, value in (tags or {}).items()]
                now = int(time.time() * 1000)
                body = {"experiment_id": experiment_id, "start_time": now, "run_name": job, "tags": given}
                run_id = self.ask("runs/create", body)["run"]["info"]["run_id"]
                self.limits.add_tags(run_id, tags or {})
                self.run_ids[job] = run_id
        return experiment_id

    def log_metric(self, job: str, name: str, value: float, step: int) -> None:
        body = {"run_id": self.run_ids[job], "key": name, "value": value, "step": step, "timestamp": 0}
        self.ask("runs/log-metric", body)

    def tags(self, job: str) -> dict[str, str]:
        """Return the tags of a job's run."""
        return {tag["key"]: tag["value"] for tag in self.run(job)["data"].get("tags", [])}

    def end_run(self, job: str, status: str) -> None:
        if job in self.run_ids:
            self.ask("runs/update", {"run_id": self.run_ids[job], "status": status})

    def run(self, job: str) -> dict[str, Any]:
        """Return MLflow's own description of a job's run."""
        found = self._http.get("/api/2.0/mlflow/runs/get", params={"run_id": self.run_ids[job]})
        return dict(found.json()["run"])

    def runs(self, experiment: str) -> list[dict[str, Any]]:
        """Return all runs of an experiment."""
        found = self.ask("runs/search", {"experiment_ids": [self._experiment(experiment)]})
        return list(found.get("runs", []))

    def history(self, job: str, metric: str) -> list[int]:
        """Return the steps at which a metric of a job's run was written."""
        params = {"run_id": self.run_ids[job], "metric_key": metric}
        found = self._http.get("/api/2.0/mlflow/metrics/get-history", params=params).json()
        return [int(point.get("step", 0)) for point in found.get("metrics", [])]

    def register(self, model: str) -> None:
        """Register a version of a model, whatever is in it."""
        self._ensure_model(model)
        self.ask("model-versions/create", {"name": model, "source": "azureml://somewhere/model"})

    def add_version(self, model: str, job: str, path: str, tags: Mapping[str, str]) -> str:
        """Register a folder of a job's artifacts, as the control plane does, and return the version."""
        self._ensure_model(model)
        run = self.run(job)["info"]
        body = {
            "name": model,
            "source": f"{run['artifact_uri']}/{path}",
            "run_id": run["run_id"],
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
        }
        return str(self.ask("model-versions/create", body)["model_version"]["version"])

    def _ensure_model(self, model: str) -> None:
        self._http.post("/api/2.0/mlflow/registered-models/create", json={"name": model})

    def versions(self, model: str) -> list[dict[str, Any]]:
        params = {"filter": f"name='{model}'"}
        found = self._http.get("/api/2.0/mlflow/model-versions/search", params=params).json()
        return list(found.get("model_versions", []))

    def ask(self, call: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._http.post(f"/api/2.0/mlflow/{call}", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def forward(self, method: str, path: str, query: str, body: bytes) -> tuple[int, bytes]:
        """Hand a call on and return status and body; ``path`` begins with ``/api/2.0/mlflow``."""
        if "/logged-models" in path:
            return 404, b""  # azure-sdk-for-python issue 44896
        inward = self._inward(body.decode())
        try:
            self._check(path, json.loads(inward) if inward else {})
        except Refused as error:
            return error.status, json.dumps(error.mlflow_body()).encode()
        answer = self._http.request(
            method,
            path + (f"?{self._inward(query)}" if query else ""),
            content=inward.encode(),
            headers={"Content-Type": "application/json"},
        )
        return answer.status_code, self._outward(answer.text).encode()

    def _check(self, path: str, document: Mapping[str, Any]) -> None:
        """Refuse what a workspace refuses and the server behind does not."""
        call = path.partition("/mlflow/")[2]
        run = str(document.get("run_id", ""))
        if call == "runs/log-batch":
            metrics = document.get("metrics", [])
            self.largest_batch = max(self.largest_batch, len(metrics))
            self.limits.add_metrics(run, {metric["key"] for metric in metrics})
            self.limits.add_tags(run, {tag["key"]: tag.get("value", "") for tag in document.get("tags", [])})
        elif call == "runs/set-tag":
            self.limits.add_tags(run, {document["key"]: document.get("value", "")})
        elif call == "runs/create":
            self._check_new_tags(document)
        elif call == "model-versions/create":
            self._check_source(str(document.get("source", "")))

    @staticmethod
    def _check_new_tags(document: Mapping[str, Any]) -> None:
        RunLimits().add_tags("new", {tag["key"]: tag.get("value", "") for tag in document.get("tags", [])})

    def _check_source(self, source: str) -> None:
        """Refuse a folder that is no MLflow model: Azure ML registers raw folders through Resource Manager only."""
        found = re.search(r"/runs/([^/]+)/artifacts/(.+)$", self._outward(source))
        if found and f"{found[2].rstrip('/')}/MLmodel" in self.artifacts.paths(found[1]):
            return
        raise Refused(400, "UserError", f"The model source {source} is not an MLflow model: it has no MLmodel file.")

    def _experiment(self, name: str) -> str:
        found = self._http.get("/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": name})
        if found.status_code == 200:
            experiment_id = str(found.json()["experiment"]["experiment_id"])
        else:
            # a job may make it at this very moment: then it is there afterwards
            self._http.post("/api/2.0/mlflow/experiments/create", json={"name": name})
            found = self._http.get("/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": name})
            experiment_id = str(found.json()["experiment"]["experiment_id"])
        self._experiments[experiment_id] = name
        return experiment_id

    def _name(self, experiment_id: str) -> str:
        if experiment_id not in self._experiments:
            found = self._http.get("/api/2.0/mlflow/experiments/get", params={"experiment_id": experiment_id})
            self._experiments[experiment_id] = str(found.json()["experiment"]["name"])
        return self._experiments[experiment_id]

    def _inward(self, text: str) -> str:
        for job, run_id in self.run_ids.items():
            text = text.replace(job, run_id)
        return text

    def _outward(self, text: str) -> str:
        base = f"azureml://eastus.api.azureml.ms/mlflow/v2.0{self.scope}/experiments"
        text = re.sub(
            r"mlflow-artifacts:/(\d+)/([0-9a-f]{32})/artifacts",
            lambda match: json.dumps(f"{base}/{self._name(match[1])}/runs/{match[2]}/artifacts")[1:-1],
            text,
        )
        for job, run_id in self.run_ids.items():
            text = text.replace(run_id, job)
        return text
