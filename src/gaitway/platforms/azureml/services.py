"""Ways into a running job (``--services``): SSH, VS Code, TensorBoard, JupyterLab."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gaitway_runtime.spec.types import JsonObject, object_at

from ...errors import UsageError, nearest
from .options import AzuremlOptions

KINDS = {"ssh": "ssh", "vscode": "vs_code", "tensorboard": "tensor_board", "jupyter": "jupyter_lab"}
"""Azure ML's type of each service."""

LOGS = "/tmp/gaitway_run/outputs"
"""Folder whose event files TensorBoard shows."""

PUBLIC_KEYS = ("~/.ssh/id_ed25519.pub", "~/.ssh/id_ecdsa.pub", "~/.ssh/id_rsa.pub")


def document(options: AzuremlOptions) -> dict[str, JsonObject]:
    """Return the services of a job document.

    Raises:
        UsageError: There is no such service, or no public key for SSH.
    """
    names = [name.strip() for word in options.services for name in word.split(",") if name.strip()]
    return {KINDS[_known(name)]: _service(name, options) for name in names}


def _known(name: str) -> str:
    if name not in KINDS:
        close = nearest(name, KINDS, 1)
        raise UsageError(
            f"Azure ML has no service '{name}'",
            source="--services",
            allowed=", ".join(KINDS),
            hint=f"did you mean {close}?" if close else None,
        )
    return name


def _service(name: str, options: AzuremlOptions) -> JsonObject:
    if name == "ssh":
        return {"type": KINDS[name], "ssh_public_keys": _public_key(options.ssh_public_key)}
    if name == "tensorboard":
        return {"type": KINDS[name], "log_dir": LOGS}
    return {"type": KINDS[name]}


def _public_key(named: str | None) -> str:
    """Return the public key that SSH admits.

    Raises:
        UsageError: There is none, or the file is not a public key.
    """
    paths = [Path(path).expanduser() for path in ((named,) if named else PUBLIC_KEYS)]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise UsageError(
            f"there is no public key file {named}" if named else "there is no public SSH key on this machine",
            source="--services ssh",
            hint="ssh-keygen -t ed25519, or --ssh-public-key FILE",
        )
    text = path.read_text(encoding="utf-8", errors="replace").strip()
    if "PRIVATE KEY" in text or not text.startswith(("ssh-", "ecdsa-", "sk-")):
        raise UsageError(
            f"{path} is not a public key", source="--services ssh", allowed="a file such as id_ed25519.pub"
        )
    return text


def reached(job: JsonObject) -> str:
    """Return the addresses of a running job's services, for its status; nothing where it has none."""
    found = []
    for name, service in object_at(job, "services").items():
        if isinstance(service, Mapping) and name not in ("Studio", "Tracking") and service.get("endpoint"):
            found.append(f"{name}: {service['endpoint']}")
    return "; ".join(found)
