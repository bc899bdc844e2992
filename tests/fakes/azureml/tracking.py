"""MLflow as a workspace offers it: a real server behind Azure's address, runs named like jobs, artifacts as blobs."""

from __future__ import annotations

import json
import re
import threading
from typing import Any

import httpx

from .storage import Storage

CONTAINER = "azureml"


class Tracking:
    """Forwards MLflow's REST calls. Azure ML names a job's run after the job; the server behind makes its own ids."""

    def __init__(self, url: str, storage: Storage) -> None:
        self._http = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self._storage = storage
        self._lock = threading.Lock()
        self.run_ids: dict[str, str] = {}
        """MLflow's id of each job's run."""
        self.scope = ""
        self._experiments: dict[str, str] = {}
        self.largest_batch = 0
        """Most metrics that one call has carried."""
        storage.make_container(CONTAINER)

    def open_run(self, job: str, experiment: str) -> str:
        """Make the run of a job, once; return the experiment's id."""
        experiment_id = self._experiment(experiment)
        with self._lock:
            if job not in self.run_ids:
                made = self.ask("runs/create", {"experiment_id": experiment_id, "start_time": 0, "run_name": job})
                self.run_ids[job] = made["run"]["info"]["run_id"]
        return experiment_id

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
        self._http.post("/api/2.0/mlflow/registered-models/create", json={"name": model})
        self.ask("model-versions/create", {"name": model, "source": "azureml://somewhere/model"})

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
        if path.endswith("/runs/log-batch"):
            self.largest_batch = max(self.largest_batch, len(json.loads(body).get("metrics", [])))
        answer = self._http.request(
            method,
            path + (f"?{self._inward(query)}" if query else ""),
            content=self._inward(body.decode()).encode(),
            headers={"Content-Type": "application/json"},
        )
        return answer.status_code, self._outward(answer.text).encode()

    # artifacts

    def artifact_paths(self, run: str) -> list[str]:
        prefix = f"ExperimentRun/dcid.{run}/"
        return [name.removeprefix(prefix) for name in self._storage.list(CONTAINER, prefix)]

    def content_info(self, run: str, path: str) -> dict[str, Any]:
        address = self._storage.address(CONTAINER, f"ExperimentRun/dcid.{run}/{path}")
        return {
            "contentUri": self._storage.signed(address),
            "origin": "ExperimentRun",
            "container": f"dcid.{run}",
            "path": path,
        }

    def artifact(self, run: str, path: str) -> bytes:
        return self._storage.get(CONTAINER, f"ExperimentRun/dcid.{run}/{path}")

    def _experiment(self, name: str) -> str:
        found = self._http.get("/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": name})
        if found.status_code == 200:
            experiment_id = str(found.json()["experiment"]["experiment_id"])
        else:
            experiment_id = str(self.ask("experiments/create", {"name": name})["experiment_id"])
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
