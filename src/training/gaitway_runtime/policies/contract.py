"""The policy contract: everything a deployer must know to run a policy, as one JSON document.

It travels inside the ONNX file's metadata and beside both exports, at full precision. Isaac Lab's IO-descriptor
names are used where it has them. Standard library only.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CONTRACT_SCHEMA = 1


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

    @property
    def observation_size(self) -> int:
        """Length of the policy's input vector."""
        return max(term.stop for term in self.observations)

    @property
    def action_size(self) -> int:
        """Length of the policy's output vector."""
        return max(term.stop for term in self.actions)

    def to_json(self, indent: int | None = 2) -> str:
        """Return the document with every number at full precision."""
        return json.dumps(dataclasses.asdict(self), indent=indent, allow_nan=False)
