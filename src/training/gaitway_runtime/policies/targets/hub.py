"""Folder for a model hub: a model card, the weights as safetensors, the exports, the contract.

Laid out as LeRobot's policies are (``config.json`` beside ``model.safetensors``), but not one of LeRobot's types.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import torch

from ...spec.contract import CONTRACT_FILE, PolicyContract
from ...spec.export_formats import BOTH, EXPORT_FORMATS
from ..network import Policy
from .base import ExportTarget
from .safetensors import write_safetensors


def problems(policy: Policy, contract: PolicyContract) -> Iterator[str]:
    """Yield nothing: any policy can be published."""
    yield from ()


def write(policy: Policy, contract: PolicyContract, folder: Path) -> None:
    """Write the folder."""
    for name in BOTH:
        format = EXPORT_FORMATS.get(name)
        format.write(policy, contract, folder / format.file)
    (folder / CONTRACT_FILE).write_text(contract.to_json(), encoding="utf-8")
    state = {name: tensor.detach().float().contiguous() for name, tensor in policy.module.state_dict().items()}
    write_safetensors(state, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(_config(policy, contract), indent=2), encoding="utf-8")
    (folder / "README.md").write_text(_card(policy, contract, state), encoding="utf-8")


def _config(policy: Policy, contract: PolicyContract) -> dict[str, object]:
    network = dict(policy.network)
    network["normalizer"] = bool(policy.normalizer)
    return {
        "type": "gaitway",
        "task": contract.task or None,
        "input_features": {"observation.state": {"type": "STATE", "shape": [policy.observation_size]}},
        "output_features": {"action": {"type": "ACTION", "shape": [policy.action_size]}},
        "network": network,
    }


def _card(policy: Policy, contract: PolicyContract, state: dict[str, torch.Tensor]) -> str:
    import yaml

    title = contract.task or "A robot policy"
    head = {
        "pipeline_tag": "robotics",
        "library_name": "gaitway",
        "tags": ["robotics", "reinforcement-learning", policy.parts.family.split()[0].replace("_", "-")],
        "license": "other",
        "license_name": "not-stated",
    }
    parameters = sum(math.prod(tensor.shape) for tensor in state.values())
    rows = [f"| {term.name} | {term.quantity or '?'} | {term.start}:{term.stop} |" for term in contract.observations]
    lines = [
        "---",
        yaml.safe_dump(head, sort_keys=False).strip(),
        "---",
        "",
        f"# {title}",
        "",
        f"A policy of {parameters:,} numbers: {policy.observation_size} observations to {policy.action_size} actions, "
        f"trained with {policy.parts.family}.",
        "",
        f"`{CONTRACT_FILE}` says what inputs and outputs mean, in which order and units; `policy.onnx` and `policy.pt` "
        "hold the normaliser and the output clamp. `model.safetensors` has the weights alone.",
        "",
        *(["| observation | quantity | place |", "|---|---|---|", *rows, ""] if rows else []),
        "State the license (`license:` above) before you publish it.",
        "",
    ]
    return "\n".join(lines)


TARGET = ExportTarget("a model hub", problems, write)
