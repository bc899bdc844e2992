"""Policy under evaluation, read from its checkpoint and matched with the simulator that runs it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..policies.adapter import Adapter, AffineMap, adapt
from ..policies.fit import check_fit
from ..simulators.base import TakesGains
from ..spec import catalog
from ..spec.contract import PolicyContract, read_contract
from ..spec.errors import UsageError
from ..spec.job import EMBEDDED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..policies.checkpoint import Checkpoint
    from ..policies.network import Policy
    from ..simulators.base import Env
    from ..spec.job import Job
    from .rollout import Actor

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Subject:
    """A policy in a simulator."""

    policy: Policy
    home: PolicyContract
    """What the policy was trained under, as far as anyone says; else the simulator's own contract."""
    here: PolicyContract
    """The simulator's contract."""
    adapter: Adapter | None
    """What makes up for the difference of the two; None where there is none to make up for."""

    @property
    def differences(self) -> tuple[str, ...]:
        """What differs between home and here and cannot be made up for, a sentence each."""
        return self.adapter.differences if self.adapter else ()

    def actor(self, session: Actor) -> Actor:
        """Return a session of this policy as the simulator needs it: in its units and orders."""
        return session if self.adapter is None else AdaptedActor(session, self.adapter)

    def observed(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the policy saw for recorded observations of the simulator, (..., size)."""
        if self.adapter is None:
            return observations
        seen = self.adapter.observe(observations.reshape(-1, observations.shape[-1]))
        return seen.reshape(*observations.shape[:-1], seen.shape[-1])


@dataclass(frozen=True, eq=False)
class AdaptedActor:
    """A policy away from home."""

    session: Actor
    adapter: Adapter

    def act(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the simulator's actions for its observations."""
        return self.adapter.act(self.session.act(self.adapter.observe(observations)))

    def reset(self, mask: NDArray[np.bool_] | None = None) -> None:
        """Forget the recurrent state of the masked worlds, or of all."""
        self.session.reset(mask)


def read_subject(
    checkpoint: Checkpoint | Path,
    here: PolicyContract,
    *,
    activation: str | None = None,
    contract: str | None = None,
) -> Subject:
    """Read a checkpoint and match it with a simulator.

    Args:
        checkpoint: An opened checkpoint, or the path of a file.
        here: The simulator's contract.
        activation: Activation of the network, where neither the checkpoint nor its configuration names it.
        contract: File with the contract the policy was trained under; by default the checkpoint's own.

    Raises:
        UsageError: The checkpoint or the contract cannot be read, or its inputs or outputs do not fit the simulator;
            the error names the term.
    """
    from ..policies.reader import read_checkpoint

    policy = read_checkpoint(checkpoint, activation=activation)
    for assumption in policy.parts.assumptions:
        log.warning("%s", assumption)
    home = read_contract(Path(contract)) if contract else policy.contract
    if home is None:
        check_fit(policy, here)
        return Subject(policy, here, here, None)
    check_fit(policy, home)
    try:
        adapter = adapt(home, here)
    except UsageError:
        # Where already the sizes differ, saying both helps more than the first name that is missing.
        check_fit(policy, here)
        raise
    return Subject(policy, home, here, None if _changes_nothing(adapter) else adapter)


@contextlib.contextmanager
def exported_actor(path: Path, here: PolicyContract) -> Iterator[tuple[Actor, Adapter | None]]:
    """Open an exported ONNX policy, confined, as a simulator needs it.

    Args:
        path: The file; its contract is inside it, or beside it.
        here: The simulator's contract.

    Yields:
        The policy, and what makes up for the difference of the contracts; None where there is none to make up for.

    Raises:
        UsageError: The file cannot be run, says nowhere what it takes, or does not fit the simulator.
    """
    from ..policies.confined.policy_file import opened
    from .drive_graph import contract_of, exported_file

    home = contract_of(path)
    if home is None:
        raise UsageError(
            "the policy says nowhere what its inputs and outputs are",
            source=str(path),
            allowed="a contract inside it, or contract.json beside it",
            hint=f"gaitway exam {path} finds them, and writes contract.json",
        )
    # What an export of a checkpoint knows nothing of is the task's, as for the checkpoint itself.
    home = home if home.observations else here
    with opened(exported_file(path)) as policy:
        if (policy.inputs, policy.outputs) != (home.observation_size, home.action_size):
            raise UsageError(
                f"the policy takes {policy.inputs} observations and gives {policy.outputs} actions, "
                f"{home.task or 'its contract'} has {home.observation_size} and {home.action_size}",
                source=str(path),
                hint="--task NAME" if home is here else None,
            )
        adapter = adapt(home, here)
        left = [line for line in adapter.differences if not line.startswith(("task ", "convention "))]
        if left:
            log.warning("not made up for, and the robot may move otherwise than at home: %s", "; ".join(left))
        needed = None if _maps_nothing(adapter) else adapter
        yield (policy if needed is None else AdaptedActor(policy, needed)), needed


def playable_job(job: Job) -> Job:
    """Return the job in the task in which it can be played, where the simulator does not have its own.

    With ``--contract`` the embedded simulator plays a policy of any task whose joints and observations one of its tasks
    has; what is then different is among the subject's differences.

    Raises:
        UsageError: The contract cannot be read, or fits no task.
    """
    if job.simulator not in EMBEDDED or job.contract is None or catalog.find(job.task):
        return job
    from ..simulators.mujoco.fitting import fitting_task

    task = fitting_task(read_contract(Path(job.contract))).name
    log.warning("the embedded simulator does not have %s: its policy is played in %s", job.task, task)
    return replace(job, task=task)


def apply_gains(subject: Subject, env: Env) -> Subject:
    """Let the simulator drive the robot with the gains the policy was trained with, where it can.

    What is then no difference any more is taken out of the subject's differences, and what was done is put in.
    """
    adapter, robot = subject.adapter, subject.here.robot
    if adapter is None or adapter.stiffness is None or adapter.damping is None or not isinstance(env, TakesGains):
        return subject
    if (adapter.stiffness, adapter.damping) == (robot.stiffness, robot.damping):
        return subject
    if not env.set_gains(adapter.stiffness, adapter.damping):
        return subject
    others = [line for line in adapter.differences if not line.startswith(("stiffness of ", "damping of "))]
    done = f"driven with its own gains, stiffness {adapter.stiffness[0]:g} and damping {adapter.damping[0]:g} first"
    return replace(subject, adapter=replace(adapter, differences=(*others, done)))


def _changes_nothing(adapter: Adapter) -> bool:
    return not adapter.differences and _maps_nothing(adapter)


def _maps_nothing(adapter: Adapter) -> bool:
    return _is_identity(adapter.observe) and _is_identity(adapter.act)


def _is_identity(part: AffineMap) -> bool:
    straight = np.array_equal(part.index, np.arange(len(part.index)))
    unbounded = bool(np.isneginf(part.low).all() and np.isposinf(part.high).all())
    return straight and unbounded and bool((part.gain == 1).all() and (part.bias == 0).all())
