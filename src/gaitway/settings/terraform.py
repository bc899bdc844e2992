"""Terraform's outputs, read once and read-only, from the real tool or from a bare state file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..findings import Finding
from .values import Secret

STATE_FILE = "terraform.tfstate"
TIMEOUT_S = 30.0
"""Bound of one ``terraform output`` [s]; a remote state is fetched over the network in it."""
MAX_BYTES = 64 * 2**20
"""Largest document that is read [bytes]."""


@dataclass(frozen=True)
class Outputs:
    """The outputs of one Terraform folder, or the finding that says why there are none."""

    folder: Path
    values: Mapping[str, Any] = field(default_factory=dict)
    finding: Finding | None = None

    def lookup(self, path: str) -> Any:
        """Return what a dotted path such as ``resource_group.value.name`` leads to, or None.

        What comes out of a sensitive output is a :class:`Secret`.
        """
        dotted, _, part = path.partition("/")
        output, *_ = names = dotted.split(".")
        found: Any = self.values
        for name in names:
            found = found.get(name) if isinstance(found, Mapping) else None
        if part and isinstance(found, str):
            found = _id_part(found, part)
        if found is None or isinstance(found, Mapping | list):
            return found
        text = found if isinstance(found, str) else json.dumps(found)
        return Secret(text) if self.values[output].get("sensitive") else text


def read_outputs(folder: Path) -> Outputs:
    """Read a folder's outputs with ``terraform output -json``, or from its state file where there is no Terraform.

    A folder without outputs is not an error: the answer carries a finding that says so.

    Raises:
        ConfigError: What Terraform or the state file says is not a set of outputs.
    """
    if not folder.is_dir():
        return _nothing(folder, "the folder does not exist", "--terraform-dir DIR names another one")
    binary = shutil.which("terraform")
    if binary is None:
        return _from_state(folder)
    done = _run(binary, folder)
    if isinstance(done, str):
        return _nothing(folder, done, f"look with: terraform -chdir={folder} output")
    source = f"terraform output -json in {folder}"
    values = _checked(_load(done, source), source)
    if not values:
        return _nothing(folder, "no outputs", f"terraform -chdir={folder} apply")
    return Outputs(folder, values)


def _run(binary: str, folder: Path) -> bytes | str:
    """Return what ``terraform output`` printed, or a sentence that says why it did not answer."""
    environ = {**os.environ, "TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}
    command = [binary, "output", "-json", "-no-color"]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return f"terraform output gave no answer within {TIMEOUT_S:.0f} s"
    except OSError as error:
        return f"terraform cannot be run: {error.strerror}"
    if done.returncode != 0:
        return f"terraform output failed: {_reason(done.stderr)}"
    return done.stdout


def _reason(stderr: bytes) -> str:
    """Pick the ``Error:`` line out of Terraform's boxes."""
    lines = [line.strip(" │╷╵\t") for line in stderr.decode("utf-8", "replace").splitlines()]
    errors = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
    return errors[0] if errors else "no reason given"


def _from_state(folder: Path) -> Outputs:
    fix = "install terraform (https://developer.hashicorp.com/terraform/install)"
    try:
        path = _state_path(folder)
        if path.stat().st_size > MAX_BYTES:
            return _nothing(folder, f"terraform is not installed and {STATE_FILE} is larger than 64 MiB", fix)
        state = _load(path.read_bytes(), str(path))
    except FileNotFoundError:
        return _nothing(folder, f"terraform is not installed and there is no {STATE_FILE}", fix)
    except OSError as error:
        return _nothing(folder, f"{STATE_FILE} cannot be read: {error.strerror}", fix)
    values = _checked(state.get("outputs", {}) if isinstance(state, dict) else state, str(path))
    return Outputs(folder, values) if values else _nothing(folder, "no outputs", f"terraform -chdir={folder} apply")


def _state_path(folder: Path) -> Path:
    """Return where the state of the chosen workspace lies: ``TF_WORKSPACE``, else the one that was selected."""
    selected = folder / ".terraform" / "environment"
    name = os.environ.get("TF_WORKSPACE") or (selected.read_text().strip() if selected.is_file() else "default")
    return folder / STATE_FILE if name == "default" else folder / f"{STATE_FILE}.d" / name / STATE_FILE


def _load(text: bytes, source: str) -> Any:
    try:
        return json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ConfigError("the Terraform outputs are not readable JSON", source=source) from None


def _checked(values: Any, source: str) -> Mapping[str, object]:
    whole = isinstance(values, dict) and all(isinstance(item, dict) and "value" in item for item in values.values())
    if not whole:
        raise ConfigError(
            "the Terraform outputs are not of the form {NAME: {value: ...}}",
            source=source,
            hint="--terraform-dir DIR names another folder",
        )
    found: Mapping[str, object] = values
    return found


def _id_part(resource_id: str, part: str) -> str | None:
    """Return a part of an Azure resource id: S for ``subscriptions`` in ``/subscriptions/S/resourceGroups/R``."""
    words = resource_id.split("/")
    folded = [word.casefold() for word in words]
    at = folded.index(part.casefold()) + 1 if part.casefold() in folded else len(words)
    return words[at] if at < len(words) else None


def _nothing(folder: Path, why: str, fix: str) -> Outputs:
    return Outputs(folder, finding=Finding("terraform outputs", False, f"{folder}: {why}", fix, required=False))
