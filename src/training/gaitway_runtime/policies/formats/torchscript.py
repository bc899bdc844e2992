"""TorchScript: an archive with the contract as an extra file."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import torch

from ...spec.contract import CONTRACT_FILE, PolicyContract
from ...spec.registry import ForeignError, call_foreign
from ..network import Policy
from ..sessions import PolicySession, TorchSession, embedded_contract, unreadable_export
from ..torchscript_code import check_code
from .base import ExportFormat, quiet_torch


def _write(policy: Policy, contract: PolicyContract, path: Path) -> None:
    """Write a TorchScript archive with the contract as an extra file.

    The archive is packed again without torch's debug records, which hold the paths of this machine's source files;
    fixed dates make it the same file every time.
    """
    archive = io.BytesIO()
    with quiet_torch():
        scripted = torch.jit.script(policy.module)
        torch.jit.save(scripted, archive, _extra_files={CONTRACT_FILE: contract.to_json()})
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            if not name.endswith(".debug_pkl"):
                target.writestr(zipfile.ZipInfo(name), source.read(name))


def _open(path: Path, threads: int) -> PolicySession:
    check_code(path)
    extra: dict[str, str | bytes] = {CONTRACT_FILE: ""}
    try:
        with quiet_torch():
            module = call_foreign(lambda: torch.jit.load(path, map_location="cpu", _extra_files=extra))  # type: ignore[no-untyped-call]
        text = extra[CONTRACT_FILE]
        contract = embedded_contract(text.decode() if isinstance(text, bytes) else text, path)
    except (ForeignError, UnicodeDecodeError) as error:
        raise unreadable_export(path, error) from None
    return TorchSession(module.eval(), contract.network, contract, "jit")


FORMAT = ExportFormat(title="TorchScript", file="policy.pt", write=_write, open=_open)
