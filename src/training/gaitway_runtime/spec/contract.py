"""The policy contract: everything a deployer must know to run a policy, as one JSON document.

It travels inside the ONNX file's metadata and beside both exports, at full precision. Isaac Lab's IO-descriptor
names are used where it has them. Standard library only.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .decoding import decode
from .errors import UsageError

CONTRACT_SCHEMA = 2

READABLE_SCHEMAS = (1, 2)
"""Schemas of contracts that are read; what is new in 2 is filled in for a contract of schema 1."""

QUANTITIES: Mapping[str, str] = {
    "joint_pos": "joint_position",
    "joint_pos_rel": "joint_position",
    "joint_vel": "joint_velocity",
    "joint_vel_rel": "joint_velocity",
    "last_action": "last_action",
    "actions": "last_action",
    "base_lin_vel": "base_linear_velocity",
    "base_ang_vel": "base_angular_velocity",
    "projected_gravity": "projected_gravity",
    "generated_commands": "velocity_command",
    "velocity_commands": "velocity_command",
    "base_pos_z": "base_height",
    "base_height": "base_height",
    "height_scan": "height_scan",
    "joint_pos_limit_normalized": "joint_position_normalized",
    "joint_pos_norm": "joint_position_normalized",
    "base_yaw_roll": "base_yaw_roll",
    "base_angle_to_target": "angle_to_target",
    "base_up_proj": "base_up_projection",
    "base_heading_proj": "base_heading_projection",
    "body_incoming_wrench": "contact_wrench",
    "feet_body_forces": "contact_wrench",
}
"""Measured quantity by the names of Isaac Lab's observation functions and terms (docs/contract.md defines each)."""

LAST_ACTION = "output of the policy in the step before, before scale, offset and clip of the action; 0 after a reset"
"""Convention of a term that shows the policy its own last action."""

RELATIVE_TERMS = ("joint_pos", "joint_pos_rel")
"""Terms that Isaac Lab measures from the default pose; a contract of schema 1 does not say so."""

CONTRACT_FILE = "contract.json"
"""Name of the document beside the exports and inside a TorchScript archive."""

CONTRACT_KEY = "policy_contract"
"""Key of the whole document in an ONNX file's metadata."""


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
    quantity: str = ""
    """What is measured, by the words of docs/contract.md (``joint_position``); empty where nobody said."""
    scale: float = 1.0
    scales: tuple[float, ...] = ()
    """A scale a value, where they are not all ``scale``."""
    offset: tuple[float, ...] = ()
    """Subtracted before the clip, one entry for each value (default joint positions); empty for none."""
    clip: tuple[float, float] | None = None
    noise: tuple[float, float] | None = None
    """Uniform training noise, added before the clip."""
    joint_names: tuple[str, ...] = ()
    """Joints in the order of the values of one frame; empty for a term that is not about joints."""
    history: int = 1
    """Frames in the term: the values of the oldest first, those of the present last."""
    history_order: str = "oldest_first"
    command: str = ""
    """Name of the command that the term shows, in ``commands``."""
    parameters: Mapping[str, object] = field(default_factory=dict)
    """Numbers that the quantity needs beside the robot's state: a target, a period, limits."""


@dataclass(frozen=True, kw_only=True)
class ActionTerm:
    """One slice of the policy's output vector: ``target = offset + scale * action``."""

    name: str
    kind: str
    """``joint_position``, ``joint_velocity`` or ``joint_effort``."""
    start: int
    stop: int
    joint_names: tuple[str, ...]
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    clip: tuple[float, float] | None = None
    """Bounds of every target, where all are cut off alike."""
    clips: tuple[tuple[float, float], ...] = ()
    """Bounds of each target, where they differ."""
    units: str = ""

    @property
    def bounds(self) -> tuple[tuple[float, float], ...]:
        """Bounds of each target, infinite where none is cut off."""
        return self.clips or (self.clip or (float("-inf"), float("inf")),) * (self.stop - self.start)


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
    drive: str = ""
    """What turns a target into an effort, as a formula of the robot's lists (docs/contract.md)."""
    velocity_limits: tuple[float, ...] = ()
    """[rad/s], [m/s] for a slider; empty where velocity is not limited."""
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
    """By name: ``names`` of the values in order, their ``units`` and ``ranges``, and how training drew them."""
    terminations: Mapping[str, object] = field(default_factory=dict)
    contacts: Mapping[str, object] = field(default_factory=dict)
    randomization: Mapping[str, object] = field(default_factory=dict)
    conventions: Mapping[str, Any] = field(default_factory=dict)
    """Quaternion order, which point the base velocity is of, axes of the base frame, gravity, what a last action is."""
    network: Mapping[str, object] = field(default_factory=dict)
    """Kind, layer sizes, activation, normaliser, recurrent state; filled in by the export."""
    io: Mapping[str, object] = field(default_factory=dict)
    """Tensor names, dtypes and shapes of the exported files."""
    source: Mapping[str, object] = field(default_factory=dict)
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
    def from_json(cls, text: str | bytes, source: str = CONTRACT_FILE) -> PolicyContract:
        """Read a contract back from its document.

        Raises:
            UsageError: It is not JSON, of another schema, has unknown or missing fields or values of another
                type, or contradicts itself; the error names the field.
        """
        if isinstance(text, bytes):  # as TorchScript archives hand it out
            text = text.decode("utf-8", errors="replace")
        text = text.removeprefix("\ufeff")
        try:
            document = json.loads(text)
        except ValueError as error:
            raise _not_a_contract(text, f"is not JSON: {error}", source) from None
        except RecursionError:
            raise _not_a_contract(text, "is nested too deeply", source) from None
        if not isinstance(document, dict) or "schema" not in document:
            raise _not_a_contract(text, "has no 'schema'", source)
        if document["schema"] not in READABLE_SCHEMAS:
            raise UsageError(
                f"a policy contract of schema {document['schema']!r} is not readable here",
                source=source,
                allowed=", ".join(map(str, READABLE_SCHEMAS)),
            )
        contract: PolicyContract = decode(cls, {**document, "schema": CONTRACT_SCHEMA}, source)
        if document["schema"] == 1:
            contract = _with_conventions_of_schema_2(contract)
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
            if term.offset:
                _same_length(term.offset, term.stop - term.start, f"observations.{term.name}.offset", source)
        for action in self.actions:
            _same_length(action.joint_names, action.stop - action.start, f"actions.{action.name}.joint_names", source)
            _same_length(action.scale, action.stop - action.start, f"actions.{action.name}.scale", source)
            _same_length(action.offset, action.stop - action.start, f"actions.{action.name}.offset", source)
        joints = len(self.robot.joint_names)
        for name in ("default_joint_pos", "joint_pos_limits", "stiffness", "damping", "armature", "effort_limits"):
            values = getattr(self.robot, name)
            if values:
                _same_length(values, joints, f"robot.{name}", source)


def read_contract(path: Path) -> PolicyContract:
    """Read a contract file.

    Raises:
        UsageError: It cannot be read, or is not a contract.
    """
    try:
        return PolicyContract.from_json(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise UsageError(f"the contract cannot be read: {error.strerror}", source=f"--contract {path}") from None
    except UnicodeDecodeError:
        raise UsageError("the policy contract is not a text in UTF-8", source=str(path), hint=_WHENCE) from None


def _with_conventions_of_schema_2(contract: PolicyContract) -> PolicyContract:
    """Return a contract of schema 1 with what 2 says in words: the conventions that 1 took for granted."""
    pose = dict(zip(contract.robot.joint_names, contract.robot.default_joint_pos, strict=False))
    terms = []
    for term in contract.observations:
        offset = term.offset
        if not offset and term.name in RELATIVE_TERMS and pose:
            offset = tuple(pose.get(joint, 0.0) for joint in term.joint_names or contract.robot.joint_names)
        size = term.stop - term.start
        whole = offset * (size // len(offset)) if offset else ()
        quantity = QUANTITIES.get(term.name, "")
        shown = next(iter(contract.commands)) if quantity == "velocity_command" and len(contract.commands) == 1 else ""
        terms.append(dataclasses.replace(term, offset=whole, quantity=quantity, command=shown))
    return dataclasses.replace(contract, observations=tuple(terms))


_FOREIGN = (
    ("input_dim", "a configuration of legged_rl_deploy", False),
    ("joint_ids_map", "a deploy.yaml of Unitree's deployers", True),
    ("articulations", "Isaac Lab's IO descriptors", True),
    ("pipeline", "a LEAPP bundle", True),
    ("episode_length_s", "Isaac Lab's configuration of an environment (env.yaml)", False),
    ("num_steps_per_env|rollouts|horizon_length", "a learner's configuration (agent.yaml)", False),
    ("commands_scale", "a configuration of rl_sar", False),
)
"""Words in other projects' descriptions of a policy, what each is of, and whether ``gaitway exam`` reads it."""

_WHENCE = (
    "gaitway dump-contract --task TASK writes the contract of a task; an export has its own beside it, contract.json"
)


def _not_a_contract(text: str, reason: str, source: str) -> UsageError:
    """Return the error for a document of another kind, by its name where it is a known one."""
    for word, kind, examined in _FOREIGN:
        if re.search(rf'(?:^|[{{,])\s*"?(?:{word})"?\s*:', text, re.MULTILINE):
            hint = f"{_WHENCE}; gaitway exam reads {kind} and writes a contract" if examined else _WHENCE
            return UsageError(f"this is {kind}, not a policy contract", source=source, hint=hint)
    return UsageError(f"the policy contract {reason}", source=source, hint=_WHENCE)


def _same_length(values: tuple[Any, ...], expected: int, name: str, source: str) -> None:
    if len(values) != expected:
        raise UsageError(f"{name} has {len(values)} entries instead of {expected}", source=source)
