"""What an ablation leaves out of a recipe, or puts in its place; ``benchmarks/learning.py ablate`` trains them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from gaitway_runtime.learners.rsl_rl import embedded
from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.tasks.environment import Training


@dataclass(frozen=True)
class Change:
    """What an ablation leaves out of a recipe, or puts in its place."""

    overrides: tuple[str, ...] = ()
    edited: Callable[[Training], Training] | None = None
    """What makes another block for training of the task's."""
    shaping: bool = True
    """False: Isaac Lab's rewards alone."""
    steps: int | None = None
    """Steps of a rollout; the recipe's when omitted."""
    worlds: float = 1.0
    """Environments, as a share of the recipe's."""

    def settings(self) -> tuple[str, ...]:
        """Return all of it that a training is asked for by ``--set``."""
        return (*self.overrides, *([f"agent.num_steps_per_env={self.steps}"] if self.steps else []))

    def iterations(self, task: str, of_the_recipe: int) -> int:
        """Return how many iterations take as many samples as a number of the recipe's."""
        steps = embedded.configure(TrainJob(task=task)).num_steps_per_env
        return round(of_the_recipe * steps / ((self.steps or steps) * self.worlds))


def _without(*terms: str) -> Callable[[Training], Training]:
    """Return what leaves terms out of the shaping."""

    def edited(training: Training) -> Training:
        shaping = training.shaping
        assert shaping is not None
        assert {term.name for term in shaping.terms} >= set(terms), terms
        return replace(training, shaping=replace(shaping, terms=tuple(t for t in shaping.terms if t.name not in terms)))

    return edited


def _with_whole_penalties(training: Training) -> Training:
    assert training.shaping is not None
    return replace(training, shaping=replace(training.shaping, penalty_scale=(1.0, 1.0)))


def _undisturbed(training: Training) -> Training:
    return replace(training, push=None, randomization=None)


def _with_lasting_commands(training: Training) -> Training:
    return replace(training, command_resampling_time=None)


def _with_equal_critic(training: Training) -> Training:
    return replace(training, privileged=())


ABLATIONS: Mapping[str, Change] = {
    "the recipe": Change(),
    "rsl_rl's own update": Change(("agent.fast_update=false",)),
    "float32": Change(("agent.algorithm.use_mixed_precision=false",)),
    "mirrored copies, rsl_rl's own update": Change(("agent.symmetric=false", "agent.fast_update=false")),
    "no mirror images": Change(("agent.mirror=false", "agent.symmetric=false")),
    "no shaping": Change(shaping=False),
    "no term for rough turns": Change(edited=_without("track_ang_vel_z_wide")),
    "no term for rough directions": Change(edited=_without("track_lin_vel_xy_wide")),
    "no terms for steps": Change(edited=_without("long_steps", "diagonal_gait", "foot_clearance")),
    "whole penalties from the start": Change(edited=_with_whole_penalties),
    "commands for 10 s": Change(edited=_with_lasting_commands),
    "no pushes, nothing randomised": Change(edited=_undisturbed),
    "a critic that sees what the policy sees": Change(edited=_with_equal_critic),
    "half the environments": Change(worlds=0.5),
    "rollouts of 24 steps": Change(steps=24),
    "rollouts of 12 steps": Change(steps=12),
    "rollouts of 8 steps": Change(steps=8),
    "rollouts of 6 steps": Change(steps=6),
    "rollouts of 24 steps, half the environments": Change(steps=24, worlds=0.5),
    "rollouts of 6 steps, twice the environments": Change(steps=6, worlds=2.0),
    "rollouts of 12 steps, twice the environments": Change(steps=12, worlds=2.0),
    "rollouts of 24 steps, lambda 0.9": Change(("agent.algorithm.lam=0.9",), steps=24),
    "rollouts of 12 steps, lambda 0.9": Change(("agent.algorithm.lam=0.9",), steps=12),
    "two epochs": Change(("agent.algorithm.num_learning_epochs=2",)),
    "five epochs": Change(("agent.algorithm.num_learning_epochs=5",)),
    "eight mini-batches": Change(("agent.algorithm.num_mini_batches=8",)),
    "half the change of an update": Change(("agent.algorithm.desired_kl=0.01",)),
    "twice the change of an update": Change(("agent.algorithm.desired_kl=0.04",)),
    "a learning rate of 0.001 throughout": Change(("agent.algorithm.schedule=fixed",)),
    "no reward of entropy": Change(("agent.algorithm.entropy_coef=0",)),
    "layers of 64": Change(("agent.actor.hidden_dims=[64,64,64]", "agent.critic.hidden_dims=[64,64,64]")),
}
