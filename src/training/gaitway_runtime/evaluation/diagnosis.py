"""Likely causes of a policy's failure, in plain words.

First from what it did: each symptom was measured on a policy that passes, with one thing about it broken on purpose
(joints in another order, a sign, a scale, an offset). Then, in :mod:`.remedies`, by experiment.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..spec import catalog
from .rollout import Ending, Rollout

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .subject import Subject

_LEAST_S = 2.0
"""Shorter rollouts show a start, not a behaviour [s]."""
_ENOUGH = 0.6
"""Share of a recipe's iterations after which a failure has another cause."""
_MOVING = 0.3
"""Commands slower than this say nothing of direction [m/s]."""


@dataclass(frozen=True)
class LikelyCause:
    """One likely cause."""

    cause: str
    evidence: str
    """What was measured that speaks for it."""
    advice: str = ""
    """What to look at next."""

    def document(self) -> dict[str, str]:
        """Return the finding as JSON values."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Evidence:
    """What the symptoms are read from. A quantity that was not measured is None."""

    rollout: Rollout
    subject: Subject

    @cached_property
    def failed_share(self) -> float:
        """Share of the ended and unfinished episodes that ended in a failure."""
        started = [*self.rollout.episodes, *self.rollout.unfinished]
        return sum(episode.ending is Ending.TERMINATED for episode in started) / max(1, len(started))

    @cached_property
    def fall_time(self) -> float | None:
        """Median time to a failure [s]."""
        falls = [episode.steps for episode in self.rollout.episodes if episode.ending is Ending.TERMINATED]
        return float(np.median(falls)) * self.rollout.step_dt if falls else None

    @cached_property
    def _planar(self) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Commanded and measured velocity where the command is one to walk, (n, 2) each [m/s]."""
        measured = self.rollout.recording.measurements
        names = ("command_vx", "command_vy", "vel_x", "vel_y")
        if any(name not in measured for name in names):
            return None
        command_x, command_y, x, y = (measured[name] for name in names)
        moving = (np.hypot(command_x, command_y) > _MOVING) & np.isfinite(x) & np.isfinite(y)
        if not moving.any():
            return None
        return np.stack([command_x, command_y], -1)[moving], np.stack([x, y], -1)[moving]

    @cached_property
    def speed_ratio(self) -> float | None:
        """Mean speed over mean commanded speed."""
        if self._planar is None:
            return None
        command, velocity = self._planar
        return float(np.linalg.norm(velocity, axis=-1).mean() / np.linalg.norm(command, axis=-1).mean())

    @cached_property
    def direction(self) -> float | None:
        """Mean cosine of the angle between velocity and command."""
        if self._planar is None:
            return None
        command, velocity = self._planar
        lengths = np.linalg.norm(command, axis=-1) * np.linalg.norm(velocity, axis=-1)
        return float((np.sum(command * velocity, axis=-1) / np.maximum(lengths, 1e-6)).mean())

    @cached_property
    def turning(self) -> float | None:
        """Correlation of the yaw rate with its command."""
        measured = self.rollout.recording.measurements
        if "command_wz" not in measured or "vel_yaw" not in measured:
            return None
        command, rate = measured["command_wz"].ravel(), measured["vel_yaw"].ravel()
        known = np.isfinite(rate) & (np.abs(command) > 0.1)
        if known.sum() < 20 or command[known].std() < 0.1:
            return None
        return float(np.corrcoef(command[known], rate[known])[0, 1])

    @cached_property
    def height_ratio(self) -> float | None:
        """Median height of the base over its height at the start of an episode, once it has settled."""
        nominal, states = self.subject.here.robot.init_base_height, self.rollout.recording.snapshots
        settled = states[len(states) // 4 :]
        # A roaming robot's state begins with the position and orientation of its base.
        if not nominal or len(settled) < 10 or states.shape[1] < 7:
            return None
        return float(np.median(settled[:, 2])) / nominal

    def away_from_training(self, term: str) -> tuple[float, float] | None:
        """Return how far a term's values are from those seen in training: mean shift and spread ratio.

        The shift is the root mean square over the term's entries, in training standard deviations. Only the first
        second of episodes is looked at: later, a fallen robot differs in everything.
        """
        normalizer, found = self.subject.policy.normalizer, self.subject.home.observation(term)
        if normalizer is None or found is None:
            return None
        seen = self.subject.observed(self.rollout.recording.observations)[: max(10, round(1 / self.rollout.step_dt))]
        values = seen[..., found.start : found.stop].reshape(-1, found.stop - found.start)
        mean = normalizer.mean[found.start : found.stop].numpy()
        std = normalizer.std[found.start : found.stop].numpy() + 1e-3
        shift = float(np.sqrt(np.mean(((values.mean(axis=0) - mean) / std) ** 2)))
        return shift, float(np.sqrt(np.mean(values.var(axis=0) / std**2)))


def short_training(task: str, subject: Subject) -> tuple[LikelyCause, ...]:
    """Return that a policy was trained for too little, where its task's recipe says how long it takes."""
    info, iteration = catalog.find(task), subject.policy.parts.iteration
    trained_here = subject.home.simulator.lower().startswith("mujoco")
    if info is None or iteration is None or not trained_here:
        return ()
    needed = info.local.max_iterations
    if iteration + 1 >= _ENOUGH * needed:
        return ()
    return (
        LikelyCause(
            f"It was trained for {iteration + 1} iterations; the task's recipe takes {needed}",
            f"The checkpoint is of iteration {iteration}.",
            f"--checkpoint-mode resume --max-iterations {needed} continues it.",
        ),
    )


def diagnose(rollout: Rollout, subject: Subject) -> tuple[LikelyCause, ...]:
    """Return the known symptoms that a rollout shows, the most telling first; none for one that went well."""
    if rollout.steps * rollout.step_dt < _LEAST_S:
        return ()
    evidence = Evidence(rollout, subject)
    return tuple(finding for rule in SYMPTOMS if (finding := rule(evidence)) is not None)


def _moves_elsewhere(seen: Evidence) -> LikelyCause | None:
    if seen.speed_ratio is None or seen.direction is None or seen.failed_share > 0.3:
        return None
    if not (0.6 < seen.speed_ratio < 1.7 and seen.direction < 0.6):
        return None
    return LikelyCause(
        "It walks as fast as commanded, but not where it is commanded",
        f"Its speed is {seen.speed_ratio:.0%} of the command's, the cosine of their angle {seen.direction:+.2f}.",
        "Look at the sign and the frame of the velocity or of the command: base frame, x forward, y left.",
    )


def _turns_against(seen: Evidence) -> LikelyCause | None:
    if seen.turning is None or seen.turning > -0.3:
        return None
    return LikelyCause(
        "It turns the other way than commanded",
        f"The correlation of yaw rate and command is {seen.turning:+.2f}.",
        "Look at the sign of the yaw command or of the angular velocity: counter-clockwise is positive.",
    )


def _runs_away(seen: Evidence) -> LikelyCause | None:
    if seen.speed_ratio is None or seen.direction is None or seen.speed_ratio < 1.7 or seen.direction < 0.5:
        return None
    return LikelyCause(
        "It goes the right way, but faster and faster",
        f"Speed is {seen.speed_ratio:.0%} of the command's.",
        "Look at base_lin_vel: a policy that sees it as zero, too small or with the wrong sign keeps accelerating.",
    )


def _stands(seen: Evidence) -> LikelyCause | None:
    if seen.speed_ratio is None or seen.speed_ratio > 0.25 or seen.failed_share > 0.3:
        return None
    return LikelyCause(
        "It stands although it is commanded to walk",
        f"Speed is {seen.speed_ratio:.0%} of the command's, and it does not fall.",
        "Look at the action scale and at how long it was trained; standing is what training finds first.",
    )


def _violent(seen: Evidence) -> LikelyCause | None:
    found = next((found for name in ("joint_vel", "joint_vel_rel") if (found := seen.away_from_training(name))), None)
    if found is None or found[1] < 1.6:
        return None
    return LikelyCause(
        "Its joints move more violently than in training",
        f"Joint velocities spread {found[1]:.1f} times as wide as what the policy's normaliser remembers.",
        "Look at the action scale, and at the drives' gains.",
    )


def _other_pose(seen: Evidence) -> LikelyCause | None:
    found = next((found for name in ("joint_pos", "joint_pos_rel") if (found := seen.away_from_training(name))), None)
    if found is None or found[0] < 1.5:
        return None
    return LikelyCause(
        "It does not stand in the pose it was trained in",
        f"Joint positions are {found[0]:.1f} standard deviations away from what the policy's normaliser remembers.",
        "Look at the action offset (the default pose is added to every action) and at the joint order.",
    )


def _sinks(seen: Evidence) -> LikelyCause | None:
    if seen.height_ratio is None or seen.height_ratio > 0.75:
        return None
    return LikelyCause(
        "Its body hangs low",
        f"The base is at {seen.height_ratio:.0%} of the height it starts from.",
        "Look at the drives: stiffness and damping softer than in training let it sag.",
    )


def _falls_at_once(seen: Evidence) -> LikelyCause | None:
    if seen.fall_time is None or seen.failed_share < 0.3 or seen.fall_time > 2.0:
        return None
    return LikelyCause(
        "It falls right away",
        f"Half of the falls come within {seen.fall_time:.1f} s.",
        "Wrong joint order is the commonest cause, then a missing default pose.",
    )


SYMPTOMS: tuple[Callable[[Evidence], LikelyCause | None], ...] = (
    _moves_elsewhere,
    _turns_against,
    _runs_away,
    _stands,
    _violent,
    _other_pose,
    _sinks,
    _falls_at_once,
)
"""Rules from the most telling symptom to the least."""
