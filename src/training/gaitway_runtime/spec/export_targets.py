"""Table of export targets: the deployers that files are made for, by the name that ``--for`` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .registry import Registry

if TYPE_CHECKING:
    from ..policies.targets.base import ExportTarget

_TARGETS = "gaitway_runtime.policies.targets"

EXPORT_TARGETS: Registry[ExportTarget] = Registry(
    "gaitway.export_targets",
    "export target",
    {
        "unitree": f"{_TARGETS}.unitree:TARGET",
        "leapp": f"{_TARGETS}.leapp:TARGET",
        "legged-control": f"{_TARGETS}.legged_control:TARGET",
        "legged-rl-deploy": f"{_TARGETS}.legged_rl_deploy:TARGET",
        "mjlab": f"{_TARGETS}.mjlab:TARGET",
        "holosoma": f"{_TARGETS}.holosoma:TARGET",
        "isaaclab-descriptors": f"{_TARGETS}.isaaclab_descriptors:TARGET",
        "hub": f"{_TARGETS}.hub:TARGET",
        "whole-loop": f"{_TARGETS}.whole_loop:TARGET",
        "reference-node": f"{_TARGETS}.reference_node:TARGET",
        "onnx": f"{_TARGETS}.plain:ONNX",
        "jit": f"{_TARGETS}.plain:JIT",
    },
)
"""Targets by name; docs/deployers.md says what each deployer reads."""
