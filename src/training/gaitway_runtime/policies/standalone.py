"""``gaitway export``: a checkpoint in, proven files out; no task, no simulator, no tracking."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..tracking.hashing import sha256_of
from .contract import PolicyContract
from .export import FORMATS, export_policy
from .network import Policy
from .parity import ParityReport, measure, observations_from_statistics
from .reading import read_checkpoint
from .sessions import open_session


@dataclass(frozen=True)
class StandaloneExport:
    """What an export made."""

    checkpoint: Path
    sha256: str
    policy: Policy
    files: Mapping[str, Path]
    """By format, and the contract's under ``contract``."""
    parity: ParityReport

    def as_dict(self) -> dict[str, Any]:
        """Return the export as ``--json`` prints it."""
        network = dict(self.policy.network)
        normalizer = network.pop("normalizer")
        return {
            "checkpoint": str(self.checkpoint),
            "sha256": self.sha256,
            "library": self.policy.parts.family,
            "iteration": self.policy.parts.iteration,
            "observation_size": self.policy.observation_size,
            "action_size": self.policy.action_size,
            "network": {**network, "normalizer": normalizer["kind"] if normalizer else None},
            "task": self.policy.contract.task if self.policy.contract else None,
            "files": {name: str(path) for name, path in self.files.items()},
            "parity": self.parity.as_dict(),
        }


def export_checkpoint(checkpoint: Path, output_dir: Path, *, activation: str | None = None) -> StandaloneExport:
    """Export a checkpoint of any supported library in every format and prove the files equal to it.

    The contract is the checkpoint's own where gaitway wrote it; else it says what the weights say and names the
    rest as unknown. Nothing appears in ``output_dir`` unless every file agrees with the checkpoint.

    Raises:
        UsageError: The checkpoint cannot be read; see :func:`.reading.read_checkpoint`.
        JobFailed: An export failed or disagrees.
    """
    policy = read_checkpoint(checkpoint, activation=activation)
    digest = sha256_of(checkpoint)
    contract = policy.contract or PolicyContract.of_unknown_task()
    source = {"checkpoint": checkpoint.name, "checkpoint_sha256": digest}
    output_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output_dir, prefix=".export-") as staging:
        made = export_policy(policy, contract, Path(staging), source=source)
        sessions = {name: open_session(made[name]) for name in FORMATS}
        report = measure(policy, sessions, observations_from_statistics(policy), source="drawn")
        report.require()
        files = {name: path.replace(output_dir / path.name) for name, path in made.items()}
    return StandaloneExport(checkpoint, digest, policy, files, report)
