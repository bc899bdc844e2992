"""The tasks gaitway knows by name: aliases, sizes, the laptop recipe's scale, and the gate.

Data only, standard library only: the command line reads it to print plans and ``gaitway tasks``. What a
task *is* (robot, observations, rewards) lives in ``simulators/mujoco/tasks`` and in Isaac Lab itself; a task
that is not listed here is still accepted where Isaac Lab runs.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import UsageError, nearest


@dataclass(frozen=True)
class Threshold:
    """One bound of a gate, for example ``error_vel_xy <= 0.25 m/s``."""

    metric: str
    comparison: str
    """``>=`` or ``<=``."""
    value: float
    unit: str = ""

    def holds(self, measured: float) -> bool:
        """Whether a measured value is within the bound."""
        return measured >= self.value if self.comparison == ">=" else measured <= self.value

    def __str__(self) -> str:
        """Return the bound as it is printed."""
        return f"{self.metric} {self.comparison} {self.value:g}{' ' + self.unit if self.unit else ''}"


@dataclass(frozen=True)
class Gate:
    """When a policy of this task may be called validated.

    An episode is a success by ``success`` (a sentence; the rule itself is in ``evaluation/gate.py``), the share
    of successes must reach ``success_rate``, and every threshold must hold over all evaluated episodes.
    """

    success: str
    success_rate: float = 0.7
    thresholds: tuple[Threshold, ...] = ()


@dataclass(frozen=True)
class LocalScale:
    """Scale of the recipe that learns on two CPU cores; everything else of the recipe is the learner's."""

    num_envs: int
    max_iterations: int
    save_interval: int
    why: str


@dataclass(frozen=True)
class TaskInfo:
    """One task, as the command line needs to know it."""

    name: str
    summary: str
    observations: int
    actions: int
    control_hz: float
    episode_length_s: float
    gate: Gate
    local: LocalScale
    aliases: tuple[str, ...] = ()
    """Names of the same task in other Isaac Lab releases."""


_TWO_CORES = "2048 environments are for a GPU; this many keep two CPU cores busy"

TASKS: tuple[TaskInfo, ...] = (
    TaskInfo(
        "Isaac-Cartpole-v0",
        "Balance a pole on a cart",
        observations=4,
        actions=1,
        control_hz=60,
        episode_length_s=5,
        gate=Gate(
            "the episode times out with the cart on its rail and the pole upright",
            0.9,
            (Threshold("mean_episode_length", ">=", 290), Threshold("mean_reward", ">=", 4.0)),
        ),
        local=LocalScale(256, 110, 25, _TWO_CORES),
        aliases=("Isaac-Cartpole",),
    ),
    TaskInfo(
        "Isaac-Ant-v0",
        "Run a four-legged ant forward",
        observations=60,
        actions=8,
        control_hz=60,
        episode_length_s=16,
        gate=Gate(
            "the episode times out and the mean forward speed is at least 3 m/s",
            0.7,
            (Threshold("mean_forward_speed", ">=", 3.0, "m/s"),),
        ),
        local=LocalScale(256, 150, 50, _TWO_CORES),
        aliases=("Isaac-Ant",),
    ),
    TaskInfo(
        "Isaac-Velocity-Flat-Anymal-C-v0",
        "Walk ANYmal-C on flat ground at a commanded velocity",
        observations=48,
        actions=12,
        control_hz=50,
        episode_length_s=20,
        gate=Gate(
            "the episode times out without a fall and its velocity errors are within bounds",
            0.7,
            (
                Threshold("mean_reward", ">=", 15.0),
                Threshold("survival_rate", ">=", 0.95),
                Threshold("error_vel_xy", "<=", 0.25, "m/s"),
                Threshold("error_vel_yaw", "<=", 0.30, "rad/s"),
            ),
        ),
        local=LocalScale(512, 240, 25, _TWO_CORES),
        aliases=("IsaacContrib-Velocity-Flat-AnymalC", "Isaac-Velocity-Flat-AnymalC-v0"),
    ),
    TaskInfo(
        "Isaac-Velocity-Rough-Anymal-C-v0",
        "Walk ANYmal-C on rough terrain at a commanded velocity",
        observations=235,
        actions=12,
        control_hz=50,
        episode_length_s=20,
        gate=Gate(
            "the episode times out without a fall and its velocity errors are within bounds",
            0.7,
            (Threshold("mean_reward", ">=", 7.0), Threshold("survival_rate", ">=", 0.85)),
        ),
        local=LocalScale(512, 600, 50, _TWO_CORES),
        aliases=("IsaacContrib-Velocity-Rough-AnymalC", "Isaac-Velocity-Rough-AnymalC-v0"),
    ),
)


def find(task: str) -> TaskInfo | None:
    """Return what is known of a task by any of its names, ``-Play`` variants included, or None."""
    wanted = task.replace("-Play", "")
    for info in TASKS:
        if wanted == info.name or wanted in info.aliases:
            return info
    return None


def canonical(task: str) -> str:
    """Return a task's name here, which all its names and its ``-Play`` variant share; its own where none is known."""
    info = find(task)
    return info.name if info else task


def embedded(task: str, source: str = "--task") -> TaskInfo:
    """Return a task that the embedded simulator has.

    Raises:
        UsageError: It has none of that name; the error names the nearest.
    """
    info = find(task)
    if info is not None:
        return info
    known = [entry.name for entry in TASKS]
    close = nearest(task, [*known, *(alias for entry in TASKS for alias in entry.aliases)])
    raise UsageError(
        f"task '{task}' is unknown to the embedded simulator",
        source=source,
        allowed=", ".join(known),
        hint=f"did you mean {close}?" if close else "Isaac Lab has more tasks: --on osmo or --on azureml",
    )
