"""Export of a checkpoint without task, simulator or tracking: the work of ``gaitway export``."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..spec.checkpoint_files import sha256_of
from ..spec.contract import PolicyContract, read_contract
from ..spec.export_formats import BOTH
from .checkpoint import Checkpoint, open_checkpoint
from .export import export_policy
from .network import Policy
from .parity import ParityReport, measure, observations_from_statistics
from .reader import read_checkpoint
from .sessions import open_session
from .targets.base import check_target, write_target


@dataclass(frozen=True)
class CheckpointExport:
    """Result of an export."""

    checkpoint: Path
    sha256: str
    policy: Policy
    files: Mapping[str, Path]
    """By format, and the contract's under ``contract``."""
    parity: ParityReport
    deploy: Mapping[str, Path]
    """Folder of each target."""

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
            "assumptions": list(self.policy.parts.assumptions),
            "task": self.policy.contract.task if self.policy.contract and self.policy.contract.task else None,
            "files": {name: str(path) for name, path in self.files.items()},
            "deploy": {name: str(path) for name, path in self.deploy.items()},
            "parity": self.parity.as_dict(),
        }


def export_checkpoint(
    checkpoint: Checkpoint | Path,
    output_dir: Path,
    *,
    activation: str | None = None,
    formats: tuple[str, ...] = BOTH,
    network_file: Path | None = None,
    contract_file: Path | None = None,
    targets: tuple[str, ...] = (),
) -> CheckpointExport:
    """Export a checkpoint of any supported library and compare the files with it.

    The contract is the checkpoint's own where gaitway wrote it; else it says what the weights say and names the
    rest as unknown. Nothing appears in ``output_dir`` unless every file agrees with the checkpoint.

    Args:
        checkpoint: An opened checkpoint, or the path of a file.
        output_dir: Folder for the files.
        activation: Activation of the policy network, where nothing beside the checkpoint names it.
        formats: Names of export formats.
        network_file: Description of the network, when it is not beside the file.
        contract_file: Contract that the policy was trained under; by default the checkpoint's own.
        targets: Deployers to write files for, each in ``deploy/<target>/``.

    Raises:
        UsageError: The checkpoint cannot be read; see :func:`.reader.read_checkpoint`.
        JobFailed: An export failed or disagrees.
    """
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = open_checkpoint(checkpoint)
    policy = read_checkpoint(checkpoint, activation=activation, network_file=network_file)
    path, digest = checkpoint.path, sha256_of(checkpoint.path)
    own = policy.contract or PolicyContract.of_unknown_task()
    contract = read_contract(contract_file) if contract_file else own
    for name in targets:
        check_target(name, policy, contract)
    source = {"checkpoint": path.name, "checkpoint_sha256": digest}
    output_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output_dir, prefix=".export-") as staging:
        made = export_policy(policy, contract, Path(staging), formats, source=source)
        sessions = {name: open_session(made[name]) for name in formats}
        report = measure(policy, sessions, observations_from_statistics(policy), source="drawn")
        report.require()
        whole = PolicyContract.from_json(made["contract"].read_text(encoding="utf-8"))
        for name in targets:
            write_target(name, policy, whole, Path(staging) / "deploy" / name)
        files = {name: path.replace(output_dir / path.name) for name, path in made.items()}
        deployed = {name: _move(Path(staging) / "deploy" / name, output_dir / "deploy" / name) for name in targets}
    return CheckpointExport(path, digest, policy, files, report, deployed)


def _move(made: Path, target: Path) -> Path:
    """Put a folder in place of what stood there before."""
    if target.exists():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    return made.replace(target)
