"""ONNX: one file with weights, normaliser, output clamp and contract inside, and a dynamic batch axis."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...spec.contract import CONTRACT_KEY, PolicyContract
from ...spec.errors import JobFailed, UsageError
from ...spec.registry import ForeignError, call_foreign
from ..network import FeedForward, Policy
from ..sessions import PolicySession, State, embedded_contract, unreadable_export
from .base import ExportFormat, quiet_torch
from .feed_forward import write_feed_forward

OPSET = 18
"""ONNX operator set of the export; the one that rsl_rl's own export uses too."""


def _write(policy: Policy, contract: PolicyContract, path: Path) -> None:
    """Write one ONNX file: weights inside, dynamic batch axis, checked."""
    states = policy.state_names
    model = convert(
        policy.module,
        # Two rows, not one: an example of one would let the exporter take the batch for a constant.
        (torch.zeros(2, policy.observation_size), *policy.initial_state(2)),
        ["obs", *(f"{name}_in" for name in states)],
        ["actions", *(f"{name}_out" for name in states)],
        batch_axes=(0, *(1 for _ in states)),
    )
    save_checked(model, path, {CONTRACT_KEY: contract.to_json(indent=None), **_readable_metadata(contract)})


def convert(
    module: torch.nn.Module,
    example: tuple[torch.Tensor, ...],
    inputs: list[str],
    outputs: list[str],
    *,
    batch_axes: tuple[int, ...] | None,
) -> Any:
    """Return a module as an ONNX model with its weights inside.

    A plain feed-forward policy is written directly, in milliseconds; the rest is traced by torch's exporter.

    Args:
        module: The module, in evaluation mode.
        example: Inputs of the shapes that it shall have.
        inputs: Names of the inputs.
        outputs: Names of the outputs.
        batch_axes: Axis of each input that is the batch, whose size may vary; None for fixed shapes.

    Raises:
        JobFailed: The exporter failed.
    """
    if isinstance(module, FeedForward):
        batch = "batch" if batch_axes else int(example[0].shape[0])
        with torch.inference_mode():
            sizes = (int(example[0].shape[1]), int(module(example[0]).shape[1]))
        model = write_feed_forward(module, sizes, batch, (inputs[0], outputs[0]), OPSET)
        if model is not None:
            return model
    with quiet_torch():
        varying = tuple({axis: torch.export.Dim("batch")} for axis in batch_axes) if batch_axes else None
        program = torch.onnx.export(
            module,
            example,
            dynamo=True,
            dynamic_shapes=varying,
            input_names=inputs,
            output_names=outputs,
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise JobFailed("torch's ONNX exporter returned nothing")
    model = program.model_proto  # made anew at every access
    _strip_provenance(model)
    return model


def save_checked(model: Any, path: Path, metadata: Mapping[str, str]) -> None:
    """Write an ONNX model with its metadata, after onnx's own check of it.

    Raises:
        JobFailed: It is not valid.
    """
    import onnx

    onnx.helper.set_model_props(model, dict(metadata))
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise JobFailed(f"the exported ONNX model is not valid: {error}") from None
    onnx.save(model, path)


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


def _check_ends(session: Any, contract: PolicyContract, path: Path) -> None:
    """Check that a model takes and gives float32 vectors of the sizes that its contract says.

    Raises:
        UsageError: It does not.
    """
    sizes = (contract.observation_size, contract.action_size)
    ends = (session.get_inputs()[0], session.get_outputs()[0])
    for entry, size in zip(ends, sizes, strict=True):
        width = entry.shape[-1] if len(entry.shape) == 2 else None
        if entry.type != "tensor(float)" or (size and width != size):
            raise UsageError(
                f"the exported policy's {entry.name} is {entry.type} {entry.shape}, "
                f"its contract says {size or 'N'} values",
                source=str(path),
                allowed="float32, (batch, values)",
            )


class OnnxSession(PolicySession):
    """An exported ``policy.onnx`` in ONNX Runtime on the CPU."""

    format = "onnx"

    def __init__(self, path: Path, threads: int = 1) -> None:
        # It would otherwise report its use to its makers, from wherever a policy is played; read when it is loaded.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        try:
            # Another opset, operators or data of others: it has an error of its own for each.
            self._session = call_foreign(
                lambda: onnxruntime.InferenceSession(
                    path, options, providers=["CPUExecutionProvider"], enable_fallback=0
                )
            )
            metadata = call_foreign(lambda: self._session.get_modelmeta().custom_metadata_map)
        except ForeignError as error:
            raise unreadable_export(path, error) from None
        self.provider = self._session.get_providers()[0]
        self._threads = threads
        self.contract = embedded_contract(metadata.get(CONTRACT_KEY, ""), path)
        self._inputs = [entry.name for entry in self._session.get_inputs()]
        _check_ends(self._session, self.contract, path)
        super().__init__(self.contract.network)

    @property
    def threads(self) -> int:
        """Threads of ONNX Runtime for this session."""
        return self._threads

    def _run(self, observations: NDArray[np.float32], state: State) -> tuple[NDArray[np.float32], State]:
        actions, *after = self._session.run(None, dict(zip(self._inputs, (observations, *state), strict=True)))
        return actions, tuple(after)


FORMAT = ExportFormat(title="ONNX", file="policy.onnx", write=_write, open=OnnxSession, properties={"opset": OPSET})
