"""Exporting a policy: ONNX and TorchScript, each one file with the normaliser and the output clamp inside.

Both take ``obs (batch, observations)`` and give ``actions (batch, actions)``: the raw mean, before the action term's
scale and offset, which the contract names. A recurrent policy takes and gives its state as well: ``h_in``, ``c_in``
to ``h_out``, ``c_out``, each (layers, batch, hidden), zeros at the start of an episode. To add a format, write a
function and add a row to :data:`FORMATS`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import JobFailed, UsageError
from ..files import replacing
from ..result import write_json
from .contract import CONTRACT_FILE, PolicyContract
from .network import Policy

OPSET = 18
"""ONNX operator set of the export; the one that rsl_rl's own export names too."""

ONNX_CONTRACT_KEY = "policy_contract"
"""Key of the whole contract in the ONNX file's metadata."""


@dataclass(frozen=True)
class Format:
    """One export format."""

    file: str
    write: Callable[[Policy, PolicyContract, Path], None]


def export_policy(
    policy: Policy,
    contract: PolicyContract,
    output_dir: Path,
    formats: tuple[str, ...] = ("onnx", "jit"),
    *,
    source: Mapping[str, Any] | None = None,
) -> dict[str, Path]:
    """Export a policy in each of some formats, with the contract inside each file and beside them.

    Args:
        policy: The policy.
        contract: What its inputs and outputs mean; the network and io sections are filled in here.
        output_dir: Gets ``policy.onnx``, ``policy.pt`` and ``contract.json``, each in one step.
        formats: Names from :data:`FORMATS`.
        source: Entries for the contract's source section (run, checkpoint hash, library versions).

    Returns:
        The files made, by format, and the contract's under ``contract``.

    Raises:
        UsageError: A format is unknown, or the contract is not the policy's.
        JobFailed: An exporter failed, or what it made is not a valid model.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise UsageError(f"unknown export format '{unknown[0]}'", source="--format", allowed=", ".join(FORMATS))
    filled = complete(policy, contract, source or {})
    output_dir.mkdir(parents=True, exist_ok=True)
    made = {"contract": output_dir / CONTRACT_FILE}
    write_json(dataclasses.asdict(filled), made["contract"])
    for name in formats:
        path = output_dir / FORMATS[name].file
        with replacing(path) as partial:
            FORMATS[name].write(policy, filled, partial)
        made[name] = path
    return made


def complete(policy: Policy, contract: PolicyContract, source: Mapping[str, Any]) -> PolicyContract:
    """Return the contract with its network, io and source sections filled in.

    Raises:
        UsageError: The contract's inputs or outputs are not the policy's.
    """
    if "observations" not in contract.unknown:
        contract.check_against(policy)
    io = {
        "inputs": [_tensor("obs", "batch", policy.observation_size), *_state_tensors(policy, "in")],
        "outputs": [_tensor("actions", "batch", policy.action_size), *_state_tensors(policy, "out")],
        "onnx": {"file": FORMATS["onnx"].file, "opset": OPSET},
        "jit": {"file": FORMATS["jit"].file},
    }
    found = {"library": policy.parts.family, "iteration": policy.parts.iteration}
    return dataclasses.replace(
        contract, network=policy.network, io=io, source={**contract.source, **found, **dict(source)}
    )


def _write_onnx(policy: Policy, contract: PolicyContract, path: Path) -> None:
    """Write one ONNX file: weights inside, dynamic batch axis, checked."""
    import onnx

    batch = torch.export.Dim("batch")
    # Two rows, not one: an example of one would let the exporter take the batch for a constant.
    example = (torch.zeros(2, policy.observation_size), *policy.initial_state(2))
    states = policy.state_names
    with quiet_torch():
        program = torch.onnx.export(
            policy.module,
            example,
            dynamo=True,
            dynamic_shapes=({0: batch}, *({1: batch} for _ in states)),
            input_names=["obs", *(f"{name}_in" for name in states)],
            output_names=["actions", *(f"{name}_out" for name in states)],
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise JobFailed("torch's ONNX exporter returned nothing")
    model = program.model_proto
    _strip_provenance(model)
    entries = {ONNX_CONTRACT_KEY: contract.to_json(indent=None), **_readable_metadata(contract)}
    onnx.helper.set_model_props(model, entries)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise JobFailed(f"the exported ONNX model is not valid: {error}") from None
    onnx.save(model, path)


def _write_jit(policy: Policy, contract: PolicyContract, path: Path) -> None:
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


FORMATS: dict[str, Format] = {
    "onnx": Format("policy.onnx", _write_onnx),
    "jit": Format("policy.pt", _write_jit),
}
"""Export formats by the name that ``--format`` takes."""


def _tensor(name: str, *shape: str | int) -> dict[str, Any]:
    return {"name": name, "dtype": "float32", "shape": list(shape)}


def _state_tensors(policy: Policy, direction: str) -> list[dict[str, Any]]:
    rnn = policy.parts.rnn
    if rnn is None:
        return []
    return [_tensor(f"{name}_{direction}", rnn.layers, "batch", rnn.hidden_size) for name in policy.state_names]


def _readable_metadata(contract: PolicyContract) -> dict[str, str]:
    """Return the entries that Isaac Lab's and mjlab's deployment tools look for, here at full precision."""

    def text(values: tuple[Any, ...]) -> str:
        return ",".join(str(value) for value in values)

    robot = contract.robot
    entries = {
        "joint_names": text(robot.joint_names),
        "default_joint_pos": text(robot.default_joint_pos),
        "joint_stiffness": text(robot.stiffness),
        "joint_damping": text(robot.damping),
        "observation_names": text(tuple(term.name for term in contract.observations)),
        "command_names": text(tuple(contract.commands)),
        "action_scale": text(tuple(value for term in contract.actions for value in term.scale)),
    }
    return {name: value for name, value in entries.items() if value}


def _strip_provenance(model: Any) -> None:
    """Remove what the exporter notes of the machine (source paths, stack traces): it has no place in a product."""
    parts = (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer)
    for part in (*parts, *model.graph.input, *model.graph.output, *model.functions):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


@contextlib.contextmanager
def quiet_torch() -> Iterator[None]:
    """Keep torch's notes on TorchScript (deprecated) and torchvision (not needed) out of the job's log."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for category in (DeprecationWarning, FutureWarning, UserWarning):
                warnings.simplefilter("ignore", category)
            yield
    finally:
        logger.setLevel(level)
