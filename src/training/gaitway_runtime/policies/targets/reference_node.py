"""Reference node: a controller in Python and in C++17, a ROS 2 skeleton, and vectors for their self-tests."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...spec.contract import CONTRACT_FILE, PolicyContract
from ...spec.export_formats import EXPORT_FORMATS
from ..network import Policy
from . import whole_loop
from .base import ExportTarget
from .whole_loop import Sensor, WholeLoop

STEPS = 1000
"""Steps of the test vectors."""

_NODE = Path(__file__).parent / "node"


def problems(policy: Policy, contract: PolicyContract) -> Iterator[str]:
    """Yield what the controller has no sensor for."""
    yield from whole_loop.problems(policy, contract)


def write(policy: Policy, contract: PolicyContract, folder: Path) -> None:
    """Write the node's files; the vectors' targets are the whole loop's, which shares no code with the node."""
    format = EXPORT_FORMATS.get("onnx")
    format.write(policy, contract, folder / format.file)
    (folder / CONTRACT_FILE).write_text(contract.to_json(), encoding="utf-8")
    for template in sorted(_NODE.rglob("*.template")):
        copy = folder / template.relative_to(_NODE).with_suffix("")
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(template, copy)
    observations, targets = vectors(policy, contract)
    np.savez_compressed(folder / "observations.npz", **observations)
    np.savez_compressed(folder / "targets.npz", targets=targets)
    plain = {"measured": {name: values.tolist() for name, values in observations.items()}, "targets": targets.tolist()}
    (folder / "test_vectors.json").write_text(json.dumps(plain), encoding="utf-8")  # C++ has no reader of npz


def vectors(policy: Policy, contract: PolicyContract) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """Return drawn readings of the sensors by quantity, (steps, values), and the targets for them, (steps, actions)."""
    loop = WholeLoop(policy, contract).eval()
    generator = torch.Generator().manual_seed(0)
    memories = [torch.zeros(shape) for shape in loop.memories.values()]
    given: dict[str, list[NDArray[np.float32]]] = {}
    targets = []
    for _ in range(STEPS):
        readings = [_reading(sensor, generator) for sensor in loop.sensors]
        with torch.inference_mode():
            target, *memories = loop(*readings, *memories)
        targets.append(target[0].numpy())
        for sensor, reading in zip(loop.sensors, readings, strict=True):
            name, value = _measured(sensor, reading)
            given.setdefault(name, []).append(value[0].numpy())
    return {name: np.stack(values) for name, values in given.items()}, np.stack(targets)


def _reading(sensor: Sensor, generator: torch.Generator) -> torch.Tensor:
    drawn = torch.randn(1, sensor.size, generator=generator)
    return drawn / drawn.norm() if sensor.quantity == "projected_gravity" else 0.5 * drawn


def _measured(sensor: Sensor, reading: torch.Tensor) -> tuple[str, torch.Tensor]:
    """Return a reading as the controller takes it: gravity instead of the orientation, commands by name."""
    if sensor.quantity == "projected_gravity":
        return sensor.quantity, whole_loop.gravity(reading)
    return (f"command/{sensor.name}" if sensor.quantity == "velocity_command" else sensor.quantity), reading


TARGET = ExportTarget("the reference node", problems, write)
