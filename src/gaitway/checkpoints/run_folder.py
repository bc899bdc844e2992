"""The folder of a run on this machine: its notes, read once, and the checkpoints in it. Reads files only."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from gaitway_runtime.spec import result as results
from gaitway_runtime.spec.checkpoint_files import is_checkpoint, is_whole, iteration_of
from gaitway_runtime.spec.files import RUN_NOTE
from gaitway_runtime.spec.progress_reports import reward_at, rewards_in
from gaitway_runtime.spec.result import Result
from gaitway_runtime.spec.types import JsonObject

from ..ledger import Ledger, RunRecord, read_document
from .checkpoint import ListedCheckpoint


@dataclass(frozen=True)
class RunFolder:
    """Facts about a run that its folder on this machine holds."""

    record: RunRecord
    run_dir: Path
    note: JsonObject
    """``mlflow.json``: the run's id, experiment and tracking server, as far as its job has written them."""
    result: Result | None
    """The result of the run, as its folder or its platform tells."""

    @classmethod
    def read(cls, ledger: Ledger, record: RunRecord) -> RunFolder:
        """Read the folder of a run of the ledger, and what the ledger knows of its end."""
        ended = ledger.ended(record.name)
        return cls.at(record, ledger.run_dir(record.name), ended.result if ended else None)

    @classmethod
    def at(cls, record: RunRecord, run_dir: Path, result: Result | None = None) -> RunFolder:
        """Read a run's folder; ``result`` counts where the folder has none."""
        outputs = run_dir / "outputs"
        note = read_document(outputs, RUN_NOTE)
        return cls(record, run_dir, note if isinstance(note, dict) else {}, results.read(outputs) or result)

    @property
    def mlflow_run_id(self) -> str | None:
        """MLflow's id of the run, where the run has told."""
        return (self.result and self.result.mlflow_run_id) or _text(self.note.get("run_id"))

    @property
    def store(self) -> str | None:
        """The tracking server or store that the run reports to, without credentials, if that is known."""
        return _text(self.note.get("tracking_uri"))

    def checkpoints(self) -> list[ListedCheckpoint]:
        """Return the checkpoints that are known of without asking anyone.

        Those are the whole ones in the folder, also of a run that still runs; for a run that left none here, the
        final one that its result names.
        """
        return self._in_folder() or self._in_result()

    def _in_folder(self) -> list[ListedCheckpoint]:
        from gaitway_runtime.tracking.journal import unsent_artifacts

        outputs = self.run_dir / "outputs"
        files = list(_files(outputs / "checkpoints"))
        if not files:
            return []
        rewards, unsent, run_id = (
            rewards_in(outputs),
            unsent_artifacts(outputs),
            self.note.get("run_id"),
        )
        registered = self._registered()
        found = []
        for path in files:
            iteration, inside = iteration_of(path.name), path.relative_to(outputs).as_posix()
            uri = f"runs:/{run_id}/{inside}" if run_id and inside not in unsent else str(path.absolute())
            found.append(
                dataclasses.replace(
                    self._checkpoint(uri, iteration, _time(path)),
                    reward=reward_at(rewards, iteration),
                    path=str(path.absolute()),
                    model=registered.get(iteration),
                )
            )
        return found

    def _in_result(self) -> list[ListedCheckpoint]:
        final = self.result.final_checkpoint if self.result else None
        if self.result is None or final is None or not final.uri:
            return []
        found = self._checkpoint(final.uri, final.iteration, self.record.created)
        model = self._registered().get(final.iteration)
        return [dataclasses.replace(found, reward=_mean_reward(self.result), model=model)]

    def _checkpoint(self, uri: str, iteration: int | None, created: str) -> ListedCheckpoint:
        record = self.record
        return ListedCheckpoint(
            uri=uri,
            run=record.name,
            task=record.task,
            iteration=iteration,
            created=created,
            platform=record.platform,
        )

    def _registered(self) -> dict[int | None, str]:
        """Return the address of the registered model by the iteration of its checkpoint."""
        if self.result is None or self.result.registered_model is None or self.result.final_checkpoint is None:
            return {}
        model = self.result.registered_model
        return {self.result.final_checkpoint.iteration: f"models:/{model.get('name')}/{model.get('version')}"}


def _mean_reward(result: Result) -> float | None:
    with suppress(KeyError):
        return result.metric("mean_reward")
    return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _files(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from (path for path in folder.iterdir() if path.is_file() and is_checkpoint(path.name) and is_whole(path))


def _time(path: Path) -> str:
    return datetime.fromtimestamp(path.stat().st_mtime, timezone.utc).isoformat(timespec="seconds")
