"""The policy contract: everything a deployer must know to run a policy, as one JSON document.

It travels inside the ONNX file's metadata and beside both exports, at full precision. Isaac Lab's IO-descriptor
names are used where it has them. Standard library only.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..errors import UsageError
from .documents import build

CONTRACT_SCHEMA = 1

CONTRACT_FILE = "contract.json"
"""Name of the document beside the exports and inside a TorchScript archive."""

TERM_SIZES: Mapping[str, int] = {
    "height_scan": 187,
    "base_lin_vel": 3,
    "base_ang_vel": 3,
    "projected_gravity": 3,
    "velocity_commands": 3,
}
"""Sizes of Isaac Lab's robot-independent terms of the velocity tasks: what a policy may expect and a task not have."""


class Sizes(Protocol):
    """Anything with a policy's outer shape."""

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


@dataclass(frozen=True, kw_only=True)
class ObservationTerm:
    """One slice of the policy's input vector."""

    name: str
    start: int
    stop: int
    """The term is ``obs[start:stop]``."""
    units: str = ""
    frame: str = ""
    """Frame or meaning, for example ``base`` or ``world``."""
    scale: float = 1.0
    scales: tuple[float, ...] = ()
    """A scale a value, where they are not all ``scale``."""
    offset: tuple[float, ...] = ()
    """Subtracted before the scale, a value an entry (default joint positions); empty for none."""
    clip: tuple[float, float] | None = None
    noise: tuple[float, float] | None = None
    """Uniform training noise, added before the clip."""
    joint_names: tuple[str, ...] = ()
    history: int = 1


@dataclass(frozen=True, kw_only=True)
class ActionTerm:
    """One slice of the policy's output vector: ``target = offset + scale * action``."""

    name: str
    kind: str
    """``joint_position`` [rad] or ``joint_effort`` [N m] ([N] for a slider)."""
    start: int
    stop: int
    joint_names: tuple[str, ...]
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    clip: tuple[float, float] | None = None
    """Bounds of the target, where it is cut off."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Rates of the control loop [s]."""

    physics_dt: float
    decimation: int
    control_dt: float
    action_delay_steps: int = 0


@dataclass(frozen=True, kw_only=True)
class Robot:
    """The robot as the policy saw it. Every list is in ``joint_names`` order unless it says otherwise."""

    name: str
    joint_names: tuple[str, ...]
    default_joint_pos: tuple[float, ...]
    joint_pos_limits: tuple[tuple[float, float], ...]
    stiffness: tuple[float, ...]
    damping: tuple[float, ...]
    armature: tuple[float, ...]
    effort_limits: tuple[float, ...]
    """[N m], [N] for a slider; empty where effort is not limited."""
    actuator: str
    """Kind of actuator model, for example ``implicit_pd`` or ``effort``."""
    body_names: tuple[str, ...] = ()
    body_masses: tuple[float, ...] = ()
    """[kg], in ``body_names`` order."""
    base_com: tuple[float, float, float] | None = None
    init_base_height: float | None = None
    soft_limit_factor: float = 1.0
    model_sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class PolicyContract:
    """The whole contract. Free-form sections hold what has no single owner; their values are JSON."""

    schema: int = CONTRACT_SCHEMA
    task: str
    simulator: str
    """``mujoco 4.0.0``, ``isaaclab 2.3.2``: where the policy was trained."""
    observations: tuple[ObservationTerm, ...]
    actions: tuple[ActionTerm, ...]
    timing: Timing
    robot: Robot
    commands: Mapping[str, Any] = field(default_factory=dict)
    terminations: Mapping[str, Any] = field(default_factory=dict)
    contacts: Mapping[str, Any] = field(default_factory=dict)
    randomization: Mapping[str, Any] = field(default_factory=dict)
    conventions: Mapping[str, Any] = field(default_factory=dict)
    """Quaternion order, which point the base velocity is of, base frame, gravity as a unit vector."""
    network: Mapping[str, Any] = field(default_factory=dict)
    """Kind, layer sizes, activation, normaliser, recurrent state; filled in by the export."""
    io: Mapping[str, Any] = field(default_factory=dict)
    """Tensor names, dtypes and shapes of the exported files."""
    source: Mapping[str, Any] = field(default_factory=dict)
    """Run, iteration, checkpoint sha256, payload sha256, library versions, seed."""

    unknown: tuple[str, ...] = ()
    """Sections that nobody could fill in: an export without a task leaves most of them empty."""

    @classmethod
    def of_unknown_task(cls) -> PolicyContract:
        """Return a contract that says nothing of a task, for an export of the weights alone."""
        return cls(
            task="",
            simulator="",
            observations=(),
            actions=(),
            timing=Timing(physics_dt=0.0, decimation=0, control_dt=0.0),
            robot=Robot(
                name="",
                joint_names=(),
                default_joint_pos=(),
                joint_pos_limits=(),
                stiffness=(),
                damping=(),
                armature=(),
                effort_limits=(),
                actuator="",
            ),
            unknown=("task", "simulator", "observations", "actions", "timing", "robot"),
        )

    @property
    def observation_size(self) -> int:
        """Length of the policy's input vector; 0 where the terms are unknown."""
        return max((term.stop for term in self.observations), default=0)

    @property
    def action_size(self) -> int:
        """Length of the policy's output vector; 0 where the terms are unknown."""
        return max((term.stop for term in self.actions), default=0)

    def observation(self, name: str) -> ObservationTerm | None:
        """Return the observation term of that name."""
        return next((term for term in self.observations if term.name == name), None)

    def to_json(self, indent: int | None = 2) -> str:
        """Return the document with every number at full precision."""
        return json.dumps(dataclasses.asdict(self), indent=indent, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, source: str = CONTRACT_FILE) -> PolicyContract:
        """Read a contract back from its document.

        Raises:
            UsageError: It is not JSON, of another schema, has unknown or missing fields or values of another
                type, or contradicts itself; the error names the field.
        """
        try:
            document = json.loads(text)
        except ValueError as error:
            raise UsageError(f"the policy contract is not JSON: {error}", source=source) from None
        schema = document.get("schema") if isinstance(document, dict) else None
        if schema != CONTRACT_SCHEMA:
            raise UsageError(
                f"a policy contract of schema {schema!r} is not readable here",
                source=source,
                allowed=str(CONTRACT_SCHEMA),
            )
        contract: PolicyContract = build(cls, document, source)
        contract.check_consistency(source)
        return contract

    def check_consistency(self, source: str = CONTRACT_FILE) -> None:
        """Check the contract against itself.

        Raises:
            UsageError: Terms leave gaps or overlap, or a list's length is not that of the joints it describes.
        """
        for kind, terms in (("observation", self.observations), ("action", self.actions)):
            start = 0
            for term in terms:
                if term.start != start or term.stop <= start:
                    raise UsageError(
                        f"{kind} term '{term.name}' is at {term.start}:{term.stop}, it should start at {start}",
                        source=source,
                    )
                start = term.stop
        for term in self.observations:
            if term.scales:
                _same_length(term.scales, term.stop - term.start, f"observations.{term.name}.scales", source)
        for action in self.actions:
            _same_length(action.joint_names, action.stop - action.start, f"actions.{action.name}.joint_names", source)
            _same_length(action.scale, action.stop - action.start, f"actions.{action.name}.scale", source)
            _same_length(action.offset, action.stop - action.start, f"actions.{action.name}.offset", source)
        joints = len(self.robot.joint_names)
        for name in ("default_joint_pos", "joint_pos_limits", "stiffness", "damping", "armature", "effort_limits"):
            values = getattr(self.robot, name)
            if values:
                _same_length(values, joints, f"robot.{name}", source)

    def check_against(self, policy: Sizes) -> None:
        """Check that a policy's inputs and outputs are this contract's.

        Raises:
            UsageError: They are not; the error names the term that does not fit.
        """
        theirs = policy.contract
        if policy.observation_size != self.observation_size:
            raise UsageError(
                f"the policy expects {policy.observation_size} inputs, {self._title()} gives {self.observation_size}: "
                + _misfit(self.observations, policy.observation_size, theirs.observations if theirs else ()),
                source="the checkpoint's first layer",
                allowed=", ".join(f"{term.name} ({term.stop - term.start})" for term in self.observations),
                hint=_task_hint(policy.observation_size, policy.action_size),
            )
        if policy.action_size != self.action_size:
            raise UsageError(
                f"the policy gives {policy.action_size} actions, {self._title()} takes {self.action_size}: "
                + "; ".join(f"term {term.name} is {', '.join(term.joint_names)}" for term in self.actions),
                source="the checkpoint's last layer",
                hint=_task_hint(policy.observation_size, policy.action_size),
            )

    def _title(self) -> str:
        return f"task {self.task}" if self.task else "the task"


def _misfit(ours: tuple[ObservationTerm, ...], expected: int, theirs: tuple[ObservationTerm, ...]) -> str:
    """Name the term that makes the difference between a task's observations and what a policy expects."""
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


def _task_hint(observations: int, actions: int) -> str | None:
    from ..catalog import TASKS

    fitting = [info.name for info in TASKS if (info.observations, info.actions) == (observations, actions)]
    return f"{observations} inputs and {actions} outputs are those of {', '.join(fitting)}" if fitting else None


def _same_length(values: tuple[Any, ...], expected: int, name: str, source: str) -> None:
    if len(values) != expected:
        raise UsageError(f"{name} has {len(values)} entries instead of {expected}", source=source)
