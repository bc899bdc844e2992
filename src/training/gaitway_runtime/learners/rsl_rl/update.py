"""PPO's update of two small networks on a CPU: rsl_rl's mathematics without autograd, both networks side by side.

Gradients are written out by hand, layer by layer over pieces of a mini-batch that stay in a core's cache. Observations
are normalised once an iteration, and the rollout is put in the order of its mini-batches once. Actor and critic share
nothing but the learning rate, so that each has a thread of its own. In float32 the steps are rsl_rl's but for rounding.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from rsl_rl.algorithms import PPO
from rsl_rl.models import MLPModel
from rsl_rl.modules.distribution import GaussianDistribution

if TYPE_CHECKING:
    from .symmetric import Tie

ROWS = 1024
"""Samples of a piece for one thread: activations of 128 units in bfloat16 are 256 KiB a layer, a core's cache 1 MiB."""

LOG_2PI = math.log(2.0 * math.pi)

A = TypeVar("A")
B = TypeVar("B")

_elu_backward = torch.ops.aten.elu_backward.grad_input


def obstacle(algorithm: PPO) -> str:
    """Return why this update cannot take the place of rsl_rl's own, or nothing where it can."""
    if algorithm.symmetry is not None:
        return "mirrored copies are added"
    for model in (algorithm.actor, algorithm.critic):
        layers = list(model.mlp)
        if type(model) is not MLPModel or not all(isinstance(layer, torch.nn.Linear) for layer in layers[::2]):
            return "a network is not a plain one"
        if not all(type(layer) is torch.nn.ELU for layer in layers[1::2]):
            return "an activation is not elu"
    if type(algorithm.actor.distribution) is not GaussianDistribution:
        return "the actions' distribution is not the Gaussian with one deviation for each"
    if type(algorithm.optimizer) is not torch.optim.Adam:
        return "the optimiser is not Adam"
    return ""


class FastUpdate:
    """Takes the place of ``algorithm.update``; see :func:`obstacle`.

    Args:
        algorithm: rsl_rl's PPO, its learning settings included.
        mixed: Whether hidden layers multiply in bfloat16; weights, their sums of gradients and last layers are float32.
        ties: Of the actor's and of the critic's parameters, where they are kept symmetric.
        stale: Whether rollouts are played by older networks than those that learn from them.
    """

    def __init__(
        self, algorithm: PPO, *, mixed: bool, ties: Sequence[Tie | None] = (None, None), stale: bool = False
    ) -> None:
        self._algorithm, self._stale = algorithm, stale
        self._all_threads = torch.get_num_threads()
        self._threads = max(1, self._all_threads // 2)
        self.playing_threads = max(1, self._all_threads // 4)
        """Between two updates: another saves less of so small a batch than it takes to wake up for every step."""
        dtype, rows = torch.bfloat16 if mixed else torch.float32, ROWS * self._threads
        self._actor = _Actor(algorithm, _Network(algorithm.actor, dtype, rows, ties[0]))
        self._critic = _Critic(algorithm, _Network(algorithm.critic, dtype, rows, ties[1]))
        self._show_deviation()

    def __call__(self) -> dict[str, float]:
        """Learn from the rollout in the storage, clear it, and return the mean losses by rsl_rl's names."""
        return self.learn(self.draw())

    def draw(self) -> torch.Tensor:
        """Return a random order of the rollout's samples; all that an update draws is drawn here."""
        algorithm, storage = self._algorithm, self._algorithm.storage
        size = storage.num_envs * storage.num_transitions_per_env // algorithm.num_mini_batches
        order = torch.randperm(algorithm.num_mini_batches * size)
        for _ in range(algorithm.num_mini_batches * algorithm.num_learning_epochs):
            # rsl_rl draws actions that it does not use; what is drawn next is then the same with either update.
            torch.empty(size, *storage.actions_shape).normal_()
        return order

    @torch.no_grad()
    def learn(self, order: torch.Tensor) -> dict[str, float]:
        """Learn from the samples in an order that was drawn; see :meth:`__call__`."""
        algorithm, storage = self._algorithm, self._algorithm.storage
        size = len(order) // algorithm.num_mini_batches
        for group in algorithm.optimizer.param_groups:
            group["fused"] = True  # here and not once: a checkpoint that is loaded brings its own
        batches = [slice(start, start + size) for start in range(0, len(order), size)] * algorithm.num_learning_epochs
        losses = []
        with self._side_by_side() as both:
            both(lambda: self._actor.take(order), lambda: self._critic.take(order))
            if self._stale:
                both(self._actor.begin_here, self._critic.begin_here)
            for batch in batches:
                (surrogate, entropy, divergence), value = both(
                    functools.partial(self._actor.learn, batch), functools.partial(self._critic.learn, batch)
                )
                self._step(divergence)
                losses.append((value, surrogate, entropy))
        observations = storage.observations.flatten(0, 1)
        algorithm.actor.update_normalization(observations)
        algorithm.critic.update_normalization(observations)
        self._show_deviation()
        storage.clear()
        return dict(zip(("value", "surrogate", "entropy"), np.mean(losses, axis=0).tolist(), strict=True))

    @contextlib.contextmanager
    def _side_by_side(self) -> Iterator[Callable[[Callable[[], A], Callable[[], B]], tuple[A, B]]]:
        """Yield a function that calls two others: at the same time where there are two threads."""
        if self._all_threads == 1:
            yield lambda first, second: (first(), second())
            return
        before = torch.get_num_threads()
        # The number of threads belongs to the thread that sets it.
        torch.set_num_threads(self._threads)
        try:
            with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(self._threads,)) as pool:

                def both(first: Callable[[], A], second: Callable[[], B]) -> tuple[A, B]:
                    beside = pool.submit(torch.no_grad()(second))
                    return first(), beside.result()

                yield both
        finally:
            torch.set_num_threads(before)

    @torch.no_grad()
    def _show_deviation(self) -> None:
        """Let the actor tell the deviation of its actions, which rsl_rl logs, without having acted."""
        self._algorithm.actor.distribution.update(self._actor.no_actions)

    def _step(self, divergence: float) -> None:
        """Adapt the learning rate to how far the policy has moved, as rsl_rl does, and step the optimiser."""
        algorithm = self._algorithm
        if algorithm.desired_kl is not None and algorithm.schedule == "adaptive":
            if algorithm.is_multi_gpu:
                total = torch.tensor(divergence)
                torch.distributed.all_reduce(total)
                divergence = total.item() / algorithm.gpu_world_size
            if divergence > 2.0 * algorithm.desired_kl:
                algorithm.learning_rate = max(1e-5, algorithm.learning_rate / 1.5)
            elif 0.0 < divergence < 0.5 * algorithm.desired_kl:
                algorithm.learning_rate = min(1e-2, algorithm.learning_rate * 1.5)
            for group in algorithm.optimizer.param_groups:
                group["lr"] = algorithm.learning_rate
        if algorithm.is_multi_gpu:
            algorithm.reduce_parameters()
        self._actor.network.clip(algorithm.max_grad_norm)
        self._critic.network.clip(algorithm.max_grad_norm)
        algorithm.optimizer.step()


class _Actor:
    """The actor's part of a rollout, and its gradient over mini-batches of it."""

    def __init__(self, algorithm: PPO, network: _Network) -> None:
        self.network = network
        self._algorithm = algorithm
        self._std = _Deviation(algorithm.actor.distribution)
        self.no_actions = torch.zeros(1, algorithm.actor.distribution.output_dim)
        """Means of actions that stand for any."""

    def take(self, order: torch.Tensor) -> None:
        """Take the samples of the storage in an order."""
        storage = self._algorithm.storage
        self._inputs = self.network.inputs(storage.observations, order)
        self._actions, self._log_prob, self._advantages, self._means = (
            values.flatten(0, 1).index_select(0, order)
            for values in (
                *(storage.actions, storage.actions_log_prob.squeeze(-1), storage.advantages.squeeze(-1)),
                storage.distribution_params[0],
            )
        )
        self._old_std = storage.distribution_params[1][0, 0].clone()

    def begin_here(self) -> None:
        """Measure ratios and divergence from the policy as it is now, and not from the older one that has played.

        An advantage then counts as much as its action has become more probable, and at most once. Left out, half of
        what clip and divergence allow is spent before the first step (PPO with a decoupled objective: Hilton et al.,
        "Batch size-invariance for policy optimization", 2021; weights cut off at one: Espeholt et al., "IMPALA", 2018).
        """
        network, (std, log_std) = self.network, self._std.values()
        density = _Density(std, log_std)
        network.begin()
        for piece in network.pieces(slice(0, len(self._inputs))):
            means = self._means[piece].copy_(network.forward(self._inputs[piece]))
            _, log_prob = density(self._actions[piece], means)
            self._advantages[piece].mul_((log_prob - self._log_prob[piece]).exp_().clamp_(max=1.0))
            self._log_prob[piece] = log_prob
        self._old_std = std.clone()

    def learn(self, batch: slice) -> tuple[float, float, float]:
        """Work out a mini-batch's gradient; return surrogate loss, entropy, and divergence from the old policy."""
        network, algorithm = self.network, self._algorithm
        size: int = batch.stop - batch.start
        low, high = 1.0 - algorithm.clip_param, 1.0 + algorithm.clip_param
        std, log_std = self._std.values()
        density = _Density(std, log_std)
        surrogate, moved, log_std_gradient = torch.zeros(()), torch.zeros_like(std), torch.zeros_like(std)
        network.begin()
        for piece in network.pieces(batch):
            means = network.forward(self._inputs[piece])
            moved += (self._means[piece] - means).square_().sum(0)
            scaled, log_prob = density(self._actions[piece], means)
            ratio = log_prob.sub_(self._log_prob[piece]).exp_()
            loss = -self._advantages[piece] * ratio
            clipped = -self._advantages[piece] * ratio.clamp(low, high)
            surrogate += torch.maximum(loss, clipped).sum()
            # A ratio that is clipped and counts has no gradient; one within the bounds has the same loss twice.
            by_log_prob = torch.where(loss >= clipped, loss, 0.0).div_(size).unsqueeze(1)
            by_scaled = scaled * by_log_prob
            log_std_gradient += (by_scaled * scaled).sum(0) - by_log_prob.sum()
            network.backward(self._inputs[piece], by_scaled.mul_(density.inverse))
        self._std.set_gradient(log_std_gradient - algorithm.entropy_coef)
        network.end()
        entropy = log_std.sum() + (0.5 + 0.5 * LOG_2PI) * len(std)
        spread = (self._old_std.square() + moved / size) / (2.0 * std.square())
        # Exactly zero while nothing has moved: rsl_rl then leaves the learning rate as it is.
        divergence = ((std / self._old_std).log() + spread - 0.5).sum()
        return float(surrogate) / size, float(entropy), float(divergence)


class _Density:
    """The probability density of actions, with one deviation for each.

    Args:
        std: The deviations, (A,).
        log_std: Their logarithms, (A,).
    """

    def __init__(self, std: torch.Tensor, log_std: torch.Tensor) -> None:
        self.inverse = 1.0 / std
        self._constant = log_std.sum() + 0.5 * LOG_2PI * len(std)

    def __call__(self, actions: torch.Tensor, means: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return how many deviations actions are off their means, (N, A), and the density's logarithm, (N,)."""
        scaled = (actions - means).mul_(self.inverse)
        return scaled, scaled.square().sum(1).mul_(-0.5).sub_(self._constant)


class _Deviation:
    """The standard deviations of the actions: one learned number each, or its logarithm."""

    def __init__(self, distribution: GaussianDistribution) -> None:
        self._is_log = distribution.std_type == "log"
        self._learned: torch.nn.Parameter = distribution.log_std_param if self._is_log else distribution.std_param
        self._bounds = distribution.log_std_range if self._is_log else distribution.std_range

    def values(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the deviations and their logarithms, (A,) each."""
        bounded = self._learned.clamp(*self._bounds)
        return (bounded.exp(), bounded) if self._is_log else (bounded, bounded.log())

    def set_gradient(self, by_log_std: torch.Tensor) -> None:
        """Set the gradient of what is learned."""
        inside = (self._learned >= self._bounds[0]) & (self._learned <= self._bounds[1])
        gradient = by_log_std if self._is_log else by_log_std / self.values()[0]
        assert self._learned.grad is not None
        self._learned.grad.copy_(gradient * inside)


class _Critic:
    """The critic's part of a rollout, and its gradient over mini-batches of it."""

    def __init__(self, algorithm: PPO, network: _Network) -> None:
        self.network = network
        self._algorithm = algorithm

    def take(self, order: torch.Tensor) -> None:
        """Take the samples of the storage in an order."""
        storage = self._algorithm.storage
        self._inputs = self.network.inputs(storage.observations, order)
        self._returns, self._values = (
            values.flatten(0, 1).index_select(0, order) for values in (storage.returns, storage.values)
        )

    def begin_here(self) -> None:
        """Measure how far values have moved from what they are now, and not from those of the rollout."""
        self.network.begin()
        for piece in self.network.pieces(slice(0, len(self._inputs))):
            self._values[piece] = self.network.forward(self._inputs[piece])

    def learn(self, batch: slice) -> float:
        """Work out a mini-batch's gradient; return the value loss."""
        network, algorithm = self.network, self._algorithm
        size: int = batch.stop - batch.start
        clip = algorithm.clip_param
        total = 0.0
        network.begin()
        for piece in network.pieces(batch):
            values = network.forward(self._inputs[piece])
            error = values - self._returns[piece]
            loss = error.square()
            if algorithm.use_clipped_value_loss:
                moved = values - self._values[piece]
                clipped = (moved.clamp(-clip, clip).add_(self._values[piece]) - self._returns[piece]).square_()
                error = torch.where((moved.abs() <= clip) | (loss >= clipped), error, 0.0)
                loss = torch.maximum(loss, clipped)
            total += float(loss.sum())
            network.backward(self._inputs[piece], error * (2.0 * algorithm.value_loss_coef / size))
        network.end()
        return total / size


class _Network:
    """Weights, gradient and work space of one of rsl_rl's networks.

    Args:
        model: The network.
        dtype: Type in which hidden layers multiply.
        rows: Samples of a piece.
        tie: Of its parameters, in their order; None where they are free.
    """

    def __init__(self, model: MLPModel, dtype: torch.dtype, rows: int, tie: Tie | None) -> None:
        self._model, self._dtype, self._rows, self._tie = model, dtype, rows, tie
        *self._hidden, self._last = [layer for layer in model.mlp if isinstance(layer, torch.nn.Linear)]
        parameters = list(model.parameters())
        self._gradient = torch.zeros(sum(parameter.numel() for parameter in parameters))
        parts = torch.split(self._gradient, [parameter.numel() for parameter in parameters])
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.grad = part.view_as(parameter)
        widths = [layer.out_features for layer in self._hidden]
        self._outputs = [torch.empty(rows, width, dtype=dtype) for width in widths]
        self._deltas = [torch.empty(rows, width, dtype=dtype) for width in widths]

    def inputs(self, observations: Mapping[str, torch.Tensor], order: torch.Tensor) -> torch.Tensor:
        """Return what the network reads of a rollout, (S, size), normalised, in the order of the mini-batches."""
        joined = torch.cat([observations[name].flatten(0, 1) for name in self._model.obs_groups], dim=-1)
        normalized: torch.Tensor = self._model.obs_normalizer(joined.index_select(0, order))
        return normalized.to(self._dtype)

    def pieces(self, batch: slice) -> list[slice]:
        """Return the pieces of a mini-batch."""
        starts = range(batch.start, batch.stop, self._rows)
        return [slice(start, min(start + self._rows, batch.stop)) for start in starts]

    def begin(self) -> None:
        """Begin a mini-batch: the gradient is zero, the weights are what the last step has left."""
        self._gradient.zero_()
        self._weights = [(layer.weight.to(self._dtype), layer.bias.to(self._dtype)) for layer in self._hidden]

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the outputs for a piece, (S, size) in float32; what :meth:`backward` needs is kept."""
        values = inputs
        for (weight, bias), output in zip(self._weights, self._outputs, strict=True):
            values = torch.addmm(bias, values, weight.t(), out=output[: len(inputs)])
            torch.nn.functional.elu_(values)
        self._exact = values.float()
        return torch.addmm(self._last.bias, self._exact, self._last.weight.t())

    def backward(self, inputs: torch.Tensor, delta: torch.Tensor) -> None:
        """Add the gradient of a piece to that of the mini-batch.

        Args:
            inputs: The piece, as :meth:`forward` was given it.
            delta: Gradient of the loss with respect to the outputs, (S, size).
        """
        size = len(inputs)
        _add(self._last, delta, self._exact)
        above = self._deltas[-1][:size].copy_(delta @ self._last.weight)
        below = [inputs, *(output[:size] for output in self._outputs)]
        for number in reversed(range(len(self._hidden))):
            _elu_backward(above, 1, 1, 1, True, below[number + 1], grad_input=above)
            _add(self._hidden[number], above, below[number])
            if number:
                above = torch.mm(above, self._weights[number][0], out=self._deltas[number - 1][:size])

    def end(self) -> None:
        """End a mini-batch: tied weights get the mean of their gradients."""
        if self._tie is not None:
            self._gradient.copy_(self._tie.mean(self._gradient))

    def clip(self, norm: float) -> None:
        """Shorten the gradient to a norm, as torch's ``clip_grad_norm_`` does."""
        self._gradient.mul_(torch.clamp(norm / (self._gradient.norm() + 1e-6), max=1.0))


def _add(layer: torch.nn.Linear, delta: torch.Tensor, inputs: torch.Tensor) -> None:
    """Add a layer's gradient, whose sums over the pieces are float32."""
    assert layer.weight.grad is not None and layer.bias.grad is not None
    if delta.dtype == torch.float32:
        layer.weight.grad.addmm_(delta.t(), inputs)
    else:
        layer.weight.grad.add_(torch.mm(delta.t(), inputs))
    layer.bias.grad.add_(delta.sum(0, dtype=torch.float32))
