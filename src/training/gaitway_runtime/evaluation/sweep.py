"""Sweep of conditions: survival and tracking as one condition at a time leaves its nominal value.

A condition is a handful of ``env.KEY=VALUE`` overrides, so that everything here can be repeated by hand with ``--set``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..policies.sessions import checkpoint_session
from .metrics import finite, summarize
from .rollout import Actor, run_steps
from .subject import Subject, apply_gains

if TYPE_CHECKING:
    from ..simulators.base import Env, SimulatorModule
    from ..spec.contract import PolicyContract
    from ..spec.job import Job

WORLDS = 32
SECONDS, LONG_SECONDS = 10.0, 20.0
"""Length of a measurement [s]. The first push comes after 10 to 15 s, and rough ground gets harder on the way."""

SPEED, TURN = 0.8, 0.8
"""Speed [m/s] and yaw rate [rad/s] that are commanded while a direction is tried."""

DIRECTIONS = (
    ("forward", 1.0, 0.0),
    ("forward left", 1.0, 1.0),
    ("left", 0.0, 1.0),
    ("back left", -1.0, 1.0),
    ("back", -1.0, 0.0),
    ("back right", -1.0, -1.0),
    ("right", 0.0, -1.0),
    ("forward right", 1.0, -1.0),
)
PUSHES = (0.0, 1.0, 2.0, 3.0)
"""Greatest change of velocity [m/s]; training has 0.5."""
FRICTIONS = (0.1, 0.3, 0.6, 1.0)
"""Factors on the robot's friction; training has 0.7 to 1.3."""
PAYLOADS = (0.0, 10.0, 20.0, 40.0)
"""Masses added to the base [kg]; training has up to 5."""
DELAYS = (0, 1, 2, 3)
"""Control steps by which actions or observations are late."""
STRENGTHS = (0.4, 0.6, 0.8, 1.0)
"""Factors on the drives' torque."""
JOINT_FRICTIONS = (0.0, 0.5, 1.0, 2.0)
"""Dry friction of the joints [N m]."""
OFFSETS = (0.0, 0.05, 0.1, 0.2)
"""Greatest errors of encoders and of the measured direction of gravity [rad]."""
DRIFTS = (0.0, 0.2, 0.5, 1.0)
"""Greatest drifts of the angular rate [rad/s]."""
LEVEL_STEP = 2
"""Every so many levels of each kind of rough ground are tried."""


@dataclass(frozen=True)
class Condition:
    """One thing that is not nominal."""

    axis: str
    label: str
    overrides: tuple[str, ...]
    seconds: float = SECONDS
    plot: str = "sweep"
    """Name of the plot that shows it."""


@dataclass(frozen=True)
class Point:
    """What was measured under one condition."""

    axis: str
    label: str
    plot: str
    survival_rate: float | None
    error_vel_xy: float | None
    """[m/s]; None where the task commands no velocity."""
    error_vel_yaw: float | None
    reward_per_second: float | None

    def document(self) -> dict[str, object]:
        """Return the point as JSON values."""
        document: dict[str, object] = finite(dataclasses.asdict(self))
        return document


def conditions_for(contract: PolicyContract) -> tuple[Condition, ...]:
    """Return what can be varied: commands where it takes any, strains where it roams, the ground where it is rough."""
    commanded = tuple(_directions()) if "base_velocity" in contract.commands else ()
    strains = tuple(_strains(driven=any(contract.robot.stiffness))) if contract.robot.base_com else ()
    return (*commanded, *strains, *_grounds(contract.conventions.get("terrain", {})))


def run_sweep(
    module: SimulatorModule,
    job: Job,
    subject: Subject,
    *,
    on_step: Callable[[int, int], None] | None = None,
) -> tuple[Point, ...]:
    """Measure a policy under every condition of its robot.

    Args:
        module: The simulator.
        job: The job; conditions are added to its overrides.
        subject: The policy.
        on_step: Told ``(conditions done, conditions to do)``; may raise to stop.
    """
    conditions = conditions_for(subject.here)
    points = []
    for number, condition in enumerate(conditions):
        varied = dataclasses.replace(job, overrides=(*job.overrides, *condition.overrides))
        with contextlib.closing(module.open_env(varied, num_envs=WORLDS, training=False, seed=job.seed)) as env:
            apply_gains(subject, env)
            actor = subject.actor(checkpoint_session(subject.policy))
            points.append(measure(env, actor, condition, job.seed))
        if on_step is not None:
            on_step(number + 1, len(conditions))
    return tuple(points)


def sweep_table(points: Sequence[Point]) -> list[str]:
    """Return what was measured as lines to print, one a condition under the name of its axis."""
    lines, axis = [], None
    for point in points:
        if point.axis != axis:
            axis = point.axis
            lines.append(f"{axis:<30}survival  error_vel_xy  error_vel_yaw  reward/s")
        numbers = (
            (point.survival_rate, "{:>8.0%}"),
            (point.error_vel_xy, "{:>10.2f} m/s"),
            (point.error_vel_yaw, "{:>9.2f} rad/s"),
            (point.reward_per_second, "{:>10.2f}"),
        )
        shown = (form.format(number) if number is not None else "-".rjust(8) for number, form in numbers)
        lines.append(f"  {point.label:<28}{''.join(shown)}")
    return lines


def measure(env: Env, actor: Actor, condition: Condition, seed: int) -> Point:
    """Play a policy under one condition.

    Args:
        env: Environment under that condition.
        actor: The policy.
        condition: What it is called, and how long it is played.
        seed: Seed of the environment.
    """
    steps = min(env.max_episode_length, round(condition.seconds / env.step_dt))
    metrics = summarize(run_steps(env, actor, steps, seed=seed), format="checkpoint", simulator=env.contract.simulator)
    return Point(
        axis=condition.axis,
        label=condition.label,
        plot=condition.plot,
        survival_rate=metrics.survival_rate,
        error_vel_xy=metrics.value("error_vel_xy"),
        error_vel_yaw=metrics.value("error_vel_yaw"),
        reward_per_second=metrics.reward_per_second,
    )


def _directions() -> Iterator[Condition]:
    for label, forward, left in DIRECTIONS:
        factor = SPEED / math.hypot(forward, left)
        yield Condition("command", label, _command(factor * forward, factor * left, 0.0))
    for label, sign in (("turn left", 1), ("turn right", -1)):
        yield Condition("command", label, _command(0.0, 0.0, sign * TURN))


def _command(vx: float, vy: float, wz: float) -> tuple[str, ...]:
    held = {"lin_vel_x": vx, "lin_vel_y": vy, "ang_vel_z": wz}
    constant = [f"env.command.{name}={value:.6g},{value:.6g}" for name, value in held.items()]
    return (*constant, "env.command.rel_heading_envs=0", "env.command.rel_standing_envs=0")


def _strains(*, driven: bool) -> Iterator[Condition]:
    """Yield what strains a robot from outside, and the imperfections of its own that apply to position drives."""
    axes: Sequence[tuple[str, str, str, Sequence[float], float]] = (
        ("push [m/s]", "push", "{:g}", PUSHES, LONG_SECONDS),
        ("friction factor", "friction_scale", "{:g}", FRICTIONS, SECONDS),
        ("payload [kg]", "payload", "{:g}", PAYLOADS, SECONDS),
    )
    own: Sequence[tuple[str, str, str, Sequence[float], float]] = (
        ("action delay [steps]", "action_delay", "{:g}", DELAYS, SECONDS),
        ("observation delay [steps]", "observation_delay", "{:g}", DELAYS, SECONDS),
        ("motor strength", "motor_strength", "{:g}", STRENGTHS, SECONDS),
        ("joint friction [N m]", "joint_friction", "{:g}", JOINT_FRICTIONS, SECONDS),
        ("encoder error [rad]", "joint_offset", "{:g}", OFFSETS, SECONDS),
        ("gyro drift [rad/s]", "gyro_bias", "{:g}", DRIFTS, SECONDS),
        ("tilt error [rad]", "tilt_bias", "{:g}", OFFSETS, SECONDS),
    )
    for axis, key, label, values, seconds in (*axes, *(own if driven else ())):
        for value in values:
            yield Condition(axis, label.format(value), (f"env.conditions.{key}={value:g}",), seconds)


def _grounds(terrain: Mapping[str, Any]) -> Iterator[Condition]:
    for kind in terrain.get("kinds", ()):
        for level in range(0, terrain["levels"], LEVEL_STEP):
            chosen = (f"env.terrain.kind={kind}", f"env.terrain.levels={level},{level}")
            yield Condition(f"{kind} [level]", str(level), chosen, LONG_SECONDS, plot="ground")
