"""Velocity tasks: walk at a commanded velocity. A folder for each robot; what they share is here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...spec.catalog import Gate, LocalScale, SuccessRule, Task, Threshold, register

RECIPE = "gaitway_runtime.tasks.velocity.recipe"
"""Module with the learners' settings."""
SCAN = 187
"""Points of the height scan, which rough tasks observe beside the flat ones' terms."""


def follows_commands(xy: float = 0.5, yaw: float = 0.5) -> SuccessRule:
    """Return the success rule of a velocity task.

    Args:
        xy: Greatest mean error of the horizontal velocity in an episode [m/s].
        yaw: Greatest mean error of the yaw rate in an episode [rad/s].
    """
    return SuccessRule(
        sentence="the episode times out without a fall and its velocity errors are within bounds",
        mean=(Threshold("error_vel_xy", "<=", xy, "m/s"), Threshold("error_vel_yaw", "<=", yaw, "rad/s")),
    )


@dataclass(frozen=True, kw_only=True)
class Walker:
    """A robot of Isaac Lab's velocity tasks, by what its tasks are registered with."""

    module: str
    """The robot's module below ``tasks/velocity``, with an ``environment`` in it."""
    robot: str
    """Name of the robot."""
    shown: str
    """Its name in sentences."""
    stem: str
    """Its part of Isaac Lab's task names, as in 2.x: ``Unitree-Go2``."""
    contrib: bool = False
    """Whether Isaac Lab 3.0 has its tasks among the contributed ones."""
    joints: int = 12

    @property
    def observations(self) -> int:
        """Length of the policy's input on flat ground."""
        return 12 + 3 * self.joints


def register_walk(
    walker: Walker,
    ground: str,
    *,
    success: SuccessRule,
    gate: Gate,
    local: LocalScale,
    recipes: Mapping[str, str],
    aliases: tuple[str, ...] = (),
) -> None:
    """Register one task of a walker.

    Args:
        walker: The robot.
        ground: ``Flat`` or ``Rough``.
        success: When an episode is a success.
        gate: When a policy is validated.
        local: Scale on a laptop.
        recipes: Each learner's settings.
        aliases: Names beside Isaac Lab 3.0's.
    """
    environment = f"gaitway_runtime.tasks.velocity.{walker.module}.environment"
    rough = ground == "Rough"
    prefix = "IsaacContrib" if walker.contrib else "Isaac"
    register(
        Task(
            name=f"Isaac-Velocity-{ground}-{walker.stem}-v0",
            aliases=(f"{prefix}-Velocity-{ground}-{walker.stem.replace('-', '')}", *aliases),
            summary=f"Walk {walker.shown} on {'rough terrain' if rough else 'flat ground'} at a commanded velocity",
            robot=walker.robot,
            environment=f"{environment}:{ground.upper()}",
            play_environment=f"{environment}:ROUGH_PLAY" if rough else "",
            observations=walker.observations + (SCAN if rough else 0),
            actions=walker.joints,
            control_hz=50,
            episode_length_s=20,
            success=success,
            gate=gate,
            local=local,
            recipes=recipes,
        )
    )


def register_quadruped(
    walker: Walker,
    *,
    flat_reward: float,
    rough_reward: float,
    iterations: tuple[int, int] = (480, 600),
    recipes: tuple[str, str] = ("SYMMETRIC_RSL_RL", "ROUGH_RSL_RL"),
) -> None:
    """Register both tasks of a quadruped with the bounds and the recipe that all of them share.

    Args:
        walker: The robot.
        flat_reward: Least mean reward of an episode on flat ground.
        rough_reward: The same on rough ground.
        iterations: Of a training on a laptop, on flat and on rough ground.
        recipes: Names of rsl_rl's settings in :data:`RECIPE`, for flat and for rough ground.
    """
    bounds = follows_commands(xy=0.25, yaw=0.3)
    old = {ground: f"Isaac-Velocity-{ground}-{walker.stem.replace('-', '')}-v0" for ground in ("Flat", "Rough")}
    survival = Threshold("survival_rate", ">=", 0.95)
    register_walk(
        walker,
        "Flat",
        success=bounds,
        gate=Gate(
            success_rate=0.7,
            thresholds=(Threshold("mean_reward", ">=", flat_reward), survival, *bounds.mean),
        ),
        local=LocalScale(512, iterations[0], 50),
        recipes={"rsl_rl": f"{RECIPE}:{recipes[0]}", "skrl": f"{RECIPE}:SKRL"},
        aliases=(old["Flat"],),
    )
    register_walk(
        walker,
        "Rough",
        success=follows_commands(),
        gate=Gate(
            success_rate=0.7,
            thresholds=(Threshold("mean_reward", ">=", rough_reward), Threshold("survival_rate", ">=", 0.85)),
        ),
        local=LocalScale(512, iterations[1], 50),
        recipes={"rsl_rl": f"{RECIPE}:{recipes[1]}", "skrl": f"{RECIPE}:SKRL"},
        aliases=(old["Rough"],),
    )


def register_biped(walker: Walker, recipe: str, *, iterations: tuple[int, int]) -> None:
    """Register both tasks of a biped with the bounds that all of them share.

    Args:
        walker: The robot.
        recipe: Module with the learners' settings.
        iterations: Of a training on a laptop, on flat and on rough ground.
    """
    register_walk(
        walker,
        "Flat",
        success=follows_commands(xy=0.35, yaw=0.35),
        gate=Gate(
            success_rate=0.7,
            thresholds=(
                Threshold("survival_rate", ">=", 0.95),
                Threshold("error_vel_xy", "<=", 0.25, "m/s"),
                Threshold("error_vel_yaw", "<=", 0.25, "rad/s"),
                # Both feet fly that long, and hardly ever together: they alternate.
                Threshold("mean_flight_time", ">=", 0.2, "s"),
                Threshold("mean_single_stance", ">=", 0.6),
            ),
        ),
        local=LocalScale(256, iterations[0], 40),
        recipes={"rsl_rl": f"{recipe}:RSL_RL", "skrl": f"{recipe}:SKRL"},
    )
    register_walk(
        walker,
        "Rough",
        success=follows_commands(),
        gate=Gate(success_rate=0.7, thresholds=(Threshold("survival_rate", ">=", 0.85),)),
        local=LocalScale(256, iterations[1], 50),
        recipes={"rsl_rl": f"{recipe}:ROUGH_RSL_RL", "skrl": f"{recipe}:SKRL"},
    )
