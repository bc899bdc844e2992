"""Commands to type: the one a run was made with, and the one that comes next, filled in."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from .ledger import RunRecord, read_document
from .platforms.base import RunStatus, StatusReport

PROGRAM = "gaitway"
OF_THE_CHECKPOINT = {"checkpoint_uri", "checkpoint_mode", "checkpoint_sha256"}
OF_THE_PLACE = {"simulator", "python", "imports", "with_paths"}
"""Settings without which another job may not find the task, or finds it in another simulator."""


def command(kind: str, settings: Mapping[str, Any], without: Collection[str] = ()) -> list[str]:
    """Return the command that asks for a job as it was asked for before.

    Args:
        kind: Kind of job.
        settings: The ``settings.json`` document; what came from the command line is repeated.
        without: Keys of settings to leave out.
    """
    return [PROGRAM, kind, *_flags(settings, without)]


def next_command(record: RunRecord, report: StatusReport, run_dir: Path) -> str:
    """Return what to type after, or during, a run."""
    if not report.status.ended:
        return shlex.join((PROGRAM, "logs", record.name, "-f"))
    checkpoint = _newest_checkpoint(record, report, run_dir) if record.kind == "train" else None
    succeeded = report.status is RunStatus.SUCCEEDED
    match record.kind:
        case "train" if checkpoint and succeeded:
            return _with_checkpoint("infer", record, checkpoint, run_dir)
        case "train" if checkpoint:
            same = command("train", read_document(run_dir, "settings.json") or {}, {*OF_THE_CHECKPOINT, "run_name"})
            return shlex.join((*same, "--checkpoint-uri", checkpoint, "--checkpoint-mode", "resume"))
        case "infer" if succeeded:
            job = (read_document(run_dir, "job.json") or {}).get("job", {})
            return _with_checkpoint("validate", record, str(job.get("checkpoint_uri")), run_dir)
    return shlex.join((PROGRAM, "download" if succeeded else "logs", record.name))


def _with_checkpoint(kind: str, record: RunRecord, checkpoint: str, run_dir: Path) -> str:
    """Return the command that plays a checkpoint where, and with what, it was made."""
    settings = read_document(run_dir, "settings.json") or {}
    kept = {key: entry for key, entry in settings.items() if key in OF_THE_PLACE}
    words = [PROGRAM, kind, "--task", record.task, *_flags(kept, ()), "--checkpoint-uri", checkpoint]
    return shlex.join(words if record.platform == "local" else [*words, "--on", record.platform])


def _newest_checkpoint(record: RunRecord, report: StatusReport, run_dir: Path) -> str | None:
    """Return the address of the final checkpoint, or of the last one that a run had saved when it was killed."""
    final = (report.result or {}).get("final_checkpoint")
    if final:
        return str(final["uri"] or run_dir / "outputs" / final["path"])
    from .checkpoints import known, local  # knows every kind of address, which most commands do without

    last = known.latest(local.of_run(record, run_dir))
    return last.uri if last else None


def _flags(settings: Mapping[str, Any], without: Collection[str]) -> Iterator[str]:
    for key, entry in settings.items():
        layer, _, flag = str(entry["origin"]).partition(" ")
        value = entry["value"]
        if layer != "cli" or key in without or value is None:
            continue
        if isinstance(value, bool):
            yield flag if value else f"--no-{flag.removeprefix('--')}"
            continue
        for item in value if isinstance(value, list) else [value]:
            yield from (flag, str(item))
