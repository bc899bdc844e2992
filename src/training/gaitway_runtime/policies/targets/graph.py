"""ONNX files of a deployer's own shape: fixed batch of one, its names, its metadata, compared with the module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ...spec.contract import ObservationTerm, PolicyContract
from ...spec.errors import JobFailed
from ..formats.onnx import convert, save_checked
from ..network import Policy
from ..parity import TOLERANCE, observations_from_statistics

COMPARED = 64
"""Draws that a written file is compared with its module on."""


def write_graph(
    module: nn.Module,
    examples: Sequence[Mapping[str, torch.Tensor]],
    outputs: Sequence[str],
    path: Path,
    metadata: Mapping[str, str],
) -> None:
    """Write a module as one ONNX file of fixed shapes and compare the two.

    Args:
        module: Takes and gives tensors in the order of the names.
        examples: Inputs by name; the first gives the shapes, all are compared.
        outputs: Names of the outputs.
        path: The file.
        metadata: Entries of the file's metadata.

    Raises:
        JobFailed: The exporter failed, or the file computes something else.
    """
    module = module.eval()
    model = convert(module, tuple(examples[0].values()), list(examples[0]), list(outputs), batch_axes=None)
    save_checked(model, path, metadata)
    _compare(module, examples, path)


def write_policy(
    policy: Policy, path: Path, metadata: Mapping[str, str], *, module: nn.Module | None = None, name: str = "obs"
) -> None:
    """Write a policy's network with a batch of one: ``name`` to ``actions``, and its state where it has one.

    Args:
        policy: The policy.
        path: The file.
        metadata: Entries of the file's metadata.
        module: What stands in place of the policy's own network, with the same inputs and outputs.
        name: Name of the input.
    """
    states = policy.initial_state(1)
    examples = [
        {name: row[None], **dict(zip((f"{state}_in" for state in policy.state_names), states, strict=True))}
        for row in torch.from_numpy(observations_from_statistics(policy, COMPARED))
    ]
    outputs = ["actions", *(f"{state}_out" for state in policy.state_names)]
    write_graph(module or policy.module, examples, outputs, path, metadata)


def _compare(module: nn.Module, examples: Sequence[Mapping[str, torch.Tensor]], path: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for example in examples:
        with torch.inference_mode():
            found = module(*example.values())
        expected = found if isinstance(found, tuple) else (found,)
        answers = session.run(None, {name: tensor.numpy() for name, tensor in example.items()})
        for answer, tensor in zip(answers, expected, strict=True):
            wanted = tensor.numpy()
            error = float(np.abs(answer - wanted).max()) if wanted.size else 0.0
            if not error <= TOLERANCE * max(1.0, float(np.abs(wanted).max(initial=0.0))):
                raise JobFailed(f"the file does not compute what the checkpoint does: {error:.3g}", source=path.name)


def plain_text(values: Sequence[object]) -> str:
    """Return values as comma-separated text at full precision, as C++ readers split it."""
    return ",".join(repr(value) if isinstance(value, float) else str(value) for value in values)


class RawInputs(nn.Module):
    """A policy that takes each observation before its scale and clip: ``scale * clip(raw)`` is inside."""

    def __init__(self, policy: Policy, contract: PolicyContract) -> None:
        super().__init__()
        self.module = policy.module
        columns = [column for term in contract.observations for column in _columns(term)]
        low, high, scale = zip(*columns, strict=True)
        self.low = nn.Buffer(torch.tensor(low, dtype=torch.float32))
        self.high = nn.Buffer(torch.tensor(high, dtype=torch.float32))
        self.scale = nn.Buffer(torch.tensor(scale, dtype=torch.float32))

    def forward(self, obs: torch.Tensor, *states: torch.Tensor) -> object:
        """Return what the policy gives for raw observations, (1, observations)."""
        return self.module(torch.minimum(torch.maximum(obs, self.low), self.high) * self.scale, *states)


def _columns(term: ObservationTerm) -> list[tuple[float, float, float]]:
    """Return bounds and scale of each value of a term."""
    low, high = term.clip or (-torch.inf, torch.inf)
    scales = term.scales or (term.scale,) * (term.stop - term.start)
    return [(float(low), float(high), float(scale)) for scale in scales]
