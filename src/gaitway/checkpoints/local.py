"""Checkpoints in the folders of this machine's runs. Reads files only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from gaitway_runtime.tracking.fetch.local import is_whole
from gaitway_runtime.tracking.fetch.picking import is_checkpoint, iteration_of
from gaitway_runtime.tracking.journal import unsent_artifacts
from gaitway_runtime.tracking.records import RUN_NOTE

from ..ledger import RunRecord, read_document
from .known import Checkpoint


def of_run(record: RunRecord, run_dir: Path) -> list[Checkpoint]:
    """Return the whole checkpoints in a run's folder; also those of a run that still goes on."""
    outputs = run_dir / "outputs"
    rewards = _rewards(outputs / "progress.jsonl")
    unsent = unsent_artifacts(outputs)
    run_id = _note(run_dir).get("run_id")
    registered = _registered(read_document(outputs, "result.json") or {})
    found = []
    for path in _files(outputs / "checkpoints"):
        iteration = iteration_of(path.name)
        inside = path.relative_to(outputs).as_posix()
        found.append(
            Checkpoint(
                uri=f"runs:/{run_id}/{inside}" if run_id and inside not in unsent else str(path.absolute()),
                run=record.name,
                task=record.task,
                iteration=iteration,
                created=_time(path),
                platform=record.platform,
                reward=_reward_at(rewards, iteration),
                path=str(path.absolute()),
                model=registered.get(iteration),
            )
        )
    return found


def of_result(record: RunRecord, result: Mapping[str, Any]) -> list[Checkpoint]:
    """Return the final checkpoint that a run's result tells of, if it does: all that is known of a run elsewhere."""
    final = result.get("final_checkpoint")
    if not final or not final.get("uri"):
        return []
    return [
        Checkpoint(
            uri=final["uri"],
            run=record.name,
            task=record.task,
            iteration=final["iteration"],
            created=record.created,
            platform=record.platform,
            reward=(result.get("metrics") or {}).get("mean_reward"),
            model=_registered(result).get(final["iteration"]),
        )
    ]


def store_of(run_dir: Path) -> str | None:
    """Return the tracking server or store that a run reported to, without credentials, if that is known."""
    found: str | None = _note(run_dir).get("tracking_uri")
    return found


def _note(run_dir: Path) -> Mapping[str, Any]:
    return read_document(run_dir / "outputs", RUN_NOTE) or {}


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in folder.iterdir() if path.is_file() and is_checkpoint(path.name) and is_whole(path))


def _time(path: Path) -> str:
    return datetime.fromtimestamp(path.stat().st_mtime, timezone.utc).isoformat(timespec="seconds")


def _registered(result: Mapping[str, Any]) -> dict[int | None, str]:
    model, final = result.get("registered_model"), result.get("final_checkpoint")
    return {final["iteration"]: f"models:/{model['name']}/{model['version']}"} if model and final else {}


def _rewards(progress: Path) -> dict[int, float]:
    """Return the mean reward by the number of iterations done, as far as the progress was written down."""
    rewards: dict[int, float] = {}
    with suppress(OSError):
        for line in progress.read_text(encoding="utf-8").splitlines():
            with suppress(ValueError, KeyError, TypeError):
                values = json.loads(line)
                rewards[int(values["iteration"])] = float(values["reward"])
    return rewards


def _reward_at(rewards: Mapping[int, float], iteration: int | None) -> float | None:
    """Return the reward that was noted nearest to a checkpoint, whose number counts from zero."""
    if iteration is None or not rewards:
        return None
    return rewards[min(rewards, key=lambda done: abs(done - 1 - iteration))]
