"""Products in bfloat16, on processors that have instructions for them."""

from __future__ import annotations

from typing import Any

import torch


def obstacle_to_bfloat16() -> str:
    """Return why products in bfloat16 would cost more here than float32's, or nothing where they cost less."""
    has = torch.cpu.get_capabilities()
    if not (has.get("avx512_bf16") or has.get("amx_bf16")):
        return "this processor has no instructions for bfloat16"
    if torch.backends.cpu.get_cpu_capability() == "DEFAULT":
        # Activations then take six times as long, and longer in bfloat16 than products save (measured).
        return "torch uses no vector instructions: ATEN_CPU_CAPABILITY"
    return ""


def mix_precision(algorithm: Any) -> None:
    """Make rsl_rl's PPO multiply in bfloat16 also where it acts, and keep its networks' last layers in float32.

    Half the time of an update on two cores (measured). Weights, normalisers and outputs stay float32. Acting must round
    as learning does, or the ratio of new to old probabilities would not start an update at one; outputs that were
    rounded would add to it what the clip takes for a step of the policy.
    """
    for model in (algorithm.actor, algorithm.critic):
        _keep_exact(model.mlp[-1])
    for name in ("act", "compute_returns"):
        setattr(algorithm, name, torch.autocast("cpu", dtype=torch.bfloat16)(getattr(algorithm, name)))


def _keep_exact(layer: torch.nn.Linear) -> None:
    def forward(values: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", enabled=False):
            return torch.nn.functional.linear(values.float(), layer.weight, layer.bias)

    layer.forward = forward  # type: ignore[method-assign,assignment]
