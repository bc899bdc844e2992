"""Layers of a policy around its network: they can be scripted and exported, in float32."""

from __future__ import annotations

import torch
from torch import nn


class Standardize(nn.Module):
    """``(obs - mean) / divisor``."""

    def __init__(self, mean: torch.Tensor, divisor: torch.Tensor) -> None:
        super().__init__()
        self.mean = nn.Buffer(mean)
        self.divisor = nn.Buffer(divisor)

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        """Return the standardised observations, (N, observations)."""
        return (obs - self.mean) / self.divisor


class Clamp(nn.Module):
    """Clamp to ``[low, high]``."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low = low
        self.high = high

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``x`` within the bounds."""
        return torch.clamp(x, self.low, self.high)


class Affine(nn.Module):
    """Multiply by constants and add constants: one of each for all columns, or one a column."""

    def __init__(self, scale: torch.Tensor, offset: torch.Tensor) -> None:
        super().__init__()
        self.scale = nn.Buffer(scale)
        self.offset = nn.Buffer(offset)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``scale * x + offset``."""
        return self.scale * x + self.offset


class Bounds(nn.Module):
    """Clamp each column to its own bounds."""

    def __init__(self, low: torch.Tensor, high: torch.Tensor) -> None:
        super().__init__()
        self.low = nn.Buffer(low)
        self.high = nn.Buffer(high)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``x`` within the bounds."""
        return torch.minimum(torch.maximum(x, self.low), self.high)


class InputSelection(nn.Module):
    """Pick and scale columns: ``x @ matrix.T``."""

    def __init__(self, matrix: torch.Tensor) -> None:
        super().__init__()
        self.matrix = nn.Buffer(matrix.T.contiguous())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the inputs of the network, (N, inputs)."""
        return x @ self.matrix


class FirstHalf(nn.Module):
    """The mean of a Gaussian whose spread is the other half of the outputs."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the first ``count`` columns."""
        return x[:, : self.count]


class BetaMean(nn.Module):
    """Mean of a Beta distribution with parameters ``softplus(x) + 1``, rescaled to an action range."""

    def __init__(self, count: int, low: float, high: float) -> None:
        super().__init__()
        self.count = count
        self.low = low
        self.range = high - low

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the actions, (N, count), from alphas and betas, (N, 2 * count)."""
        alpha = nn.functional.softplus(x[:, : self.count]) + 1.0
        beta = nn.functional.softplus(x[:, self.count :]) + 1.0
        return (alpha / (alpha + beta)) * self.range + self.low
