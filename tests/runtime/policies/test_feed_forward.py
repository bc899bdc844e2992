"""ONNX graphs that are written node by node: they compute what the network computes."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from gaitway_runtime.policies.activations import ACTIVATIONS
from gaitway_runtime.policies.formats.feed_forward import write_feed_forward
from gaitway_runtime.policies.formats.onnx import OPSET, convert
from gaitway_runtime.policies.network import FeedForward, Normalizer, Output, Policy, PolicyParts, assemble
from gaitway_runtime.policies.weights import Linear

BY_EXPORTER = ("gelu",)
"""Activations that ONNX's operators of this version do not have."""
NORMALIZER = Normalizer("sample", torch.linspace(-1, 1, 6), torch.linspace(0.1, 2, 6), 1e-2, clip=5.0)


def policy(activation: str = "elu", output: Output | None = None, rows: int = 3, **parts: object) -> Policy:
    torch.manual_seed(1)
    inputs = 4 if "selection" in parts else 6
    sizes = [(8, inputs), (8, 8), (rows, 8)]
    linears = tuple(Linear(torch.randn(shape), torch.randn(shape[0]), followed=True) for shape in sizes)
    given = {"normalizer": NORMALIZER, "output": output or Output("gaussian"), **parts}
    return assemble(
        PolicyParts(family="sample", linears=linears, activations=(activation,) * 2, activation_source="test", **given)
    )


def compare(network: Policy, model: onnx.ModelProto) -> None:
    onnx.checker.check_model(model, full_check=True)
    observations = torch.randn(50, 6) * 10
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(["actions"], {"obs": observations.numpy()})
    np.testing.assert_allclose(found, network(observations).numpy(), rtol=2e-5, atol=2e-5)


def written(network: Policy, batch: str | int = "batch") -> onnx.ModelProto | None:
    assert isinstance(network.module, FeedForward)
    return write_feed_forward(network.module, (6, network.action_size), batch, ("obs", "actions"), OPSET)


@pytest.mark.parametrize("activation", [name for name in sorted(ACTIVATIONS) if name not in BY_EXPORTER])
def test_every_activation(activation: str) -> None:
    network = policy(activation)
    model = written(network)
    assert model is not None
    compare(network, model)


@pytest.mark.parametrize(
    "parts",
    [
        {"normalizer": None},
        {"input_limit": 2.0, "output_limit": 1.5},
        {"selection": torch.eye(6)[:4] * 0.5},
        {"output": Output("deterministic", squash="tanh", scale=(2.0, 1.0, 0.5), offset=(0.1, 0.0, -0.1))},
        {"output": Output("gaussian", low=(-1.0, -np.inf, -2.0), high=(1.0, 0.5, np.inf))},
        {"output": Output("state_dependent_gaussian"), "rows": 6},
    ],
    ids=["bare", "limits", "selection", "squashed", "bounds", "half"],
)
def test_every_part(parts: dict) -> None:
    network = policy(**parts)
    model = written(network)
    assert model is not None
    compare(network, model)


@pytest.mark.parametrize("parts", [{"activation": "gelu"}, {"output": Output("beta"), "rows": 6}], ids=["gelu", "beta"])
def test_what_has_no_writer_goes_through_torchs_exporter(parts: dict) -> None:
    network = policy(**parts)
    assert written(network) is None
    compare(network, convert(network.module, (torch.zeros(2, 6),), ["obs"], ["actions"], batch_axes=(0,)))


def test_a_batch_of_one_stays_one() -> None:
    model = written(policy(), batch=1)
    assert model is not None
    assert [axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim] == [1, 6]
