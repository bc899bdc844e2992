"""Export of a checkpoint on this machine, for the command line and the Python API."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gaitway_runtime.spec.export_formats import formats_of
from gaitway_runtime.spec.packages import missing_package

from .errors import ConfigError

if TYPE_CHECKING:
    from gaitway_runtime.policies.checkpoint_export import CheckpointExport


def export_checkpoint(
    address: str,
    output: Path,
    *,
    format: str,
    activation: str | None = None,
    sha256: str | None = None,
    network_file: Path | None = None,
    contract_file: Path | None = None,
    targets: tuple[str, ...] = (),
    say: Callable[[str], object] = print,
) -> CheckpointExport:
    """Fetch a checkpoint and export it; torch and ONNX are imported here.

    Args:
        address: Address of the checkpoint; a run's reference is resolved before.
        output: Folder for the files; ``~`` stands for the home folder.
        format: Export format, or ``both``.
        activation: Activation of the policy network, where nothing beside the checkpoint tells.
        sha256: Expected hash of the checkpoint file.
        network_file: Description of a network that no known library wrote (``network.yaml``).
        contract_file: Contract that the policy was trained under; by default the checkpoint's own.
        targets: Deployers to write files for, each in ``deploy/<target>/``.
        say: Called with what the user should know of the fetch.

    Raises:
        UsageError: The checkpoint cannot be found or read.
        ConfigError: A package that the export needs is not installed, or the folder cannot be written.
        JobFailed: An export failed, or differs from the checkpoint.
    """
    output = output.expanduser()
    try:
        from gaitway_runtime.fetch import fetch
        from gaitway_runtime.policies import checkpoint_export
        from gaitway_runtime.policies.checkpoint import open_checkpoint
    except ModuleNotFoundError as error:
        raise missing_package("export", error, "local") from None
    with tempfile.TemporaryDirectory(prefix="gaitway-") as downloads:
        fetched = fetch(address, Path(downloads), expected_sha256=sha256)
        if fetched.note:
            say(fetched.note)
        try:
            return checkpoint_export.export_checkpoint(
                open_checkpoint(fetched.path, fetched.config_folders),
                output,
                activation=activation,
                formats=formats_of(format),
                network_file=network_file,
                contract_file=contract_file,
                targets=targets,
            )
        except OSError as error:
            raise ConfigError(
                f"the exports cannot be written: {error.strerror or error}",
                source=f"--output {output}",
                allowed="a folder that you may write to",
            ) from None
