"""Networks of rsl_rl that treat a robot's mirror images alike.

A network is symmetric when its output for a mirrored observation is the mirrored output. Its weights are then tied:
each is, up to its sign, the same number as those that the mirrors put in its place. The gradient over a batch,
averaged over tied weights, is the gradient over the batch and all its mirror images, for the price of the batch.

Hidden units come in sets of one for each image, so that a mirror only reorders them, whatever the activation. The
weights stay those of an ordinary network: checkpoints and exports know nothing of it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from ...simulators.base import Mirror, SignedPermutation

TOLERANCE = 1e-3
"""Largest difference of weights that count as tied, as a share of the largest in their tensor."""


class NotSymmetric(Exception):
    """Networks that cannot be symmetric; the text says why."""


@dataclass(frozen=True)
class Turn:
    """What a mirror does to the entries of a vector: ``mirrored = values[index] * sign``, both (E,)."""

    index: torch.Tensor
    sign: torch.Tensor

    @staticmethod
    def of(permutation: SignedPermutation) -> Turn:
        """Return the turn that a task's mirror describes."""
        return Turn(torch.as_tensor(permutation.index), torch.as_tensor(permutation.sign, dtype=torch.float32))

    @staticmethod
    def none(size: int) -> Turn:
        """Return the turn that changes nothing."""
        return Turn(torch.arange(size), torch.ones(size))

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """Return vectors, (B, E), as the mirror shows them."""
        # Several times as fast as ``values[:, self.index]`` on a CPU.
        return values.index_select(1, self.index).mul_(self.sign)

    def after(self, other: Turn) -> Turn:
        """Return this turn of what another one has turned."""
        return Turn(other.index[self.index], self.sign * other.sign[self.index])

    def of_matrix(self, columns: Turn) -> Turn:
        """Return the turn of a matrix, flattened, whose rows turn like this and whose columns like ``columns``."""
        index = self.index[:, None] * len(columns.index) + columns.index
        return Turn(index.flatten(), (self.sign[:, None] * columns.sign).flatten())

    def unsigned(self) -> Turn:
        """Return the turn of squares, deviations and other numbers without a sign."""
        return Turn(self.index, torch.ones_like(self.sign))

    def same(self, other: Turn) -> bool:
        """Whether both do the same."""
        return torch.equal(self.index, other.index) and torch.equal(self.sign, other.sign)


@dataclass(frozen=True)
class Tie:
    """Which of a tensor's E entries, flattened, are the same number up to the sign: S sets, for M mirror images."""

    images: torch.Tensor
    """The entries of each set, (M, S); one that a mirror leaves in place comes several times."""
    signs: torch.Tensor
    """Their signs, (M, S); 0 where a mirror asks of an entry to be the opposite of itself."""
    member: torch.Tensor
    """The set of each entry, (E,)."""
    sign: torch.Tensor
    """Its sign there, (E,)."""

    @staticmethod
    def of(turns: Sequence[Turn]) -> Tie:
        """Return the tie of the entries that mirrors put in each other's place; the first turn changes nothing."""
        index, sign = torch.stack([turn.index for turn in turns]), torch.stack([turn.sign for turn in turns])
        opposite = ((index == index[0]) & (sign < 0)).any(dim=0)
        sign = sign.masked_fill(opposite, 0.0)  # exactly: an optimiser makes whole steps of what rounding leaves
        first, mirror = index.min(dim=0)
        sets, member = torch.unique(first, return_inverse=True)
        return Tie(index[:, sets], sign[:, sets], member, sign.gather(0, mirror[None])[0])

    @staticmethod
    def joined(ties: Sequence[Tie]) -> Tie:
        """Return the tie of tensors that are flattened and put one behind the other."""
        entries = itertools.accumulate((len(tie.member) for tie in ties), initial=0)
        sets = itertools.accumulate((tie.images.shape[1] for tie in ties), initial=0)
        return Tie(
            torch.cat([tie.images + before for tie, before in zip(ties, entries, strict=False)], dim=1),
            torch.cat([tie.signs for tie in ties], dim=1),
            torch.cat([tie.member + before for tie, before in zip(ties, sets, strict=False)]),
            torch.cat([tie.sign for tie in ties]),
        )

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """Return the tensor of that shape in which tied entries have the mean of their values."""
        found = values.flatten()[self.images].mul_(self.signs).mean(dim=0)
        return found[self.member].mul_(self.sign).view_as(values)

    def holds(self, values: torch.Tensor) -> bool:
        """Whether tied entries are the same number, but for rounding."""
        return bool((values - self.mean(values)).abs().max() <= TOLERANCE * values.abs().max())


@dataclass(frozen=True)
class Symmetry:
    """The mirror images of a task, itself first: a group in which every mirror undoes itself."""

    turns: Mapping[str, Sequence[Turn]]
    """By observation group, and ``actions``."""
    products: Sequence[Sequence[int]]
    """Number of the image that two mirrors make, one after the other."""

    @staticmethod
    def of(mirrors: Sequence[Mirror]) -> Symmetry:
        """Return the symmetry of a task.

        Raises:
            NotSymmetric: Its mirrors are not a group of that kind.
        """
        maps = [{**mirror.observations, "actions": mirror.actions} for mirror in mirrors]
        turns = {
            name: [Turn.none(len(found.index)), *(Turn.of(mirror[name]) for mirror in maps)]
            for name, found in maps[0].items()
        }
        images = range(len(mirrors) + 1)

        def product(first: int, second: int) -> int:
            made = {name: each[first].after(each[second]) for name, each in turns.items()}
            found = [image for image in images if all(made[name].same(each[image]) for name, each in turns.items())]
            if len(found) != 1 or (first == second and found != [0]):
                raise NotSymmetric("two of the task's mirrors make one that it does not have")
            return found[0]

        return Symmetry(turns, [[product(first, second) for second in images] for first in images])

    def ties(self, tensors: Mapping[str, torch.Tensor], group: str, outputs: str | None) -> dict[str, Tie]:
        """Return how the tensors of a network are tied, by name.

        Args:
            tensors: ``state_dict`` of rsl_rl's ``MLPModel``.
            group: Observation group that it reads.
            outputs: ``actions``, or None where a mirror changes no output.

        Raises:
            NotSymmetric: The width of a hidden layer is no multiple of the images.
        """
        inputs, images = self.turns[group], len(self.products)
        layers = sorted(int(name.split(".")[1]) for name in tensors if name.startswith("mlp.") and "weight" in name)
        ties: dict[str, Tie] = {}
        before: Sequence[Turn] = inputs
        for layer in layers:
            width = len(tensors[f"mlp.{layer}.bias"])
            after: Sequence[Turn]
            if layer < layers[-1]:
                after = self._hidden(width)
            else:
                after = self.turns[outputs] if outputs else [Turn.none(width)] * images
            if len(after[0].index) != width:
                raise NotSymmetric("a network's outputs are not one for each action")
            matrix = [rows.of_matrix(columns) for rows, columns in zip(after, before, strict=True)]
            ties |= {f"mlp.{layer}.weight": Tie.of(matrix), f"mlp.{layer}.bias": Tie.of(after)}
            before = after
        others = {
            "distribution.std_param": [turn.unsigned() for turn in self.turns["actions"]],
            "distribution.log_std_param": [turn.unsigned() for turn in self.turns["actions"]],
            "obs_normalizer._mean": inputs,
            "obs_normalizer._var": [turn.unsigned() for turn in inputs],
        }
        return ties | {name: Tie.of(turns) for name, turns in others.items() if name in tensors}

    def _hidden(self, width: int) -> list[Turn]:
        """Return what mirrors do to hidden units: those of one image stand side by side."""
        images = len(self.products)
        if width % images:
            raise NotSymmetric(f"a hidden layer's width, {width}, is no multiple of {images} mirror images")
        units = torch.arange(width // images)
        return [
            Turn(torch.cat([image * len(units) + units for image in row]), torch.ones(width)) for row in self.products
        ]


def tie(algorithm: Any, mirrors: Sequence[Mirror], groups: Mapping[str, Sequence[str]], *, drawn: bool) -> list[Tie]:
    """Tie the networks of rsl_rl's PPO, in place of mirrored copies; return the tie of each network's parameters.

    Args:
        algorithm: The algorithm, which is left as it is where its networks cannot be tied.
        mirrors: The task's symmetries.
        groups: The observation group of each network.
        drawn: Whether the weights are freshly drawn, and not those of a checkpoint.

    Raises:
        NotSymmetric: They cannot be tied.
    """
    symmetry = Symmetry.of(mirrors)
    found = []
    for network, name, outputs in ((algorithm.actor, "actor", "actions"), (algorithm.critic, "critic", None)):
        tensors = network.state_dict()
        ties = symmetry.ties(tensors, groups[name][0], outputs)
        if not ties.keys() >= {each for each, _ in network.named_parameters()}:
            raise NotSymmetric("a network is not a plain one")
        if not drawn and not all(tie.holds(tensors[each]) for each, tie in ties.items()):
            raise NotSymmetric("the checkpoint's networks are not symmetric")
        found.append((network, ties))
    for network, ties in found:
        _keep_tied(network, ties, drawn=drawn)
    algorithm.symmetry = None
    return [Tie.joined([ties[name] for name, _ in network.named_parameters()]) for network, ties in found]


def _keep_tied(network: torch.nn.Module, ties: Mapping[str, Tie], *, drawn: bool) -> None:
    """Keep a network symmetric while it learns; freshly drawn weights become symmetric, and keep their spread."""
    for name, weight in network.named_parameters():
        weight.register_post_accumulate_grad_hook(_mean_gradient(ties[name]))  # type: ignore[no-untyped-call]
        if drawn:
            spread = 1.0 if "std_param" in name else math.sqrt(len(ties[name].images))
            weight.data = ties[name].mean(weight.data) * spread
    if "obs_normalizer._mean" in ties:
        _count_images(network.obs_normalizer, ties["obs_normalizer._mean"], ties["obs_normalizer._var"])


def _mean_gradient(tie: Tie) -> Callable[[torch.Tensor], None]:
    def hook(weight: torch.Tensor) -> None:
        assert weight.grad is not None
        weight.grad = tie.mean(weight.grad)

    return hook


def _count_images(normalizer: Any, mean_tie: Tie, var_tie: Tie) -> None:
    """Let a normaliser count every observation together with its mirror images."""
    update = normalizer.update

    def update_with_images(values: torch.Tensor) -> None:
        update(values)
        mean = mean_tie.mean(normalizer._mean)
        normalizer._var = var_tie.mean(normalizer._var + (normalizer._mean - mean).square())
        normalizer._mean, normalizer._std = mean, normalizer._var.sqrt()

    normalizer.update = update_with_images
