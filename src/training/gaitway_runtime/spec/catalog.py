"""Index of the tasks known by name. Standard library only.

The command line reads it to print plans and ``gaitway tasks``. A task is registered by the module that defines it:
one of :mod:`gaitway_runtime.tasks`, one that an installed package names in the entry-point group ``gaitway.tasks``, or
one that the user imports with ``--import NAME``. What needs numpy or a learner (the environment's configuration, the
learners' settings) is a reference ``module:attribute`` that is imported where it is used.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .errors import UsageError, nearest
from .registry import ForeignError, Registry, import_foreign

PLAY = "-Play"
"""Part of a task's name that asks for its evaluation form, as in Isaac Lab 2.x."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Threshold:
    """One bound of a gate or a success rule, for example ``error_vel_xy <= 0.25 m/s``."""

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


@dataclass(frozen=True, kw_only=True)
class SuccessRule:
    """When one episode is a success: it times out, and every bound holds. A failed episode is never one."""

    sentence: str
    """The rule in words, as ``gaitway tasks`` and a verdict print it."""
    mean: tuple[Threshold, ...] = ()
    """Bounds on the mean of a measurement over the episode."""
    last: tuple[Threshold, ...] = ()
    """Bounds on the magnitude of a measurement at the episode's last step."""


@dataclass(frozen=True, kw_only=True)
class Gate:
    """When a policy of a task may be called validated: over all evaluated episodes."""

    success_rate: float
    """Least share of episodes that are a success by the task's rule."""
    thresholds: tuple[Threshold, ...] = ()


@dataclass(frozen=True)
class LocalScale:
    """Scale of the recipe that learns on two CPU cores; everything else of the recipe is the learner's."""

    num_envs: int
    max_iterations: int
    save_interval: int
    why: str = "2048 environments are for a GPU; this many keep two CPU cores busy"


LearningCurve = tuple[tuple[int, float], ...]
"""Points of an evaluated reward: the iteration, counted from one, and the reward after it."""

DEFAULT_SCALE = LocalScale(256, 150, 50)
"""For tasks that name no scale of their own."""

NO_RULE = SuccessRule(sentence="")
NO_GATE = Gate(success_rate=math.nan)


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task of the embedded simulator: everything about it, or a reference to it."""

    name: str
    summary: str
    """What the robot is to do, in one line."""
    robot: str = ""
    """Name of the robot, see :data:`gaitway_runtime.tasks.robots.ROBOTS`."""
    environment: str = ""
    """Reference ``module:attribute`` of the :class:`gaitway_runtime.tasks.environment.EnvCfg`."""
    play_environment: str = ""
    """That of the ``-Play`` form, where it differs in more than noise and pushes."""
    observations: int
    """Length of the policy's input."""
    actions: int
    """Length of its output."""
    control_hz: float
    """Policy steps per second."""
    episode_length_s: float
    """[s]."""
    success: SuccessRule = NO_RULE
    gate: Gate = NO_GATE
    local: LocalScale = DEFAULT_SCALE
    curve: LearningCurve = ()
    """How the rsl_rl recipe learned at the local scale; of gaitway's own tasks ``tasks/curves.json`` says it."""
    recipes: Mapping[str, str] = field(default_factory=dict)
    """References of each learner's settings, by the learner's name; a learner without one uses its own defaults."""
    aliases: tuple[str, ...] = ()
    """Names of the same task in other Isaac Lab releases."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every name of the task, its own first."""
        return (self.name, *self.aliases)


BUILT_IN: Mapping[str, str] = {
    "cartpole": "gaitway_runtime.tasks.cartpole",
    "ant": "gaitway_runtime.tasks.ant",
    "humanoid": "gaitway_runtime.tasks.humanoid",
    "anymal_c": "gaitway_runtime.tasks.velocity.anymal_c",
    "anymal_b": "gaitway_runtime.tasks.velocity.anymal_b",
    "anymal_d": "gaitway_runtime.tasks.velocity.anymal_d",
    "unitree_go2": "gaitway_runtime.tasks.velocity.unitree_go2",
    "unitree_go1": "gaitway_runtime.tasks.velocity.unitree_go1",
    "unitree_a1": "gaitway_runtime.tasks.velocity.unitree_a1",
    "franka_reach": "gaitway_runtime.tasks.reach.franka",
    "ur10_reach": "gaitway_runtime.tasks.reach.ur10",
    "unitree_h1": "gaitway_runtime.tasks.velocity.unitree_h1",
    "unitree_g1": "gaitway_runtime.tasks.velocity.unitree_g1",
}
"""Modules of gaitway's own tasks, in the order in which tasks are listed."""
MODULES: Registry[object] = Registry("gaitway.tasks", "task module", BUILT_IN)
"""What registers tasks: modules that call :func:`register` when they are imported, or a :class:`Task` itself."""

_tasks: dict[str, Task] = {}
_loaded = False


def register(task: Task) -> None:
    """Add a task.

    Raises:
        UsageError: It lacks its success rule, gate, robot or environment, or one of its names is taken; the error says
            what to do.
    """
    source = f"register(Task(name={task.name!r}))"
    for missing, what, hint in (
        (task.success == NO_RULE, "success rule", "success=SuccessRule(sentence=..., mean=(Threshold(...),))"),
        (math.isnan(task.gate.success_rate), "gate", "gate=Gate(success_rate=0.7)"),
        (not task.robot, "robot", "robot='NAME', one of gaitway_runtime.tasks.robots.ROBOTS or your own"),
        (not task.environment, "environment", "environment='module:ATTRIBUTE' of an EnvCfg"),
    ):
        if missing:
            raise UsageError(f"task '{task.name}' has no {what}", source=source, hint=f"give it one: {hint}")
    _load()
    taken = {name: other for other in _tasks.values() for name in other.names}
    for name in task.names:
        if name in taken:
            raise UsageError(
                f"task '{name}' is registered twice",
                source=source,
                hint=f"it is a name of '{taken[name].name}' ({taken[name].summary}): choose another",
            )
    _tasks[task.name] = task


def tasks() -> tuple[Task, ...]:
    """Return every registered task: the built-in ones first, in the order of the table, whatever was imported first."""
    _load()
    return tuple(sorted(_tasks.values(), key=_place))


def _place(task: Task) -> int:
    places = (place for place, module in enumerate(BUILT_IN.values()) if task.environment.startswith(f"{module}."))
    return next(places, len(BUILT_IN))


def find(task: str) -> Task | None:
    """Return what is known of a task by any of its names, ``-Play`` forms included, or None."""
    wanted = task.replace(PLAY, "")
    return next((known for known in tasks() if wanted in known.names), None)


def canonical(task: str) -> str:
    """Return a task's registered name, which all its names share; the given one where it is not registered."""
    info = find(task)
    return info.name if info else task


_ELSEWHERE = (
    "Isaac Lab's other tasks run where it is installed: --on osmo, --on azureml, --simulator isaaclab --python PYTHON"
)


def embedded(task: str, source: str = "--task", imports: Sequence[str] = ()) -> Task:
    """Return a task that the embedded simulator has.

    Args:
        task: Any name of the task.
        source: Where the name came from, for the error.
        imports: The user's modules that have been imported, for the error.

    Raises:
        UsageError: It has none of that name; the error names the nearest.
    """
    info = find(task)
    if info is not None:
        return info
    known = tasks()
    close = nearest(task, [name for entry in known for name in entry.names])
    hint = f"did you mean {close}?" if close else _ELSEWHERE
    if close and task.startswith("Isaac"):
        hint = f"{hint} {_ELSEWHERE}"
    if imports and not close:
        hint = f"{', '.join(imports)} registers no task of that name: register(Task(name=...))"
    raise UsageError(
        f"task '{task}' is unknown to the embedded simulator",
        source=source,
        allowed=", ".join(entry.name for entry in known),
        hint=hint,
    )


def import_tasks(modules: Sequence[str]) -> None:
    """Import modules that register tasks.

    Raises:
        UsageError: One cannot be imported (the error names it, why, and which were asked for), or registers a task that
            cannot be one.
    """
    name = ""
    try:
        for name in modules:
            import_foreign(name)
    except ForeignError as error:
        if isinstance(error.__cause__, UsageError):
            raise error.__cause__ from None
        raise UsageError(
            f"module '{name}' cannot be imported: {error}",
            source=f"--import {' --import '.join(modules)}",
            hint="ship its folder with --with PATH",
        ) from error


def _load() -> None:
    """Import the modules that register tasks, once. A package's that cannot be used is a warning with its name."""
    global _loaded
    if _loaded:
        return
    _loaded = True  # before the imports: they call register
    for name, row in MODULES.working():
        if isinstance(row, Task) and row.name not in _tasks:
            try:
                register(row)
            except UsageError as error:
                _log.warning("task module '%s' is left out: %s (%s)", name, error.message, error.hint)
