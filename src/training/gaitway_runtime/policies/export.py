"""Export of a policy in the formats of the table, each one file with the normaliser and the output clamp inside.

Each takes ``obs (batch, observations)`` and give ``actions (batch, actions)``: the raw mean, before the action term's
scale and offset, which the contract names. A recurrent policy takes and gives its state as well: ``h_in``, ``c_in``
to ``h_out``, ``c_out``, each (layers, batch, hidden), zeros at the start of an episode. To add a
format, write a module like those in ``formats/`` and add a row to its table, or an entry point of your own package.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..spec.contract import CONTRACT_FILE, PolicyContract
from ..spec.export_formats import EXPORT_FORMATS
from ..spec.files import replacing
from ..spec.result import write_json
from ..spec.types import JsonObject
from .fit import check_fit
from .formats.base import ExportFormat
from .network import Policy


def export_policy(
    policy: Policy,
    contract: PolicyContract,
    output_dir: Path,
    formats: tuple[str, ...] = ("onnx", "jit"),
    *,
    source: Mapping[str, object] | None = None,
) -> dict[str, Path]:
    """Export a policy in each of some formats, with the contract inside each file and beside them.

    Args:
        policy: The policy.
        contract: What its inputs and outputs mean; the network and io sections are filled in here.
        output_dir: Gets ``policy.onnx``, ``policy.pt`` and ``contract.json``, each in one step.
        formats: Names of export formats.
        source: Entries for the contract's source section (run, checkpoint hash, library versions).

    Returns:
        The files made, by format, and the contract's under ``contract``.

    Raises:
        UsageError: A format is unknown, or the contract is not the policy's.
        JobFailed: An exporter failed, or what it made is not a valid model.
    """
    writers = {name: EXPORT_FORMATS.get(name, "--format") for name in formats}
    filled = complete(policy, contract, source or {}, writers)
    output_dir.mkdir(parents=True, exist_ok=True)
    made = {"contract": output_dir / CONTRACT_FILE}
    write_json(dataclasses.asdict(filled), made["contract"])
    for name, format in writers.items():
        path = output_dir / format.file
        with replacing(path) as partial:
            format.write(policy, filled, partial)
        made[name] = path
    return made


def complete(
    policy: Policy, contract: PolicyContract, source: Mapping[str, object], formats: Mapping[str, ExportFormat]
) -> PolicyContract:
    """Return the contract with its network, io and source sections filled in.

    Raises:
        UsageError: The contract's inputs or outputs are not the policy's.
    """
    if "observations" not in contract.unknown:
        check_fit(policy, contract)
    io: JsonObject = {
        "inputs": [_tensor("obs", "batch", policy.observation_size), *_state_tensors(policy, "in")],
        "outputs": [_tensor("actions", "batch", policy.action_size), *_state_tensors(policy, "out")],
        **{name: {"file": format.file, **format.properties} for name, format in formats.items()},
    }
    found = {"library": policy.parts.family, "iteration": policy.parts.iteration}
    return dataclasses.replace(
        contract, network=policy.network, io=io, source={**contract.source, **found, **dict(source)}
    )


def _tensor(name: str, *shape: str | int) -> dict[str, Any]:
    return {"name": name, "dtype": "float32", "shape": list(shape)}


def _state_tensors(policy: Policy, direction: str) -> list[dict[str, Any]]:
    rnn = policy.parts.rnn
    if rnn is None:
        return []
    return [_tensor(f"{name}_{direction}", rnn.layers, "batch", rnn.hidden_size) for name in policy.state_names]
