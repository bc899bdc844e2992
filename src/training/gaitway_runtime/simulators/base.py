"""Interface of a simulator to learners and the evaluation.

An environment is a batch of identical worlds stepped together, as arrays. It is deliberately neutral of any
learning library: a learner wraps it (``learners/rsl_rl.py``, ``learners/skrl.py``), the evaluation steps it as it is.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, Union, runtime_checkable

from ..spec.catalog import import_tasks
from ..spec.errors import ConfigError, UsageError
from ..spec.job import Job
from ..spec.types import Json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..spec.contract import PolicyContract

JobT = TypeVar("JobT", bound=Job)

SIMULATORS: dict[str, str] = {
    "mujoco": "gaitway_runtime.simulators.mujoco",
    "mujoco-warp": "gaitway_runtime.simulators.mujoco_warp",
    "isaaclab": "gaitway_runtime.simulators.isaaclab",
}
"""Simulator modules by name, imported when asked for. Each offers ``availability`` and ``open_env``."""


EPISODE_OVER = "episode_over"
"""Measurement of a film's frame that shows the last state of an episode."""


@dataclass(frozen=True)
class Transition:
    """What one control step of ``num_envs`` worlds produced. N is the number of worlds.

    Worlds that ended (``terminated | truncated``) are already reset: their observation is the first one of the
    next episode, as in Isaac Lab; rewards, terms and diagnostics are those of the step that ended it.
    """

    observations: Mapping[str, NDArray[np.float32]]
    """Observation groups, each (N, size)."""
    rewards: NDArray[np.float32]
    """What the learner maximises, shape (N,): Isaac Lab's reward, in training plus the named shaping."""
    task_rewards: NDArray[np.float32]
    """Isaac Lab's own reward alone, shape (N,): what is reported and gated."""
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    reward_terms: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """Each term's share of ``rewards`` (weight and step length included), (N,); shaping terms carry ``shaping/``."""
    diagnostics: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """Per-world measurements of this step by metric name, (N,), for example ``error_vel_xy`` [m/s]."""
    diverged: NDArray[np.bool_] | None = None
    """Worlds that were reset because their state was no longer finite; they count in neither direction."""
    log: Mapping[str, float] = field(default_factory=dict)
    """Means over the episodes that ended in this step, by TensorBoard tag (``Episode_Reward/...``)."""


@dataclass(frozen=True)
class SignedPermutation:
    """A linear map that only reorders entries and flips signs: ``mirrored = values[:, index] * sign``."""

    index: NDArray[np.int64]
    sign: NDArray[np.float32]


@dataclass(frozen=True)
class Mirror:
    """A symmetry of a task: what the robot's mirror image sees and does in the mirrored situation."""

    name: str
    """``left-right``, ``front-back``, ``both``."""
    observations: Mapping[str, SignedPermutation]
    """By observation group."""
    actions: SignedPermutation


class Env(Protocol):
    """A batch of worlds of one task."""

    task: str
    num_envs: int
    num_actions: int
    observation_sizes: Mapping[str, int]
    policy_groups: Sequence[str]
    """Observation groups that the policy reads, joined in this order."""
    max_episode_length: int
    """Control steps after which an episode times out."""
    step_dt: float
    """Time between two actions [s]."""
    episode_length: NDArray[np.int64]
    """Control steps since each world's last reset, (N,). A learner may write it to spread the time-outs."""
    env_steps: int
    """Environment steps since training began, all worlds together; a reset does not clear it. It drives schedules that
    belong to training (penalty ramps, curricula), so a learner sets it when it resumes."""
    mirrors: Sequence[Mirror]
    """The task's symmetries, for learners that use mirrored copies; empty for a task without any."""

    @property
    def contract(self) -> PolicyContract:
        """The policy contract: what the policy sees and what its outputs mean here."""
        ...

    def reset(self, seed: int | None = None) -> Mapping[str, NDArray[np.float32]]:
        """Start a new episode in every world and return the first observations."""
        ...

    def step(self, actions: NDArray[np.float32]) -> Transition:
        """Apply raw policy outputs, shape (N, num_actions), for one control step."""
        ...

    def snapshot(self) -> NDArray[np.float64]:
        """Return what a replay needs of the present state, shape (N, nq), as a copy."""
        ...

    def close(self) -> None:
        """Release threads and memory; further calls are errors."""
        ...


def policy_observations(env: Env, observations: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return what the policy reads of an environment's observation groups, (N, size)."""
    import numpy as np

    groups = [observations[name] for name in env.policy_groups]
    return groups[0] if len(groups) == 1 else np.concatenate(groups, axis=1)


StateValue = Union[Json, "NDArray[Any]", "StateTree"]
StateTree = Mapping[str, StateValue]
"""State of something as plain values and arrays, nested by name."""

OPTIONAL = "optional"
"""Name of a part of a state tree whose entries need not be there when it is restored."""


class Stateful(Protocol):
    """Something whose state can be saved with a training and restored."""

    def training_state(self) -> StateTree:
        """Return a copy of everything that the next steps depend on."""
        ...

    def load_training_state(self, state: StateTree) -> None:
        """Restore what :meth:`training_state` returned, in an object of the same task, seed and size."""
        ...


@runtime_checkable
class KeepsState(Stateful, Protocol):
    """An environment whose state can be saved and restored, so that a training continues where it was."""

    not_restored: str
    """What the simulator's interfaces do not give, as the end of a sentence; empty where everything is restored."""


@runtime_checkable
class TakesGains(Protocol):
    """An environment whose drives can be given the gains that a policy of another simulator was trained with."""

    def set_gains(self, stiffness: Sequence[float], damping: Sequence[float]) -> bool:
        """Give every drive its gains; return whether the drives have any.

        Args:
            stiffness: In the order of the contract's joints [N m/rad].
            damping: Same order [N m s/rad].
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Native:
    """An environment as a learning library wants it, with the task's own settings for that library."""

    env: Any
    """The library's environment: tensors that stay on the device."""
    config: Mapping[str, Any]
    """The library's configuration of the task, overrides applied, as plain values."""
    task_config: Mapping[str, object]
    """The task's own configuration, overrides applied."""
    device: str
    """``cuda:0``, ``cpu``: where simulation and learner run."""
    max_iterations: int
    """Iterations of the task's own configuration."""
    save_interval: int
    """Iterations between checkpoints of the task's own configuration."""


@runtime_checkable
class TrainsNatively(Protocol):
    """An environment that learners use through their library's own wrapper: nothing passes through numpy."""

    def native(self, library: str, wrap: Callable[[Any, Any], Native]) -> Native:
        """Return the environment for a learning library, the same object every time.

        Args:
            library: Name of the library, a learner's.
            wrap: Wraps the simulator's own environment for the library, given it and the task's settings.

        Raises:
            ConfigError: The task has no configuration for that library.
        """
        ...


class NativeEnv(Env, TrainsNatively, Protocol):
    """An environment that is both: stepped by the evaluation as it is, by learners through their wrapper."""


@dataclass(frozen=True)
class Availability:
    """Whether a simulator can run here, which release it is, or why it cannot."""

    present: bool
    version: str = ""
    reason: str = ""


class SimulatorModule(Protocol):
    """What a module in :data:`SIMULATORS` offers."""

    def availability(self) -> Availability:
        """Tell whether the simulator is here, without importing or starting it."""
        ...

    def open_env(self, job: Job, *, num_envs: int, training: bool, seed: int, **options: Any) -> Env:
        """Make an environment of the job's task.

        Args:
            job: The job; its ``task``, ``overrides`` and ``imports`` are read.
            num_envs: Worlds to step together.
            training: True for noise, randomisation, pushes and shaping; False for the evaluation form
                (Isaac Lab's ``-Play`` settings where the task has them).
            seed: Seed of resets, commands and noise.
            options: Options of this simulator alone.
        """
        ...


def load(name: str) -> SimulatorModule:
    """Return the simulator module of that name.

    Raises:
        UsageError: The name is unknown.
    """
    if name not in SIMULATORS:
        raise UsageError(f"unknown simulator '{name}'", source="--simulator", allowed=", ".join(SIMULATORS))
    module: SimulatorModule = importlib.import_module(SIMULATORS[name])
    return module


def choose(name: str) -> str:
    """Resolve ``auto``: Isaac Lab where it is installed, else the embedded simulator.

    Raises:
        ConfigError: The simulator that was asked for is not installed.
    """
    if name == "auto":
        # Most machines have none: they need not load what tells one release of it from another.
        installed = importlib.util.find_spec("isaaclab") is not None
        return "isaaclab" if installed and load("isaaclab").availability().present else "mujoco"
    found = load(name).availability()
    if not found.present:
        raise ConfigError(
            f"simulator {name} is not installed",
            source="--simulator",
            allowed=", ".join(("auto", *(other for other in SIMULATORS if other != name))),
            hint=found.reason,
        )
    return name


def resolved(job: JobT) -> JobT:
    """Return the job with the simulator that ``auto`` stands for here; done once, before anything of the job runs.

    Raises:
        ConfigError: The simulator that was asked for is not installed.
    """
    return dataclasses.replace(job, simulator=choose(job.simulator))


def import_task_modules(names: Sequence[str]) -> None:
    """Import the user's modules, which register tasks as they are imported; the traceback of a failure is logged.

    Raises:
        UsageError: One cannot be imported; the error names it, why, and which were asked for.
    """
    try:
        import_tasks(names)
    except UsageError as error:
        traceback.print_exception(error.__cause__, file=sys.stderr)
        raise
