"""Check that a policy's inputs and outputs are those of a contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ..spec.catalog import tasks
from ..spec.contract import ObservationTerm, PolicyContract
from ..spec.errors import UsageError

TERM_SIZES: Mapping[str, int] = {
    "height_scan": 187,
    "base_lin_vel": 3,
    "base_ang_vel": 3,
    "projected_gravity": 3,
    "velocity_commands": 3,
}
"""Sizes of Isaac Lab's robot-independent terms of the velocity tasks: what a policy may expect and a task not have."""


class SizedPolicy(Protocol):
    """A policy's outer shape, and its contract."""

    @property
    def observation_size(self) -> int:
        """Length of the input vector."""
        ...

    @property
    def action_size(self) -> int:
        """Length of the output vector."""
        ...

    @property
    def contract(self) -> PolicyContract | None:
        """The policy's own contract, where it brought one."""
        ...


def check_fit(policy: SizedPolicy, contract: PolicyContract) -> None:
    """Check that a policy's inputs and outputs are a contract's.

    Raises:
        UsageError: They are not; the error names the term that does not fit.
    """
    title = f"task {contract.task}" if contract.task else "the task"
    if policy.observation_size != contract.observation_size:
        theirs = policy.contract.observations if policy.contract else ()
        raise UsageError(
            f"the policy expects {policy.observation_size} inputs, {title} gives {contract.observation_size}: "
            + _misfit(contract.observations, policy.observation_size, theirs),
            source="the checkpoint's first layer",
            allowed=", ".join(f"{term.name} ({term.stop - term.start})" for term in contract.observations),
            hint=_task_hint(policy),
        )
    if policy.action_size != contract.action_size:
        raise UsageError(
            f"the policy gives {policy.action_size} actions, {title} takes {contract.action_size}: "
            + "; ".join(f"term {term.name} is {', '.join(term.joint_names)}" for term in contract.actions),
            source="the checkpoint's last layer",
            hint=_task_hint(policy),
        )


def _misfit(ours: Sequence[ObservationTerm], expected: int, theirs: Sequence[ObservationTerm]) -> str:
    """Return the term that makes the difference between a task's observations and what a policy expects."""
    sizes = {term.name: term.stop - term.start for term in ours}
    if theirs:
        foreign = {term.name: term.stop - term.start for term in theirs}
        changed = [
            f"term {name} has {foreign.get(name, 'no')} values in the policy and {sizes.get(name, 'none')} here"
            for name in {**foreign, **sizes}
            if foreign.get(name) != sizes.get(name)
        ]
        return "; ".join(changed)
    excess = expected - sum(sizes.values())
    if excess > 0:
        missing = [name for name, size in TERM_SIZES.items() if size == excess and name not in sizes]
        found = " or ".join(f"{name} ({excess})" for name in missing)
        return f"term {found} is missing" if missing else f"{excess} values are missing"
    surplus = [name for name, size in sizes.items() if size == -excess]
    found = " or ".join(f"{name} ({-excess})" for name in surplus)
    return f"term {found} is one that the policy does not have" if surplus else f"{-excess} values are too many"


def _task_hint(policy: SizedPolicy) -> str | None:
    sizes = policy.observation_size, policy.action_size
    fitting = [info.name for info in tasks() if (info.observations, info.actions) == sizes]
    return f"{sizes[0]} inputs and {sizes[1]} outputs are those of {', '.join(fitting)}" if fitting else None
